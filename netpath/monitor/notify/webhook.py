# SPDX-License-Identifier: GPL-2.0-or-later
"""One message by HTTP: a POST with a bounded answer of which only the status counts."""

from __future__ import annotations

import base64
import http.client
import socket
import time
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus

from netpath import __version__
from netpath.monitor.notify import threads, tls
from netpath.monitor.notify.outcome import Connect, RefusedError, UndeliveredError, told
from netpath.monitor.notify.payload import payload
from netpath.monitor.notify.text import Message
from netpath.monitoring import Notify
from netpath.probe.endpoint import Page, page

REDIRECTS = 3
EXCHANGE = 2
"""A whole exchange may take so many times the timeout; each step of it once."""
AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""Of 400 to 499 those that ask for another try."""


class Webhook:
    """Raises ValueError, without the address, for a `url` that cannot be used."""

    def __init__(self, settings: Notify) -> None:
        self._settings = settings
        self._page = address(settings.url)
        self._secrets = (settings.token, settings.password, self._page.path if len(self._page.path) > 1 else "")
        if not (settings.token.isascii() and settings.token.isprintable()):
            raise ValueError("the token has characters that no header may have")
        self._headers = {"User-Agent": f"netpath/{__version__}", **_authorization(settings)}
        self.host = self._page.host

    @property
    def target(self) -> str:
        """Scheme and host: what follows is often a secret."""
        return f"{'https' if self._page.tls else 'http'}://{self._page.authority}"

    async def send(self, connect: Connect, message: Message) -> str | None:
        """Raises UndeliveredError."""
        where = self._page
        for _ in range(1 + REDIRECTS):
            sock = await connect(where.port)
            work = partial(self._post, where, message)
            further = await threads.exchange(work, sock, EXCHANGE * self._settings.timeout)
            if further is None:
                return None
            where = further
        raise UndeliveredError("it redirects again and again")

    def _post(self, where: Page, message: Message, sock: socket.socket) -> Page | None:
        """In a thread: None when it was taken, else where to ask instead."""
        sock.settimeout(self._settings.timeout)
        if where.tls:
            sock = tls.wrap(sock, where.host, verify=self._settings.verify)
        connection = http.client.HTTPConnection(where.host, where.port)
        connection.sock = sock
        body, headers = payload(message, self._settings.format)
        headers = {"Host": where.authority, **self._headers, **headers, "Connection": "close"}
        try:
            connection.request("POST", where.path, body, headers)
            answer = connection.getresponse()
            # What it says beyond that is not read.
            return self._judge(where, answer.status, answer.headers)
        except TimeoutError:
            raise UndeliveredError("no answer in time") from None
        except http.client.RemoteDisconnected:
            raise UndeliveredError("it closed the connection without an answer") from None
        except http.client.HTTPException as error:
            raise UndeliveredError(f"its answer is no HTTP ({type(error).__name__})") from None
        except OSError as error:
            raise UndeliveredError(told(f"the connection broke: {error.strerror or error}", self._secrets)) from None
        finally:
            connection.close()

    def _judge(self, where: Page, status: int, headers: http.client.HTTPMessage) -> Page | None:
        if 200 <= status < 300:
            return None
        said = _words(status)
        if status in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT):
            return self._redirected(where, headers.get("Location", ""))
        if 300 <= status < 400:
            raise UndeliveredError(f"it answered {said}, a redirect that a message cannot follow; put the final URL in")
        if 400 <= status < 500 and status not in AGAIN:
            raise RefusedError(f"it answered {said}")
        raise UndeliveredError(f"it answered {said}", _pause(headers.get("Retry-After", "")))

    def _redirected(self, where: Page, location: str) -> Page:
        """The new place on the same host. Token and message go to no other, nor from TLS to plain text."""
        if location.startswith("/") and not location.startswith("//"):
            location = f"{'https' if where.tls else 'http'}://{where.authority}{location}"
        try:
            new = address(location)
        except ValueError:
            raise UndeliveredError("it redirects to something that is no URL") from None
        if new.host.lower() != where.host.lower() or (where.tls and not new.tls):
            raise UndeliveredError("it redirects to another host, or away from https, which is not followed")
        return new


def address(url: str) -> Page:
    """Raises ValueError without any part of the URL, which may hold secrets."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("http", "https") or "@" in rest.partition("/")[0]:
        raise ValueError("it must be http://HOST/... or https://HOST/..., without a user name (option username)")
    try:
        return page(url, tls=False)
    except ValueError:
        raise ValueError("it is no URL; names and paths are ASCII, other characters are written as %XX") from None


def _authorization(settings: Notify) -> dict[str, str]:
    if settings.token:
        return {"Authorization": f"Bearer {settings.token}"}
    if settings.username:
        pair = base64.b64encode(f"{settings.username}:{settings.password}".encode())
        return {"Authorization": f"Basic {pair.decode()}"}
    return {}


def _words(status: int) -> str:
    """The number with our own words for it: the receiver's may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _pause(text: str) -> float:
    """Retry-After (RFC 9110, 10.2.3) in seconds: a number or a date; 0 for anything else."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
