# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of chains, sets and counters, and text inside nft quotes, from names that a person chose.

Nothing else in this room puts a configured name into nft text. The tracker loads this module: no heavy imports.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, digits, hexdigits

_IDENTIFIER = frozenset(ascii_letters + digits + "_.-")
_HEX = frozenset(hexdigits.lower())
_LONGEST = 40
"""Characters of a chosen name kept in an identifier, which has a prefix too: nft 1.0.2 allows 127 in all."""
_LONGEST_QUOTED = 90
"""UTF-8 bytes of a chosen name kept in quotes: nft takes 127 for a comment and for a whole log prefix."""
_LONGEST_DEVICE = 15
"""IFNAMSIZ - 1 (linux/if.h)."""

LOADED = "loaded"
"""A chain that no packet meets; the comment of its only rule is the name of the text that stands."""


def digit(family: str) -> str:
    """ "4" or "6", as in chain names, for "ipv4" or "ipv6"."""
    return "4" if family == "ipv4" else "6"


def part(name: str) -> str:
    """`name` as a piece of an nft identifier: itself when safe, else cleaned and told apart by a stable hash."""
    if 0 < len(name) <= _LONGEST and _IDENTIFIER.issuperset(name) and not _looks_hashed(name):
        return name
    cleaned = "".join(c if c in _IDENTIFIER else "_" for c in name[: _LONGEST - 9])
    return f"{cleaned}_{_stable_hash(name):08x}"


def quoted(name: str) -> str:
    """`name` for use between double quotes in a comment or log prefix (without the quotes); unique like `part`."""
    if 0 < len(name.encode(errors="replace")) <= _LONGEST_QUOTED and all(map(_quotable, name)):
        return name
    cleaned = "".join(c if _quotable(c) else "_" for c in name).encode(errors="replace")
    return f"{cleaned[: _LONGEST_QUOTED - 9].decode(errors='ignore')}_{_stable_hash(name):08x}"


def device(name: str) -> str:
    """A device name in quotes. Raises ValueError for what no device is called or what nft takes for a pattern."""
    if not 0 < len(name.encode(errors="replace")) <= _LONGEST_DEVICE or not all(map(_quotable, name)):
        raise ValueError(f"{name!r} is not the name of a network device")
    if " " in name or "*" in name or "/" in name:
        raise ValueError(f"{name!r} is not the name of a network device")
    return f'"{name}"'


def policy_chain(policy: str, family: str) -> str:
    return f"pol_{part(policy)}_{digit(family)}"


def rule_chain(rule: str, family: str) -> str:
    return f"r_{part(rule)}_{digit(family)}"


def default_chain(family: str) -> str:
    """Counts what no rule matches."""
    return f"rest_{digit(family)}"


def is_counted(chain: str) -> bool:
    """Whether a chain is one of the two kinds above, whose counters have the chain's own name."""
    return chain.startswith(("r_", "rest_"))


def counted_name(chain: str) -> tuple[str | None, str]:
    """(rule, family) of such a chain: "" for the rest, None when the chain has only a part of the rule's name and its
    hash; the comment of the chain's last line is the whole name then."""
    family = "ipv4" if chain.endswith("_4") else "ipv6"
    if chain == default_chain(family):
        return "", family
    key = chain[len("r_") : -len("_4")]
    return None if _looks_hashed(key) else key, family


def sticky_chain(key: str, family: str) -> str:
    """`key` is `part(rule name)`."""
    return f"sk_{key}_{digit(family)}"


def sticky_set(key: str, family: str, uplink: int) -> str:
    """Addresses of the clients of rule `key` that stay with uplink id `uplink`."""
    return f"st_{key}_{digit(family)}_{uplink}"


def user_set(name: str, family: str) -> str:
    """The set of our table behind a rule's `nft_set`, one a family: what dnsmasq's `nftset` has to name."""
    return f"{part(name)}_{digit(family)}"


def domain_key(rule: str, domains: Sequence[str]) -> str:
    """What the sets of a rule with domains are called. Other domains, other sets: no address stays behind."""
    return f"dom_{part(rule)}_{_stable_hash(' '.join(sorted(domains))):08x}"


def domain_set(key: str, family: str) -> str:
    """Addresses that dnsmasq has found under the domains of a rule; `key` is its `domain_key`."""
    return f"{key}_{digit(family)}"


def is_domain_set(name: str) -> bool:
    return name.startswith("dom_") and name[-2:] in ("_4", "_6") and _looks_hashed(name[:-2])


def _quotable(character: str) -> bool:
    # `$` names a variable inside a log prefix, even in quotes.
    return character.isprintable() and character not in '"\\$'


def _looks_hashed(name: str) -> bool:
    return len(name) > 8 and name[-9] == "_" and _HEX.issuperset(name[-8:])


def _stable_hash(name: str) -> int:
    """FNV-1a, 32 bit: the same in every process and version, unlike `hash()`."""
    value = 0x811C9DC5
    for byte in name.encode(errors="surrogatepass"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
