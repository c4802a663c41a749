# SPDX-License-Identifier: GPL-2.0-or-later
"""Data datagrams of one session: sealed and opened, with replay protection and the age of keys. No I/O."""

from __future__ import annotations

from collections import deque
from itertools import repeat

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from netpath.bond.handshake import Cipher, Keys
from netpath.bond.replay import ReplayWindow
from netpath.bond.rows import LEAST as LEAST_ROW
from netpath.bond.rows import MOST as MOST_ROW
from netpath.bond.rows import SMALLEST, Arena, Cuts, Row, heads
from netpath.bond.wire import COUNTERS, HEAD, LEAST, PATHS, TAG, Kind, pack_head, pack_heads

REKEY_TIME = 120.0
SEND_TIME = 180.0
"""Seconds after which nobody sends with a key any more."""
OPEN_TIME = 190.0
REKEY_DATAGRAMS = 1 << 32
REKEY_BYTES = 1 << 40
MOST_PATHS = 128
"""Numbers of paths of which replays are kept apart: the peer's, who is authentic, but may be faulty."""
_AEADS: dict[Cipher, type[AESGCM] | type[ChaCha20Poly1305]] = {
    Cipher.AES256_GCM: AESGCM,
    Cipher.CHACHA20_POLY1305: ChaCha20Poly1305,
}


class ExpiredError(Exception):
    """The keys are too old to send with."""


