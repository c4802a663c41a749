# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of sources, as people write them: a whole URL, or only host:port. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from netpath.monitor.readings import ServiceError

LONGEST = 2048
"""Characters of an address."""
HTTP: Mapping[str, bool] = {"http": False, "https": True}
"""Schemes that are understood -> whether by TLS."""
WEBSOCKET: Mapping[str, bool] = {"ws": False, "wss": True, **HTTP}
PORTS = {False: 80, True: 443}


@dataclass(frozen=True, slots=True)
class Address:
    secure: bool
    """By TLS."""
    host: str
    """A name or an address, IPv6 without brackets."""
    port: int
    path: str
    """"" or from its "/" on, percent-encoded as it was written."""
    query: str
    """Without "?"; it may hold a token."""
    login: tuple[str, str] | None
    """Name and password of "user:password@"."""

    @property
    def authority(self) -> str:
        """Host, and port if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.secure] else f"{host}:{self.port}"

    @property
    def request(self) -> str:
        """What the request line names."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    def shown(self, schemes: tuple[str, str] = ("http", "https")) -> str:
        """For logs and pages: without login and query. `schemes`: without and with TLS."""
        return f"{schemes[self.secure]}://{self.authority}{self.path}"

    def at(self, path: str) -> Address:
        """Another place of the same server."""
        return replace(self, path=path, query="")


def parse(text: str, schemes: Mapping[str, bool]) -> Address:
    """`schemes`: HTTP or WEBSOCKET; without a scheme the first of them is meant. Raises ServiceError, whose text does
    not repeat the address: it may hold a password.
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ServiceError(f"the address is empty, too long or has characters that none may have; {_form(schemes)}")
    if "://" not in text:
        text = f"{next(iter(schemes))}://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ServiceError(f"the address is not understood; {_form(schemes)}") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ServiceError(f"the address is not understood; {_form(schemes)}")
    secure = schemes[parts.scheme]
    login = None
    if parts.username is not None:
        login = unquote(parts.username), unquote(parts.password or "")
    return Address(secure, host, port or PORTS[secure], parts.path, parts.query, login)


def _form(schemes: Mapping[str, bool]) -> str:
    first, *others = schemes
    return f"write it as {first}://host:port/path (or {', '.join(others)})"


def arguments(query: str) -> list[tuple[str, str]]:
    """Names and values of a query, still encoded."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(name, value) for name, _, value in pairs]


def clean(text: str, length: int = 64) -> str:
    """A peer's text for logs and pages: cut, and without anything but printable characters."""
    cut = text[: length + 1]
    shown = "".join(c if c.isprintable() else "?" for c in cut[:length])
    return f"{shown}..." if len(cut) > length else shown
