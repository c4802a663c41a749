# SPDX-License-Identifier: GPL-2.0-or-later
"""httping: one HEAD request over HTTP or HTTPS.

Alive is a server whose status line says
* below 400 (redirections are not followed), where the target is a URL with a path: that page is expected to exist;
* below 500, where the target is only a host or an address: nobody promised what is to be found there;
* 405 or 501 in both cases: it refuses HEAD, not us.
Any other status, or an answer that is not HTTP, is a failure at once.

Certificates are checked against the system's authorities where the target has a host name. For a bare address nothing
is checked, as hardly any certificate names addresses. A certificate that is not valid yet passes: a router that boots
without a clock must get on line to learn the time.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netpath.probe.base import Context, words
from netpath.probe.endpoint import Page, page
from netpath.probe.resolve import Resolver
from netpath.probe.stream import StreamProber

if TYPE_CHECKING:
    from ssl import SSLContext, SSLSocket

_LONGEST_LINE = 1024
"""Bytes of a status line, at most."""

_NOT_YET_VALID = 9
"""X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL."""

_REFUSES_HEAD = {405, 501}


@dataclass(slots=True)
class _Request:
    page: Page
    to_send: bytes
    received: bytes = b""


class HttpProber(StreamProber):
    """Targets are URLs, host names or addresses; `tls` is how to reach the ones without a scheme."""

    def __init__(self, context: Context, tls: bool, resolver: Resolver | None = None) -> None:
        super().__init__(context)
        self._tls = tls
        self._resolver = resolver or Resolver(context)
        self._requests: dict[int, _Request] = {}
        self._contexts: dict[bool, SSLContext] = {}
        """Whether certificates are checked -> TLS context; made when first needed."""

    def send(self, token: int, target: str) -> None:
        try:
            asked = page(target, self._tls)
            head = f"HEAD {asked.path} HTTP/1.1\r\nHost: {asked.authority}\r\nUser-Agent: netpath\r\nConnection: close"
            self._requests[token] = _Request(asked, head.encode("ascii") + b"\r\n\r\n")
            if self.context.is_address(asked.host):
                self.connect(token, asked.host, asked.port)
            elif ":" in asked.host or asked.host.replace(".", "").isdigit():
                self.fail(token, f"not an {self.context.uplink.family} address")
            else:
                self._resolver.resolve(token, asked.host, lambda address: self.connect(token, address, asked.port))
        except OSError as error:
            self.fail(token, words(error))
        except ValueError as error:
            self.fail(token, str(error))

    def connected(self, token: int, sock: socket.socket) -> None:
        request = self._requests[token]
        if request.page.tls:
            try:
                tls = self._wrap(sock, request.page.host)
            except (OSError, ValueError) as error:
                self.fail(token, f"TLS: {error}")
                return
            self.replace(token, tls)
            self._handshake(token, tls)
        else:
            self._talk(token, sock)

    def drop(self, token: int) -> None:
        self._requests.pop(token, None)
        self._resolver.cancel(token)
        super().drop(token)

    def close(self) -> None:
        super().close()
        self._requests.clear()
        self._resolver.close()

    def _wrap(self, sock: socket.socket, host: str) -> SSLSocket:
        """TLS over `sock`. `ssl` costs 4 MiB of memory: imported when an HTTPS target exists."""
        try:
            import ssl
        except ImportError:
            raise OSError("this Python has no module ssl; on OpenWrt it is in the package python3-openssl") from None
        check = not self.context.is_address(host)
        context = self._contexts.get(check)
        if context is None:
            context = ssl.create_default_context() if check else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if not check:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[check] = context
        name = host if check else None
        return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)

    def _handshake(self, token: int, sock: SSLSocket) -> None:
        import ssl

        loop = self.context.loop
        loop.remove_reader(sock)
        loop.remove_writer(sock)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(sock, self._handshake, token, sock)
        except ssl.SSLWantWriteError:
            loop.add_writer(sock, self._handshake, token, sock)
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == _NOT_YET_VALID:
                self.succeed(token)
            else:
                self.fail(token, f"certificate: {error.verify_message}")
        except OSError as error:
            self.fail(token, f"TLS: {words(error)}")
        else:
            self._talk(token, sock)

    def _talk(self, token: int, sock: socket.socket) -> None:
        """Send what is left of the request, read what is there of the answer, wait for more."""
        request = self._requests[token]
        loop = self.context.loop
        loop.remove_reader(sock)
        loop.remove_writer(sock)
        try:
            if request.to_send:
                request.to_send = request.to_send[sock.send(request.to_send) :]
            if request.to_send:
                loop.add_writer(sock, self._talk, token, sock)
                return
            data = sock.recv(_LONGEST_LINE)
        except BlockingIOError:
            self._wait(token, sock)
        except OSError as error:
            if _wants_more(error):
                self._wait(token, sock)
            else:
                self.fail(token, words(error))
        else:
            request.received += data
            self._judge(token, sock, ended=not data)

    def _wait(self, token: int, sock: socket.socket) -> None:
        watch = self.context.loop.add_writer if self._requests[token].to_send else self.context.loop.add_reader
        watch(sock, self._talk, token, sock)

    def _judge(self, token: int, sock: socket.socket, ended: bool) -> None:
        request = self._requests[token]
        line, newline, _ = request.received.partition(b"\n")
        if not newline and not ended and len(line) < _LONGEST_LINE:
            self._wait(token, sock)
            return
        status = status_of(line)
        if status is None:
            self.fail(token, "not an HTTP answer")
        elif status < (400 if request.page.exact else 500) or status in _REFUSES_HEAD:
            self.succeed(token)
        else:
            self.fail(token, f"HTTP status {status}")


def status_of(line: bytes) -> int | None:
    """The status in `HTTP/1.1 204 No Content`; None when the line is none of HTTP/1."""
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
        return None
    return int(parts[1])


def _wants_more(error: OSError) -> bool:
    """Whether TLS only asks for another packet. By name: plain HTTP must not import `ssl` to ask."""
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")
