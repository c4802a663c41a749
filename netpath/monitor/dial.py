# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to other machines, with errors that tell people what to do."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import threading
from contextlib import suppress
from functools import cache

from netpath.monitor.address import Address
from netpath.monitor.readings import ServiceError

LINE_LIMIT = 16 * 1024
"""Bytes of a peer's heading that are waited for; asyncio buffers twice as much before it stops reading."""
MOST_ADDRESSES = 6
"""Of one name that are tried."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Lookup = tuple[str, int, asyncio.AbstractEventLoop]

_lookups: dict[Lookup, asyncio.Future[list[str]]] = {}
"""What is being asked now: a name server that is silent for minutes must not cost a thread for each attempt."""


async def connect(address: Address, *, verify: bool, timeout: float) -> Streams:
    """Connect, by TLS if the address says so, within `timeout` seconds. Raises ServiceError."""
    where = f"{address.host} port {address.port}"
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(deadline):
            found = await _resolve(address.host, address.port)
    except TimeoutError:
        raise ServiceError(
            f"the name {address.host} was not resolved in {timeout:g} s: check DNS, or write an address"
        ) from None
    for number, ip in enumerate(found):
        # One that does not answer leaves time for the others.
        share = (deadline - asyncio.get_running_loop().time()) / (len(found) - number)
        try:
            async with asyncio.timeout(max(share, 0)):
                return await _open(address, ip, verify=verify)
        except (OSError, TimeoutError) as error:
            if number == len(found) - 1:
                raise ServiceError(f"{where}: {_why(error, timeout)}") from None
    raise ServiceError(f"{where}: the name has no address; check DNS")


async def _open(address: Address, ip: str, *, verify: bool) -> Streams:
    context = tls(verify) if address.secure else None
    name = address.host if address.secure else None
    return await asyncio.open_connection(ip, address.port, ssl=context, server_hostname=name, limit=LINE_LIMIT)


@cache
def tls(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def close(writer: asyncio.StreamWriter) -> None:
    """At once: nobody waits for what a peer might still want to read, or for its farewell."""
    writer.transport.abort()


async def _resolve(host: str, port: int) -> list[str]:
    """Addresses of a name, in the system's order of preference. Raises ServiceError."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host.partition("%")[0])
            return [host]
    key = (host, port, asyncio.get_running_loop())
    if key not in _lookups:
        _lookups[key] = asyncio.get_running_loop().create_future()
        # Not asyncio's executor: the end of the process would wait for its threads, and they for a name server.
        threading.Thread(target=_ask, args=(key,), name="resolver", daemon=True).start()
    try:
        return (await asyncio.shield(_lookups[key]))[:MOST_ADDRESSES]
    except OSError as error:
        raise ServiceError(
            f"the name {host} is unknown ({error.strerror}): check the name, and DNS on this machine"
        ) from None


def _ask(key: Lookup) -> None:
    host, port, loop = key
    found: list[str] | OSError
    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        found = error
    except UnicodeError:
        found = socket.gaierror(socket.EAI_NONAME, "no name that could be one")
    try:
        loop.call_soon_threadsafe(_answered, key, found)
    except RuntimeError:  # the loop has ended meanwhile
        del _lookups[key]


def _answered(key: Lookup, found: list[str] | OSError) -> None:
    future = _lookups.pop(key)
    if isinstance(found, OSError):
        future.set_exception(found)
        future.exception()  # whoever asked may have given up
    else:
        future.set_result(found)


def _why(error: OSError | TimeoutError, timeout: float) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}): install its authority's certificate here, or set"
            " option verify '0' if nobody can be in between"
        )
    if isinstance(error, ssl.SSLError):
        return "no TLS is spoken there: write the address with http:// (ws://), or check the port"
    if isinstance(error, TimeoutError):
        fix = "check the address, firewalls in between, and whether TLS (https, wss) is what is spoken there"
        return f"no connection within {timeout:g} s: {fix}"
    return f"{_strerror(error)}: {_FIX.get(error.errno or 0, 'check the address, and that the other side runs')}"


def _strerror(error: OSError) -> str:
    # asyncio's own text names address and port in a form of its own.
    return os.strerror(error.errno) if error.errno else "the connection failed"


_FIX = {
    errno.ECONNREFUSED: "nothing listens there; check the port, and that the other side runs",
    errno.ENETUNREACH: "this machine has no route to it",
    errno.EHOSTUNREACH: "this machine does not reach it; check the address, and that the other side is on",
    errno.ECONNRESET: "the other side broke it off; check the port, and whether TLS (https, wss) is wanted there",
    errno.ETIMEDOUT: "check the address, and firewalls in between",
}


def broken(error: OSError) -> str:
    """What became of a connection, in words."""
    return (
        "the TLS connection broke" if isinstance(error, ssl.SSLError) else f"the connection broke: {_strerror(error)}"
    )
