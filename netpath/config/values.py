# SPDX-License-Identifier: GPL-2.0-or-later
"""How single values are spelled: each `parse_*` takes one text and returns the value or raises BadValueError.

Addresses go through inet_pton and every other text through an anchored pattern, so that what leaves this module is
either a number or made of harmless characters only: it can be put into nft text as it is.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from netpath.model import AddressMatch
from netpath.steering.resolvers import may_be_elsewhere


class BadValueError(Exception):
    """`message` says what is wrong, `fix` what to write instead."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""Of sections. Not led by . or -, for names become file names and arguments."""
_DEVICE = re.compile(r"[A-Za-z0-9_.:@-]{1,64}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_SET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HOSTNAME = re.compile(r"(?=.{1,253}\.?$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
                       r"[A-Za-z_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?", re.ASCII)  # fmt: skip
_TARGET = re.compile(r"[A-Za-z0-9_.:/\[\]?&=%+~,@-]{1,255}", re.ASCII)
_URL = re.compile(r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/.*)?", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*"
                     r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # fmt: skip
_DIRECTORY = re.compile(r"(?:/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*){1,32}/?", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(ms|s|m|h)?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_SECONDS_IN = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
MAX_DEVICE = 15  # IFNAMSIZ - 1, linux/if.h

_NFT_WORDS = """
    accept add ah all and arp bridge cgroup chain comment comp constant continue counter cpu create ct day dccp
    define delete describe destroy device devices dnat drop dst dup dynamic ecn element elements eq esp ether
    exists expires export exthdr fib flags flow flowtable flush frag fwd geneve get goto gre gretap gt handle
    hbh hook hour ibriport ibrname icmp icmpv6 igmp iif iifgroup iifname iiftype import include index inet
    insert interval ip ip6 ipsec jhash jump last limit list log lt map mark masquerade meta meter mh missing
    monitor ne netdev nftrace not notrack numgen obriport obrname offload oif oifgroup oifname oiftype or osf
    pkttype policy position priority queue quota random redefine redirect reject rename replace reset return rt
    rt0 rt2 rtclassid rule ruleset sctp secmark set size skgid skuid snat socket srh symhash synproxy table tcp
    th time timeout tproxy type typeof udp udplite undefine update vlan vmap vxlan xor xt
"""
"""Words that nft's grammar does not take as a name: found by asking nft 1.0.6, with later additions."""
_NFT_KEYWORDS = frozenset(_NFT_WORDS.split())
_FOREIGN_TABLES = frozenset(
    ("fw4", "filter", "nat", "mangle", "raw", "security", "firewalld", "mwan3", "pbr", "qosify", "sqm", "miniupnpd")
)

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "ospf": 89, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""IANA protocol numbers."""
WITH_PORTS = frozenset(PROTOCOLS[name] for name in ("tcp", "udp", "dccp", "sctp", "udplite"))
DSCP_NAMES = (
    {f"cs{n}": 8 * n for n in range(8)}
    | {f"af{x}{y}": 8 * x + 2 * y for x in range(1, 5) for y in range(1, 4)}
    | {"be": 0, "df": 0, "le": 1, "va": 44, "ef": 46}
)
"""RFC 2474, 2597, 3246, 5865, 8622."""
ROUTING_TABLES = {"default": 253, "main": 254, "local": 255}

_TRUE = frozenset(("1", "true", "yes", "on", "enabled"))
_FALSE = frozenset(("0", "false", "no", "off", "disabled"))

SPELLINGS = {
    "name": NAME, "device": _DEVICE, "identifier": _IDENTIFIER, "set_name": _SET_NAME, "hostname": _HOSTNAME,
    "target": _TARGET, "url": _URL, "domain": _DOMAIN, "directory": _DIRECTORY, "mac": _MAC, "duration": _DURATION,
    "number": _NUMBER,
}  # fmt: skip
WORDS = {
    "true": _TRUE, "false": _FALSE, "nft_keywords": _NFT_KEYWORDS, "foreign_tables": _FOREIGN_TABLES,
    "seconds_in": _SECONDS_IN, "protocols": PROTOCOLS, "with_ports": WITH_PORTS, "dscp": DSCP_NAMES,
    "routing_tables": ROUTING_TABLES,
}  # fmt: skip
"""Both for the web interface, which validates by the same patterns and tables (netpath.config.luci)."""


def parse_bool(text: str) -> bool:
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise BadValueError("not a yes or no", "write 1 or 0")


def parse_whole(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII):
        raise BadValueError("not a whole number", f"write a number from {low} to {high}")
    return int(_within(int(text), low, high, f"{low} to {high}"))


def parse_number(text: str, low: float, high: float, unit: str) -> float:
    number = text.removesuffix(unit).rstrip()
    if not _NUMBER.fullmatch(number):
        raise BadValueError(f"not a number of {unit}", f"write a number from {low:g} to {high:g}")
    return _within(float(number), low, high, f"{low:g} to {high:g}")


def parse_duration(text: str, low: float, high: float) -> float:
    """Seconds; the units ms, s, m and h are understood."""
    allowed = f"{show_duration(low)} to {show_duration(high)}"
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadValueError("not a duration", f"write seconds (5, 0.2) or a number with ms, s, m or h, from {allowed}")
    # Rounded to microseconds, so that 200ms and 0.2 are the same number.
    return _within(round(float(match[1]) * _SECONDS_IN[match[2] or "s"], 6), low, high, allowed)


def parse_whole_seconds(text: str, low: int, high: int) -> int:
    seconds = parse_duration(text, low, high)
    if seconds != int(seconds):
        raise BadValueError("not a whole number of seconds", f"write {max(low, round(seconds))}")
    return int(seconds)


def show_duration(seconds: float) -> str:
    """200ms, 5s, 24h: the shortest exact spelling."""
    for unit, size in (("h", 3600.0), ("s", 1.0)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds else "0"


def _within(number: float, low: float, high: float, allowed: str) -> float:
    if not low <= number <= high:
        raise BadValueError("out of range", f"use {allowed}")
    return number


def parse_choice(text: str, choices: tuple[str, ...], spellings: dict[str, str]) -> str:
    word = spellings.get(text.lower(), text.lower())
    if word not in choices:
        raise BadValueError("not one of the known values", f"use {', '.join(choices)}")
    return word


def parse_mask(text: str) -> int:
    """The mark mask: hexadecimal with 0x, or decimal. Its shape is judged by `check`."""
    if not re.fullmatch(r"0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10}", text, re.ASCII):
        raise BadValueError("not a mask", "write it like 0x3F00")
    mask = int(text, 16 if text[:2] in ("0x", "0X") else 10)
    if not 0 < mask <= 0xFFFFFFFF:
        raise BadValueError("a mark mask has 32 bits and is not 0", "write it like 0x3F00")
    return mask


def parse_routing_table(text: str) -> int:
    if text.lower() in ROUTING_TABLES:
        return ROUTING_TABLES[text.lower()]
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII):
        raise BadValueError("not a routing table", "write its number, or main, default or local")
    return parse_whole(text, 1, 0xFFFFFFFF)


def parse_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise BadValueError("not a usable name", "use up to 64 letters, digits, _, . and -, no . or - first")
    return text


def parse_device(text: str) -> str:
    """A kernel network device, as in linux/if.h and dev_valid_name(), without the odd characters the kernel takes."""
    if len(text) > MAX_DEVICE or text in (".", "..") or not _DEVICE.fullmatch(text):
        raise BadValueError("not a device name", "use up to 15 letters, digits, _, ., :, @ and -, like eth0")
    return text


def parse_device_or_interface(text: str) -> str:
    if not _DEVICE.fullmatch(text) or text in (".", ".."):
        raise BadValueError("neither a device nor an interface name", "write a name like br-lan or lan")
    return text


def parse_nft_table(text: str) -> str:
    if not _IDENTIFIER.fullmatch(text) or text in _NFT_KEYWORDS:
        raise BadValueError("not a name that nft takes", "use letters, digits and _, like netpath")
    if text in _FOREIGN_TABLES:
        raise BadValueError("this table belongs to another program", "choose a name of NetPath's own, like netpath")
    return text


def parse_set_name(text: str) -> str:
    if not _SET_NAME.fullmatch(text) or text in _NFT_KEYWORDS:
        raise BadValueError("not a set name that nft takes", "use letters, digits, _, - and ., like streaming")
    if text.startswith(("st_", "dom_")):
        raise BadValueError("names with st_ and dom_ are kept for sticky and domain rules", "choose another name")
    return text


def parse_hostname(text: str) -> str:
    if not _HOSTNAME.fullmatch(text):
        raise BadValueError("not a host name", "write a name like example.com")
    return text


def parse_domain(text: str) -> str:
    """A domain in lower case ASCII (RFC 5890 A-labels), without the dots and the "*." that people write around it."""
    name = text.removeprefix("*.").strip(".").lower()
    if address_number(name) is not None:
        raise BadValueError("an address, not a domain", "write it as dest_ip in a rule of its own")
    if not name.isascii():
        name = _ascii_domain(name)
    if not _DOMAIN.fullmatch(name):
        raise BadValueError("not a domain", "write a name like example.com, which stands for all below it too")
    return name


_CHANGED_BY_IDNA_2008 = frozenset("\u00df\u03c2\u200c\u200d")
"""Characters (sharp s, final sigma, joiners) that the standard library's IDNA 2003 makes another name of."""


def _ascii_domain(name: str) -> str:
    fix = "write its ASCII form, which begins with xn--"
    if not _CHANGED_BY_IDNA_2008.isdisjoint(name):
        raise BadValueError("has a letter that is written in different ways in ASCII", fix)
    try:
        return name.encode("idna").decode("ascii").lower()
    except (UnicodeError, LookupError) as error:  # LookupError: a Python without that codec
        raise BadValueError(f"cannot be written in ASCII ({error})", fix) from error


def parse_directory(text: str) -> str:
    """An absolute path of harmless characters; "" for "auto"."""
    if text == "auto":
        return ""
    if not _DIRECTORY.fullmatch(text):
        raise BadValueError("not a directory", "write auto, or an absolute path like /etc/dnsmasq.d")
    return text.rstrip("/")


def parse_resolver(text: str) -> str:
    """Address of a DNS server that can be on another machine, in its usual spelling."""
    found = address_number(parse_address(text))
    assert found is not None  # parse_address has seen to it
    family, number = found
    length, inet = (4, socket.AF_INET) if family == "ipv4" else (16, socket.AF_INET6)
    address = socket.inet_ntop(inet, number.to_bytes(length, "big"))
    if not may_be_elsewhere(address):
        raise BadValueError("no DNS server of an uplink has such an address", "leave it out")
    return address


def address_number(text: str) -> tuple[str, int] | None:
    """Family and number of a plain address, None when it is not one."""
    family, number = ("ipv6", socket.AF_INET6) if ":" in text else ("ipv4", socket.AF_INET)
    try:
        return family, int.from_bytes(socket.inet_pton(number, text), "big")
    except (OSError, ValueError):
        return None  # the callers say what they expected instead


def parse_address(text: str) -> str:
    if address_number(text) is None:
        raise BadValueError("not an IP address", "write one like 192.0.2.1 or 2001:db8::1")
    return text


def parse_network(text: str) -> AddressMatch:
    """ADDRESS, ADDRESS/LENGTH or ADDRESS/MASK with any mask; host bits are dropped."""
    address, slash, tail = text.partition("/")
    base = address_number(address)
    if base is None:
        raise BadValueError(
            "not an address or network", "write one like 192.0.2.0/24, 0.0.0.1/0.0.0.1 or 2001:db8::/32"
        )
    family, number = base
    bits = 32 if family == "ipv4" else 128
    full = (1 << bits) - 1
    mask = full
    if slash:
        given = address_number(tail)
        if given is not None and given[0] == family:
            mask = given[1]
        elif re.fullmatch(r"[0-9]{1,3}", tail, re.ASCII) and int(tail) <= bits:
            mask = full ^ (full >> int(tail))
        else:
            raise BadValueError("the part after / is neither a length nor a mask", f"write 0 to {bits}, or a mask")
    return AddressMatch(family, number & mask, mask)


def parse_prefix6(text: str, shortest: int, longest: int) -> str:
    """ADDRESS/LENGTH of unicast addresses that routers forward; host bits are dropped."""
    address, _, length = text.partition("/")
    base = address_number(address)
    if base is None or base[0] != "ipv6" or not re.fullmatch(r"[0-9]{1,3}", length, re.ASCII):
        raise BadValueError("not an IPv6 prefix", "write one like 2001:db8:0:100::/56")
    if not shortest <= int(length) <= longest:
        raise BadValueError("out of range", f"use a length from /{shortest} to /{longest}")
    if not base[1] >> 96 or base[1] >> 118 == 0xFE80 >> 6 or base[1] >> 120 == 0xFF:
        raise BadValueError("no prefix of unicast addresses that are routed", "write one like 2001:db8:0:100::/56")
    number = base[1] >> 128 - int(length) << 128 - int(length)
    return f"{socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, 'big'))}/{int(length)}"


def parse_port_range(text: str) -> tuple[int, int]:
    """N, N-M or N:M; an end may be left open with a colon (1024:, :1023)."""
    low, separator, high = text.partition("-") if "-" in text else text.partition(":")
    if separator == ":":
        low, high = low or "0", high or "65535"
    return _range(low, high if separator else low, _port, "write a port like 443 or a range like 8000-8100")


def _port(text: str) -> int:
    return parse_whole(text, 0, 65535)


def parse_dscp_range(text: str) -> tuple[int, int]:
    """A name (CS1, AF41, EF), a number 0-63, or a range of either."""
    low, separator, high = text.partition("-") if "-" in text else text.partition(":")
    return _range(low, high if separator else low, _dscp, "write a number from 0 to 63 or a name like CS1, AF41, EF")


def _dscp(text: str) -> int:
    known = DSCP_NAMES.get(text.lower())
    return known if known is not None else parse_whole(text, 0, 63)


def _range(low: str, high: str, parse: Callable[[str], int], fix: str) -> tuple[int, int]:
    try:
        first, last = parse(low), parse(high)
    except BadValueError as bad:
        raise BadValueError(bad.message, fix) from bad
    if first > last:
        raise BadValueError("the range runs backwards", f"write {high}-{low}")
    return first, last


def parse_protocol(text: str) -> tuple[int, int]:
    """A name or a number; all, any and 0 (as in iptables) stand for every protocol."""
    word = text.lower()
    if word in ("all", "any", "0"):
        return 0, 255
    known = PROTOCOLS.get(word)
    if known is None:
        if not re.fullmatch(r"[0-9]{1,3}", word, re.ASCII) or int(word) > 255:
            raise BadValueError("not a protocol", f"use all, a number up to 255, or one of {', '.join(PROTOCOLS)}")
        known = int(word)
    return known, known


def parse_mac(text: str) -> str:
    word = text.lower()
    if not _MAC.fullmatch(word):
        raise BadValueError("not a MAC address", "write one like 00:00:5e:00:53:01")
    return word.replace("-", ":")


def parse_target(text: str) -> str:
    """Harmless characters only; whether the method can use it is asked of `target_fault`."""
    if not _TARGET.fullmatch(text):
        raise BadValueError("not a tracking target", "write an IP address, or a URL or name for httping")
    return text


def target_fault(text: str, method: str, family: str) -> tuple[str, str] | None:
    """Why `method` cannot probe `text` over `family`: (message, fix), or None when it can."""
    host, port = text, None
    if method == "httping":
        url = _URL.fullmatch(text)
        if url:
            host, port = url["host"].strip("[]"), url["port"]
    elif method == "tcp":
        host, port = _host_and_port(text)
    if port is not None and not (port.isdigit() and 1 <= int(port) <= 65535):
        return "its port is not a port number", "write a port from 1 to 65535"
    address = address_number(host)
    if address is None:
        if method != "arping" and _HOSTNAME.fullmatch(host):
            return None
        what = {"httping": "neither a URL, a host name nor an address", "arping": "not an IP address"}
        message = f"{what.get(method, 'neither a host name nor an address')}, which {method} needs"
        return message, f"write an {'IPv6' if family == 'ipv6' else 'IPv4'} address"
    if address[0] != family:
        return f"the address is {address[0]}, the interface {family}", f"write an {family} address, or change family"
    return None


def _host_and_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":") if port else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None
