# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection to the broker: asyncio has the socket (and TLS), paho-mqtt speaks MQTT 3.1.1 on it.

paho's own ways to connect block, and its reader takes in packets of any size. So its client gets a stand-in for
a socket that hands bytes over in memory, and only those that `Frames` let pass. No thread, no reconnecting here.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import paho.mqtt.client as paho

from netpath.monitor.mqtt.frames import FrameError, Frames, RefusedError
from netpath.monitor.mqtt.lookup import Lookup
from netpath.monitor.mqtt.outbox import MOST_UNDER_WAY
from netpath.monitor.readings import ServiceError
from netpath.monitoring import Broker

ADDRESS_TIME = 4.0
"""Seconds for a connection to one address."""
LOOKUP_TIME = 10.0
GREETING_TIME = 8.0
"""Seconds for TLS, and again for the broker's answer to ours."""
KEEPALIVE = 15
"""Seconds of silence after which the broker is asked for a sign of life; after as many more it counts as dead."""
MOST_MESSAGES = 5000
"""From the broker in a minute: more than it can have retained of us, and it has nothing else to send."""
CHUNK = 8192
"""Bytes that are read at once: of the smallest messages few enough that nothing else has to wait."""


class Owner(Protocol):
    """Whom a session tells what happens; only in `room` may it publish."""

    def message(self, topic: str, payload: bytes, retained: bool) -> None: ...

    def acknowledged(self, number: int) -> None:
        """The broker has the message that `publish` gave this number."""

    def room(self) -> None:
        """Messages were acknowledged; others may follow."""


class Wire:
    """What paho takes for its socket."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.received = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.received:
            raise BlockingIOError
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def send(self, data: bytes) -> int:
        """All of it is taken: what can be under way is little (`Outbox`), so nothing piles up for a slow broker."""
        self._transport.write(bytes(data))
        return len(data)

    def close(self) -> None:
        self._transport.abort()

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""


class Client(paho.Client):
    """paho's client on a wire that is there already. It makes sockets in this method from 1.6 to 2.2 at least."""

    def __init__(self, wire: Wire, client_id: str) -> None:
        # Callbacks have one argument more from 2.0 on; ours do not look at it.
        arguments: dict[str, Any] = {"client_id": client_id, "protocol": paho.MQTTv311, "reconnect_on_failure": False}
        if hasattr(paho, "CallbackAPIVersion"):
            arguments["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
        super().__init__(**arguments)
        self._netpath_wire = wire

    def _create_socket_connection(self) -> Any:
        return self._netpath_wire


class Session(asyncio.BufferedProtocol):
    """A connection that the broker has accepted, from `open_session` until `close`."""

    def __init__(self, settings: Broker, client_id: str, will: str, owner: Owner) -> None:
        """`will`: the topic that the broker sets to "offline" when the connection ends."""
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._owner = owner
        self._buffer = memoryview(bytearray(CHUNK))  # asyncio's TLS writes into slices of it
        self._frames = Frames()
        self._minute = (0.0, 0)
        """When it began, and how many messages there had been."""
        self._client: Client | None = None
        self._wire: Wire | None = None
        loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        """Only ever fails: with ServiceError."""

    # -- asyncio's side -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = Wire(transport)
        self._client = client = Client(self._wire, self._client_id)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password or None)
        client.will_set(self._will, "offline", qos=1, retain=True)
        client.max_inflight_messages_set(MOST_UNDER_WAY)
        client.max_queued_messages_set(2 * MOST_UNDER_WAY)  # the queue is ours; this is a bound that is never met
        client.on_connect = self._connected
        client.on_publish = self._published
        client.on_message = self._message
        client.connect("127.0.0.1", 1, keepalive=KEEPALIVE)  # where to is the wire's affair
        taken: Any = client.socket()
        if taken is not self._wire:
            self.fail("this version of paho-mqtt is not supported; 1.6 to 2.2 are")

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._wire is None or self._client is None or self.ended.done():
            return
        try:
            self._wire.received += self._frames.feed(bytes(self._buffer[:nbytes]))
        except FrameError as error:
            self.fail(f"what answers there is no MQTT broker: {error}; see mqtt_host, mqtt_port and mqtt_tls")
            return
        except RefusedError as error:
            self.fail(f"the broker refuses us: {error}")
            return
        if self._frames.messages - self._minute[1] > MOST_MESSAGES:
            self.fail(f"the broker sends more than {MOST_MESSAGES} messages in a minute")
        while self._wire.received and not self.ended.done():
            if self._client.loop_read() != 0:
                self.fail("the broker broke the rules of MQTT")
        if not self.ended.done():
            self._owner.room()

    def connection_lost(self, error: Exception | None) -> None:
        why = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
        self.fail(f"the broker closed the connection{why}")

    def fail(self, reason: str) -> None:
        """The first reason counts."""
        self.close()
        if not self.ended.done():
            self.ended.set_exception(ServiceError(reason))
            self.ended.exception()  # it may be that nobody waits any more

    def close(self) -> None:
        """At once and without a farewell, so that the broker publishes the last will."""
        if self._wire is not None:
            self._wire.close()

    # -- the publisher's side -----------------------------------------------------------------------------------

    def publish(self, topic: str, payload: str, *, qos: int, retain: bool) -> int:
        """The message's number, which `on_ack` gets."""
        assert self._client is not None
        number: int = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        return number

    def subscribe(self, filters: Iterable[str]) -> None:
        assert self._client is not None
        self._client.subscribe([(topic, 0) for topic in filters])

    def unsubscribe(self, filters: Iterable[str]) -> None:
        assert self._client is not None
        self._client.unsubscribe(list(filters))

    def tick(self, now: float) -> None:
        """To be called each second or so: keepalive, and a new minute now and then."""
        if self._client is None or self.ended.done():
            return
        if self._client.loop_misc() != 0:
            self.fail("the broker gives no sign of life any more")
        if now - self._minute[0] >= 60:
            self._minute = (now, self._frames.messages)

    # -- paho's side --------------------------------------------------------------------------------------------

    def _connected(self, *_: Any) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)

    def _published(self, _client: Any, _userdata: Any, number: int, *_: Any) -> None:
        self._owner.acknowledged(number)

    def _message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._owner.message(message.topic, bytes(message.payload), bool(message.retain))