class Session:
    """Keys and counters of one session. All times are monotonic seconds."""

    def __init__(self, keys: Keys, own_number: int, peer_number: int, now: float) -> None:
        self.number = own_number
        """What the peer puts into the heads of what it sends."""
        self.peer_number = peer_number
        self.version = keys.version
        self.cipher = keys.cipher
        self.born = now
        self.confirmed = False
        """Whether the peer has shown that it has the keys too."""
        self.datagrams = 0
        """Sealed, of all paths."""
        self.bytes = 0
        # One object for each direction: making one a datagram costs three times as much as using it.
        aead = _AEADS[keys.cipher]
        self._seal = aead(keys.send).encrypt
        opener = aead(keys.receive)
        self._open = opener.decrypt
        self._open_into = getattr(opener, "decrypt_into", None)
        self._counters: dict[int, int] = {}
        self._windows: dict[int, ReplayWindow] = {}

    def seal(self, path: int, plaintext: bytes | memoryview, now: float) -> bytes:
        """The datagram. Raises ExpiredError."""
        if now - self.born > SEND_TIME:
            raise ExpiredError
        counter = self._counters.get(path, 0)
        self._counters[path] = counter + 1
        self.datagrams += 1
        self.bytes += len(plaintext)
        head = pack_head(self.peer_number, Kind.DATA, path, counter)
        return head + self._seal(head, plaintext, None)

    def seal_all(self, path: int, plaintexts: list[bytes], now: float) -> list[bytes]:
        """Head and sealed rest of each, one after another: no copy is made to join them. Raises ExpiredError.

        All plaintexts but the last are of one size.
        """
        if now - self.born > SEND_TIME:
            raise ExpiredError
        counter = self._counters.get(path, 0)
        self._counters[path] = counter + len(plaintexts)
        self.datagrams += len(plaintexts)
        heads = pack_heads(self.peer_number, path, counter, len(plaintexts))
        self.bytes += (len(plaintexts) - 1) * len(plaintexts[0]) + len(plaintexts[-1])
        buffers = [b""] * (2 * len(heads))
        buffers[::2] = heads
        buffers[1::2] = map(self._seal, heads, plaintexts, repeat(None))
        return buffers

    def open_all(
        self, data: memoryview, segment: int, at: int, first: int, now: float
    ) -> tuple[list[bytes], int, int, bool]:
        """Open datagrams of `segment` bytes (the last of `data` may be shorter), from the one at `at` on, as long as
        their heads are alike: `first` is the first one's, as a number, without the counter.

        (plaintexts, how many were not authentic or here before, where the next datagram begins, whether one of them
        has a higher counter than all before).
        """
        path = first & PATHS - 1
        window = self._windows.get(path)
        new = window is None
        if window is None:
            window = ReplayWindow()
        before = window.highest
        opening, size, refused = self._open, len(data), 0
        late = now - self.born > OPEN_TIME or (new and len(self._windows) >= MOST_PATHS)
        found: list[bytes] = []
        while at < size:
            end = at + segment
            if end > size:
                end = size
                if end - at < LEAST:
                    break
            head = data[at : at + HEAD]
            value = int.from_bytes(head, "big")
            if value >> 48 != first:
                break
            counter = value & COUNTERS - 1
            if late or (counter <= window.highest and not window.fresh(counter)):
                refused += 1
                at = end
                continue
            try:
                found.append(opening(head, data[at + HEAD : end], None))
            except InvalidTag:
                refused += 1
                at = end
                continue
            at = end
            if counter == window.highest + 1:
                window.highest = counter
            else:
                window.enter(counter)
        if found:
            self.confirmed = True
            if new:  # only now: numbers of paths that a stranger invents must not fill the memory
                self._windows[path] = window
        return found, refused, at, window.highest > before

    def open_row(
        self, arena: Arena, data: memoryview, segment: int, first: int, now: float, *, cuts: Cuts
    ) -> Row | None:
        """Open all of `data`, when each datagram has the counter after the one before, all are new and
        authentic; None, and nothing is done: `open_all` takes the same, whatever it is, at twice the cost.

        `cuts`: of the buffer that begins with `data`.
        """
        whole, rest = divmod(len(data), segment)
        count = whole + 1 if rest else whole
        window = self._windows.get(first & PATHS - 1)
        if not LEAST_ROW <= count <= MOST_ROW or min(segment, rest or segment) < SMALLEST or window is None:
            return None
        values = heads(segment, whole).unpack_from(data)
        value = values[0]
        counter = value & COUNTERS - 1
        in_row = values == tuple(range(value, value + whole)) and values[-1] >> 48 == first & 0xFFFF
        stride = segment - HEAD - TAG
        if counter <= window.highest or not in_row or arena.room(stride) < count or now - self.born > OPEN_TIME:
            return None
        nonces, sealed = cuts.of(segment, whole)
        if rest:
            nonce = data[whole * segment :][:HEAD]
            if int.from_bytes(nonce[4:], "big") != value + whole:
                return None
            nonces.append(nonce)
            sealed.append(data[whole * segment + HEAD :])
        try:
            # One of another session has another nonce, and fails.
            row = arena.row(stride, count, (rest or segment) - HEAD - TAG)
            if self._open_into is not None:
                deque(map(self._open_into, nonces, sealed, repeat(None), row.places()), 0)
            else:  # cryptography before 47
                row.fill(map(self._open, nonces, sealed, repeat(None)))
        except InvalidTag:
            return None
        window.enter(counter)
        window.highest = counter + count - 1
        self.confirmed = True
        return row

    def sent(self, path: int) -> int:
        """How many datagrams of `path` were sealed: the next one's counter."""
        return self._counters.get(path, 0)

    def highest(self, path: int) -> int:
        """The highest counter that came in by `path`; -1: none."""
        window = self._windows.get(path)
        return -1 if window is None else window.highest

    def missing(self, path: int, after: int) -> list[int]:
        """Counters of `path` above `after` that did not come, though higher ones did; the highest first."""
        window = self._windows.get(path)
        return [] if window is None else window.missing(after)

    def lacks(self, path: int, counter: int) -> bool:
        """Whether it is one of them."""
        window = self._windows.get(path)
        return window is not None and window.lacks(counter)

    def worn(self, now: float) -> bool:
        """Whether it is time for a new handshake."""
        # What the peer sends, the peer counts, and asks by REKEY.
        return now - self.born >= REKEY_TIME or self.datagrams >= REKEY_DATAGRAMS or self.bytes >= REKEY_BYTES

    def dead(self, now: float) -> bool:
        """Whether nothing can come of it any more."""
        return now - self.born > OPEN_TIME
