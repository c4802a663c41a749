# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of values that only options of the monitor take. What leaves them has no control characters, so that it can
go into a header, a topic or a log line.
"""

from __future__ import annotations

import re
import socket
from typing import Any

from netpath.config.kinds import Kind, Limits
from netpath.config.values import (
    BadValueError,
    address_number,
    parse_choice,
    parse_device_or_interface,
    parse_hostname,
    parse_network,
)

_TEXT_LENGTH = 255
_URL_LENGTH = 1024
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?"
                  r"(?:[/?][!-~]*)?", re.ASCII)  # fmt: skip
_USER_INFO = re.compile(r"[A-Za-z]+://[^/?#]*@")
_FILE = re.compile(r"(?:/[A-Za-z0-9_+@=, -][A-Za-z0-9_.+@=, -]*){1,32}", re.ASCII)
_TOPIC = re.compile(r"(?=.{1,128}$)[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", re.ASCII)
_MAILBOX = re.compile(r"(?=.{3,254}$)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<domain>[A-Za-z0-9.-]+)", re.ASCII)


SPELLINGS = {"service_url": _URL, "file": _FILE, "topic": _TOPIC, "mailbox": _MAILBOX}
LENGTHS = {"text": _TEXT_LENGTH, "url": _URL_LENGTH}
"""Both for the web interface, as `netpath.config.values.SPELLINGS`."""


def parse_text(text: str) -> str:
    """User names, passwords, tokens."""
    if not text.isprintable() or len(text) > _TEXT_LENGTH:
        raise BadValueError("not a plain text", f"write up to {_TEXT_LENGTH} characters without control characters")
    return text


def parse_url(text: str, schemes: tuple[str, ...]) -> str:
    """An address with one of these schemes, a host, and no user name or password before it."""
    example = f"write one like {schemes[0]}://192.0.2.1/"
    if _USER_INFO.match(text):
        raise BadValueError("a user name or password in an address ends up in logs", "write them as options")
    match = _URL.fullmatch(text)
    if match is None or len(text) > _URL_LENGTH:
        raise BadValueError("not an address", example)
    if match["scheme"] not in schemes:
        raise BadValueError(f"{match['scheme']}:// does not fit here", f"write {' or '.join(schemes)}://")
    if match["host"].startswith("[") and address_number(match["host"][1:-1]) is None:
        raise BadValueError("no IPv6 address between the brackets", example)
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        raise BadValueError("no port", "write a port from 1 to 65535")
    return text


def parse_host(text: str) -> str:
    if address_number(text) is not None:
        return text
    try:
        return parse_hostname(text)
    except BadValueError:
        raise BadValueError("neither a host name nor an address", "write one like mail.example.com") from None


def parse_own_address(text: str) -> str:
    """An address of this machine, `::` and `0.0.0.0` for all, in its usual spelling."""
    found = address_number(text)
    if found is None:
        raise BadValueError("not an IP address", "write one like 192.168.1.1, or :: for all")
    length, family = (4, socket.AF_INET) if found[0] == "ipv4" else (16, socket.AF_INET6)
    return socket.inet_ntop(family, found[1].to_bytes(length, "big"))


def parse_prefix(text: str) -> str:
    """ADDRESS or ADDRESS/LENGTH of either family; host bits are dropped."""
    match = parse_network(text)
    bits, family = (32, socket.AF_INET) if match.family == "ipv4" else (128, socket.AF_INET6)
    length = match.mask.bit_count()
    if match.mask != (1 << bits) - (1 << bits - length):
        raise BadValueError("a mask with gaps is no network", "write ADDRESS/LENGTH")
    return f"{socket.inet_ntop(family, match.value.to_bytes(bits // 8, 'big'))}/{length}"


def parse_file(text: str) -> str:
    if not _FILE.fullmatch(text):
        raise BadValueError("not a file", "write an absolute path like /etc/ssl/certs/ca.pem")
    return text


def parse_topic(text: str) -> str:
    if not _TOPIC.fullmatch(text):
        raise BadValueError("not the beginning of a topic", "use letters, digits, _, . and -, with / in between")
    return text


def parse_mailbox(text: str) -> str:
    match = _MAILBOX.fullmatch(text)
    if match is None:
        raise BadValueError("not a mail address", "write one like router@example.com")
    return text


def _plain(items: list[Any], _: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _url(text: str, option: Limits) -> str:
    return parse_url(text, option.choices)


TEXT = Kind("text", lambda text, _: parse_text(text))
URL = Kind("address", _url)
HOST = Kind("host name or IP address", lambda text, _: parse_host(text))
FILE = Kind("file", lambda text, _: parse_file(text))
TOPIC = Kind("topic", lambda text, _: parse_topic(text))
TOPIC_OR_NONE = Kind("topic, or none", lambda text, _: "" if text == "none" else parse_topic(text))
MAILBOX = Kind("mail address", lambda text, _: parse_mailbox(text))
MAILBOXES = Kind("list of mail addresses", lambda text, _: parse_mailbox(text), _plain, commas=True)
OWN_ADDRESSES = Kind("list of own IP addresses", lambda text, _: parse_own_address(text), _plain, commas=True)
CLIENTS = Kind("list of networks", lambda text, _: parse_prefix(text), _plain, commas=True)
INTERFACES = Kind("list of interfaces or devices", lambda text, _: parse_device_or_interface(text), _plain, commas=True)
CHOICES = Kind("list of words", lambda text, o: parse_choice(text, o.choices, o.spellings), _plain, commas=True)
