# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of a WebSocket server (RFC 6455).

Of the library `websockets` only the protocol without input and output is used. That is the same from 11.0.3 on (its
asyncio client moved and changed its arguments, exceptions and redirections with every few versions), and leaves
sockets, proxies, redirections and logs to us.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from netpath.monitor import dial, http_client
from netpath.monitor.address import Address
from netpath.monitor.http_client import NO_HTTP
from netpath.monitor.readings import ServiceError

MESSAGE_LIMIT = 32 * 1024 * 1024
"""Bytes. 20,000 connections of mihomo's take about 16 MiB."""
_READ = 256 * 1024

_silent = logging.getLogger("netpath.websocket")
"""Of the library: it would log headers, and they have tokens."""
_silent.disabled = True


async def messages(
    address: Address, headers: Mapping[str, str], *, verify: bool, timeout: float, silence: float
) -> AsyncGenerator[tuple[bytes, float], None]:
    """Text and binary messages as they come, each with the moment (of the loop's clock) when it was whole.

    `timeout`: seconds until the server has agreed to speak; `silence`: seconds in which a message must come. Raises
    ServiceError, also when the server ends the connection. To be closed (`aclosing`).
    """
    connection = await dial.connect(address, verify=verify, timeout=timeout)
    try:
        protocol = await _handshake(connection, address, headers, timeout)
        async with aclosing(_messages(connection, protocol, silence)) as received:
            async for message in received:
                yield message
    except OSError as error:
        raise ServiceError(dial.broken(error)) from None
    finally:
        dial.close(connection[1])


async def _handshake(
    connection: dial.Streams, address: Address, headers: Mapping[str, str], timeout: float
) -> ClientProtocol:
    reader, writer = connection
    protocol = ClientProtocol(parse_uri(address.shown(("ws", "wss"))), max_size=MESSAGE_LIMIT, logger=_silent)
    request = protocol.connect()
    request.path = address.request
    for name, value in headers.items():
        request.headers[name] = value
    protocol.send_request(request)
    try:
        async with asyncio.timeout(timeout):
            await _send(writer, protocol)
            head = await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        raise ServiceError(
            f"connected, but no answer within {timeout:g} s: is this its port, and is it alive?"
        ) from None
    except asyncio.IncompleteReadError:
        raise ServiceError(
            "it ended the connection at once: check the port, and whether TLS (wss) is wanted there"
        ) from None
    except asyncio.LimitOverrunError:
        raise ServiceError(f"{NO_HTTP}: check the port") from None
    _agreed(head)
    protocol.receive_data(head)
    if protocol.handshake_exc is not None:
        raise ServiceError(f"what answers there speaks no WebSocket: {_FIX}")
    protocol.events_received()  # the response
    return protocol


_FIX = "the address must be that of /connections at the external controller"


def _agreed(head: bytes) -> None:
    """Raises ServiceError with what to do, unless the server takes up the protocol."""
    status = http_client.status(head.decode("latin-1"))
    if status == 101:
        return
    if status in (401, 403):
        raise ServiceError(f"access refused ({status}): set option token to the controller's secret")
    if status == 404:
        raise ServiceError(f"not found (404): {_FIX}")
    if 300 <= status < 400:
        raise ServiceError(
            f"it sends us to another address ({status}), where nobody takes the token: write that one, with its port,"
            " and wss:// if it has TLS"
        )
    if status < 300 or status in (400, 405, 426):
        raise ServiceError(f"a plain HTTP server answers there ({status}), no WebSocket: {_FIX}")
    if status >= 500:
        raise ServiceError(f"the server, or a proxy before it, has failed ({status}): look into its log")
    raise ServiceError(f"it refuses ({status}): {_FIX}")


async def _send(writer: asyncio.StreamWriter, protocol: ClientProtocol) -> None:
    for data in protocol.data_to_send():
        if data:
            writer.write(data)
    await writer.drain()


async def _messages(
    connection: dial.Streams, protocol: ClientProtocol, silence: float
) -> AsyncGenerator[tuple[bytes, float], None]:
    pending: deque[Frame] = deque()
    while True:
        try:
            async with asyncio.timeout(silence):
                message = await _message(connection, protocol, pending)
        except TimeoutError:
            raise ServiceError(f"nothing came for {silence:g} s: is it alive, and is the line good?") from None
        yield message, asyncio.get_running_loop().time()


async def _message(connection: dial.Streams, protocol: ClientProtocol, pending: deque[Frame]) -> bytes:
    """The next whole one. `pending`: frames of those after it."""
    reader, writer = connection
    message = bytearray()
    while True:
        while pending:
            frame = pending.popleft()
            message += frame.data
            if frame.fin:
                return bytes(message)
        if protocol.state is not State.OPEN:
            raise ServiceError(_ended(protocol))
        data = await reader.read(_READ)
        if not data:
            raise ServiceError("it ended the connection: was it restarted or stopped?")
        protocol.receive_data(data)
        await _send(writer, protocol)
        events = protocol.events_received()
        pending.extend(event for event in events if isinstance(event, Frame) and event.opcode in _DATA)


_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def _ended(protocol: ClientProtocol) -> str:
    """Why the connection is no longer open."""
    if protocol.close_rcvd is not None:
        return f"it closed the connection (code {int(protocol.close_rcvd.code)}): was it restarted or stopped?"
    if protocol.close_sent is not None and protocol.close_sent.code == 1009:
        return f"a message is larger than {MESSAGE_LIMIT // 2**20} MiB: is the address that of /connections?"
    return "what comes from there breaks the WebSocket protocol: is something in between that changes it?"
