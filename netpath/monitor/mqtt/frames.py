# SPDX-License-Identifier: GPL-2.0-or-later
"""What a broker may send, byte by byte (MQTT 3.1.1, http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/). Pure.

The library takes any packet of up to 256 MiB into memory. Here packets are cut out before it sees them: only those
pass that answer what we send, well formed and small.
"""

from __future__ import annotations

LONGEST = 64 * 1024
"""Bytes of a message that is taken in; a longer one is passed over."""
_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK, _PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xB0, 0xD0
_LENGTHS = {_CONNACK: 2, _PUBACK: 2, _UNSUBACK: 2, _PINGRESP: 0}
_MOST_SUBSCRIPTIONS = 8
REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take our client id",
    3: "it is not available; try later",
    4: "wrong user name or password; see mqtt_username and mqtt_password",
    5: "this user may not connect; see mqtt_username and mqtt_password",
}


class FrameError(Exception):
    """The other side does not speak MQTT 3.1.1, or says what no broker may say."""


class RefusedError(Exception):
    """The broker does not want us; `str()` says why."""


class Frames:
    """Takes bytes as they come, gives whole packets. Memory: at most one packet that is not whole, and one chunk."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0
        """Bytes of a packet too long that are still to come."""
        self._accepted = False
        self.messages = 0
        """PUBLISH packets so far."""

    def feed(self, data: bytes) -> bytes:
        """The packets that are whole now. Raises FrameError, RefusedError."""
        passed = min(self._skip, len(data))
        self._skip -= passed
        self._buffer += data[passed:]
        good = bytearray()
        start = 0
        while (header := self._header(start)) is not None:
            kind, body, length = header
            if len(self._buffer) < body + length <= body + LONGEST:
                break
            self.messages += kind & 0xFE == _PUBLISH
            if length > LONGEST:
                end = body + length
                self._skip = max(0, end - len(self._buffer))
                start = min(end, len(self._buffer))
                continue
            self._check(kind, self._buffer[body : body + length])
            good += self._buffer[start : body + length]
            start = body + length
        del self._buffer[:start]
        return bytes(good)

    def _header(self, start: int) -> tuple[int, int, int] | None:
        """First byte of the packet at `start`, where its body begins, how long that is; None: more bytes are needed."""
        if len(self._buffer) <= start:
            return None
        kind, length = self._buffer[start], 0
        for index in range(4):
            position = start + 1 + index
            if position >= len(self._buffer):
                return None
            length |= (self._buffer[position] & 0x7F) << 7 * index
            if self._buffer[position] < 0x80:
                self._expect(kind, length)
                return kind, position + 1, length
        raise FrameError("a packet without a length")

    def _expect(self, kind: int, length: int) -> None:
        """Only what may come now, before any of it is kept."""
        if self._accepted == (kind == _CONNACK):
            raise FrameError("it does not begin as a broker does" if not self._accepted else "a second greeting")
        if kind == _SUBACK:
            if not 3 <= length <= 2 + _MOST_SUBSCRIPTIONS:
                raise FrameError("an answer to a subscription of a wrong length")
        elif kind & 0xFE != _PUBLISH and _LENGTHS.get(kind) != length:
            raise FrameError(f"a packet that was not asked for (0x{kind:02x}, {length} bytes)")

    def _check(self, kind: int, body: bytearray) -> None:
        if kind == _CONNACK:
            if body[0] > 1 or body[1] > max(REFUSALS):
                raise FrameError("a greeting that means nothing")
            if body[1]:
                raise RefusedError(REFUSALS[body[1]])
            self._accepted = True
        elif kind & 0xFE == _PUBLISH:
            length = int.from_bytes(body[:2], "big")
            topic = bytes(body[2 : 2 + length])
            if len(body) < 2 or not topic or len(topic) != length or b"\0" in topic:
                raise FrameError("a message without a topic")
            try:
                topic.decode()
            except UnicodeDecodeError:
                raise FrameError("a topic that is not UTF-8") from None
        elif kind == _SUBACK and any(code not in (0, 1, 2, 0x80) for code in body[2:]):
            raise FrameError("an answer to a subscription that means nothing")
