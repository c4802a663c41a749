# SPDX-License-Identifier: GPL-2.0-or-later
"""What the targets of tcp and httping mean. Raises ValueError, with the reason, for those that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass

from netpath.probe.base import is_address


@dataclass(frozen=True, slots=True)
class Page:
    """What httping asks for."""

    tls: bool
    host: str
    """Name or address, without brackets."""
    port: int
    path: str
    """Starts with a slash."""
    exact: bool
    """The target named a path, so that the page is expected to exist."""

    @property
    def authority(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def page(target: str, tls: bool) -> Page:
    """A URL, a host name or an address; `tls` says how to reach one without a scheme."""
    if any(not "!" <= char <= "~" for char in target):
        raise ValueError(f"{target!r} is not a URL")
    scheme, separator, rest = target.partition("://")
    if separator:
        if scheme.lower() not in ("http", "https"):
            raise ValueError(f"{target!r} is neither http nor https")
        tls = scheme.lower() == "https"
    else:
        rest = target
    authority, slash, path = rest.partition("#")[0].partition("/")
    host, port = host_port(authority, 443 if tls else 80)
    return Page(tls, host, port, "/" + path, bool(slash and path))


def host_port(text: str, default: int) -> tuple[str, int]:
    """HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise ValueError(f"{text!r} is not [ADDRESS]:PORT")
        port = after[1:]
    elif not is_address(text, "ipv6"):
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(f"{text!r} names no host")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{text!r} has no valid port")
    return host, int(port) if port else default