async def open_session(make: Callable[[], Session], settings: Broker, lookup: Lookup) -> Session:
    """Connect and be greeted. Raises ServiceError; leaves nothing open when that happens or it is cancelled."""
    context = await asyncio.to_thread(_context, settings) if settings.tls else None
    session = await _reach(make, settings, lookup, context)
    try:
        waiting = {session.accepted, session.ended}
        done, _ = await asyncio.wait(waiting, timeout=GREETING_TIME, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            session.fail(f"the broker took the connection and then said nothing for {GREETING_TIME:.0f} s")
        if session.ended.done():
            session.ended.result()
    except BaseException:
        session.close()
        raise
    return session


async def _reach(
    make: Callable[[], Session], settings: Broker, lookup: Lookup, context: ssl.SSLContext | None
) -> Session:
    """The first address that takes a connection."""
    host, port, loop = settings.host, settings.port, asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_TIME):
            addresses = await lookup.addresses(host, port)
    except (OSError, TimeoutError) as error:
        raise ServiceError(f"no address of {host} can be found: {_words(error)}") from None
    tls: dict[str, Any] = {}
    if context is not None:
        tls = {"ssl": context, "server_hostname": host, "ssl_handshake_timeout": GREETING_TIME}
    reason = "it has no address"
    for address in addresses:
        limit = ADDRESS_TIME + (GREETING_TIME if tls else 0)
        try:
            async with asyncio.timeout(limit):
                _, session = await loop.create_connection(make, address, port, **tls)
        except ssl.SSLCertVerificationError as error:
            raise ServiceError(
                f"the certificate of {host} is not trusted: {error.verify_message}; see mqtt_ca and mqtt_verify"
            ) from None
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            reason = _words(error)
            continue
        return session
    raise ServiceError(f"{host} port {port} cannot be reached: {reason}")


def _context(settings: Broker) -> ssl.SSLContext:
    """Raises ServiceError when the file of certificates is no good."""
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ServiceError(f"mqtt_ca {settings.ca}: {_words(error)}; give a file of certificates in PEM") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text has the address once more
    return getattr(error, "strerror", None) or str(error)
