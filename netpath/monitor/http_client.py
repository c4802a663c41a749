# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of HTTP/1.1 (RFC 9112) for one server: everything that comes is bounded, in size and in time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from netpath.monitor import dial
from netpath.monitor.address import HTTP, Address, clean, parse
from netpath.monitor.readings import ServiceError

BODY_LIMIT = 1024 * 1024
"""Bytes of a reply. What a router with 100 devices tells of them is a third of that."""
HEAD_LIMIT = dial.LINE_LIMIT
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)


class HttpClient:
    """Requests to one server, one at a time, over a connection that is kept. `close` it."""

    def __init__(self, address: Address, *, verify: bool, timeout: float) -> None:
        """`timeout`: seconds for one whole exchange, and as many before it for a new connection."""
        self.address = address
        """Where requests go; by TLS from the moment on when the server has sent us there."""
        self._verify = verify
        self._timeout = timeout
        self._streams: dial.Streams | None = None

    def close(self) -> None:
        if self._streams is not None:
            dial.close(self._streams[1])
            self._streams = None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """One exchange. A redirection to https on the same host is followed; any other is the answer.

        Raises ServiceError.
        """
        response = await self._exchange(path, body, headers)
        if response.status in REDIRECTS and self._now_secure(response, path):
            response = await self._exchange(path, body, headers)
        return response

    def _now_secure(self, response: Response, path: str) -> bool:
        """Whether this is the server's way of saying "only by TLS" (OpenWrt's `redirect_https`)."""
        if self.address.secure:
            return False
        try:
            there = parse(urljoin(self.address.at(path).shown(), response.header("location") or ""), HTTP)
        except (ServiceError, ValueError):
            return False
        if not there.secure or there.host != self.address.host or there.path != path:
            return False
        self.close()
        self.address = there.at(self.address.path)
        return True

    async def _exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        request = _request(self.address, path, body, headers)
        while True:
            kept = self._streams is not None
            if self._streams is None:
                self._streams = await dial.connect(self.address, verify=self._verify, timeout=self._timeout)
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._over(self._streams, request)
            except TimeoutError:
                self.close()
                fix = "is the other side overloaded, or the line bad?"
                raise ServiceError(f"no whole answer within {self._timeout:g} s: {fix}") from None
            except (_StaleError, OSError) as error:
                self.close()
                if kept:
                    continue  # servers end connections that they have not heard from for a while
                if isinstance(error, OSError):
                    raise ServiceError(dial.broken(error)) from None
                raise ServiceError("the other side ended the connection without an answer: check the port") from None
            except BaseException:
                self.close()
                raise

    async def _over(self, streams: dial.Streams, request: bytes) -> Response:
        reader, writer = streams
        writer.write(request)
        await writer.drain()
        status, headers = await _head(reader)
        response = Response(status, headers, await _body(reader, status, headers))
        if not _kept(headers):
            self.close()
        return response


class _StaleError(Exception):
    """The connection ended before the first byte of an answer."""


def _request(address: Address, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {address.authority}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _head(reader: asyncio.StreamReader) -> tuple[int, tuple[tuple[str, str], ...]]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise _StaleError from None
        raise ServiceError(f"{NO_HTTP}: check the port") from None
    except asyncio.LimitOverrunError:
        raise ServiceError(f"{NO_HTTP} (a heading of over {HEAD_LIMIT} bytes): check the port") from None
    first, *lines = head.decode("latin-1").split("\r\n")
    code = status(first)
    pairs = (line.partition(":") for line in lines if line)
    return code, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)


def status(line: str) -> int:
    """Of a status line. Raises ServiceError."""
    match = _STATUS.match(line)
    if not match:
        raise ServiceError(f"{NO_HTTP}: check the port")
    return int(match[1])


_STATUS = re.compile(r"HTTP/1\.\d ([1-5]\d\d)(?!\S)", re.ASCII)
NO_HTTP = "what answers there does not speak HTTP"
_CUT = "the answer ended in the middle: is the line bad?"


def _values(headers: tuple[tuple[str, str], ...], name: str) -> str:
    return ",".join(value for known, value in headers if known == name).lower()


def _kept(headers: tuple[tuple[str, str], ...]) -> bool:
    """Whether another request may follow: the server has not said otherwise, and we know where its answer ended."""
    ended = "chunked" in _values(headers, "transfer-encoding") or bool(_values(headers, "content-length"))
    return ended and "close" not in _values(headers, "connection")


async def _body(reader: asyncio.StreamReader, status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    if status in (204, 304):
        return b""
    if "chunked" in _values(headers, "transfer-encoding"):
        return await _chunks(reader)
    length = _values(headers, "content-length")
    try:
        if not length:
            return await _rest(reader)
        return await reader.readexactly(_size(length, 10))
    except asyncio.IncompleteReadError:
        raise ServiceError(_CUT) from None


async def _rest(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while piece := await reader.read(65536):
        body += piece
        _size(str(len(body)), 10)
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    try:
        while size := _size((await reader.readuntil(b"\n")).decode("latin-1").partition(";")[0].strip(), 16, len(body)):
            body += await reader.readexactly(size)
            await reader.readuntil(b"\n")
        while (await reader.readuntil(b"\n")).strip():  # trailers
            pass
    except asyncio.IncompleteReadError:
        raise ServiceError(_CUT) from None
    except asyncio.LimitOverrunError:
        raise ServiceError(f"{NO_HTTP}: check the port") from None
    return bytes(body)


def _size(text: str, base: int, before: int = 0) -> int:
    """A length of the server's. Raises ServiceError."""
    digits = "0123456789abcdef"[:base]
    if not text or len(text) > 16 or text.lower().strip(digits):
        raise ServiceError(f"{NO_HTTP} (a length of {clean(text, 20)!r}): check the port")
    size = int(text, base)
    if before + size > BODY_LIMIT:
        raise ServiceError(f"the answer is larger than {BODY_LIMIT // 1024} KiB: is the address right?")
    return size
