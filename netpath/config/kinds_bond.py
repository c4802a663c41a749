# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of values that only options of the bond take."""

from __future__ import annotations

import re
import socket
from typing import Any

from netpath.config.kinds import Kind, Limits
from netpath.config.kinds_monitor import parse_host, parse_prefix
from netpath.config.values import BadValueError, address_number, parse_device_or_interface, parse_whole

KEY_BYTES = 32
"""Of X25519 keys and preshared keys."""
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=", re.ASCII)
"""Base64 of 32 bytes (RFC 4648, 4): 43 characters, whose last one has two bits to spare, and the padding."""
_KEY_LENGTH = 44
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([kKmMgG]?)(bits?/s|bits?|b/s|bps|[Bb]ytes?/s|B/s|Bps)", re.ASCII)
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]{1,5})", re.ASCII)
_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BYTES = ("byte/s", "Byte/s", "bytes/s", "Bytes/s", "B/s", "Bps")
_SLOWEST, _FASTEST = 1_000, 125_000_000_000
"""Bytes a second: 8 kbit/s and 1000 Gbit/s."""

SPELLINGS = {"key": _KEY, "rate": _RATE, "server": _SERVER}
WORDS = {"thousands": _THOUSANDS, "units_of_bytes": _BYTES}
LIMITS = {"rate": (_SLOWEST, _FASTEST)}
"""All for the web interface, as `netpath.config.values.SPELLINGS`."""


def parse_key(text: str) -> bytes:
    """The 32 bytes of a key."""
    import binascii  # a C module; base64 around it is a file more to read

    if not _KEY.fullmatch(text):
        length = len(text)
        if length != _KEY_LENGTH:
            message = f"not a whole key: {length} characters instead of {_KEY_LENGTH}"
        else:
            message = "not a key: these characters are no base64 of 32 bytes"
        raise BadValueError(message, f"copy all {_KEY_LENGTH} characters of it, up to the = at its end")
    return binascii.a2b_base64(text)


def parse_rate(text: str) -> float:
    """Bytes a second of 50mbit, 50Mbit/s, 50Mbps (bits), 6MB/s, 6Mbyte/s (bytes)."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise BadValueError("not a rate", "write bits like 50mbit, or bytes like 6MB/s")
    number = float(match[1]) * _THOUSANDS[match[2].lower()]
    rate = number if match[3] in _BYTES else number / 8
    if not _SLOWEST <= rate <= _FASTEST:
        raise BadValueError("out of range", "use 8kbit to 1000gbit")
    return rate


def parse_server(text: str) -> tuple[str, int | None]:
    """Host name or address, and its port where one is written: HOST, HOST:PORT, [ADDRESS]:PORT."""
    if address_number(text) is not None:
        return text, None
    match = _SERVER.fullmatch(text)
    if match is None:
        return parse_host(text.strip("[]")) if re.fullmatch(r"\[[^\[\]]*\]", text) else parse_host(text), None
    host = match["host"]
    if host.startswith("["):
        host = host[1:-1]
        if (address_number(host) or ("",))[0] != "ipv6":
            raise BadValueError("no IPv6 address between the brackets", "write one like [2001:db8::1]:9001")
    return parse_host(host), parse_whole(match["port"], 1, 65535)


def parse_inner(text: str) -> str:
    """ADDRESS or ADDRESS/LENGTH of one machine, in its usual spelling; host bits are kept, no length is added."""
    address, slash, length = text.partition("/")
    found = address_number(address)
    if found is None:
        raise BadValueError("not an address", "write one like 10.99.0.2/24 or 2001:db8::2/64")
    family, number = found
    size, inet, bits = (4, socket.AF_INET, 32) if family == "ipv4" else (16, socket.AF_INET6, 128)
    top = number >> (bits - 8)
    if number < 1 << (bits - 8 if family == "ipv4" else 1) or top == 0xFF or (family == "ipv4" and top in _NO_HOSTS):
        raise BadValueError("no machine can have this address", "write one like 10.99.0.2/24")
    shown = socket.inet_ntop(inet, number.to_bytes(size, "big"))
    if not slash:
        return shown
    if not re.fullmatch(r"[0-9]{1,3}", length, re.ASCII) or not 1 <= int(length) <= bits:
        raise BadValueError("the part after / is no length", f"write 1 to {bits}")
    return f"{shown}/{int(length)}"


_NO_HOSTS = (127, *range(224, 256))


def parse_weight(text: str) -> float:
    if not re.fullmatch(r"[01](?:\.[0-9]{1,6})?|\.[0-9]{1,6}", text, re.ASCII) or float(text) > 1:
        raise BadValueError("not a weight", "write a number from 0 to 1, like 0.7")
    return float(text)


def _plain(items: list[Any], _: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _key(text: str, _: Limits) -> bytes:
    return parse_key(text)


KEY = Kind("key, base64 of 32 bytes", _key)
RATE = Kind("rate", lambda text, _: parse_rate(text))
WEIGHT = Kind("number from 0 to 1", lambda text, _: parse_weight(text))
SERVERS = Kind("list of hosts or HOST:PORT", lambda text, _: parse_server(text), _plain, commas=True)
INNER_ADDRESSES = Kind("list of addresses with length", lambda text, _: parse_inner(text), _plain, commas=True)
BEHIND = Kind("list of networks", lambda text, _: parse_prefix(text), _plain, commas=True)
LINK = Kind("interface or device", lambda text, _: parse_device_or_interface(text))
