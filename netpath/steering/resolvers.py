# SPDX-License-Identifier: GPL-2.0-or-later
"""Chain `resolvers`: the router's own questions to the DNS servers of its uplinks.

A provider's server answers the provider's customers only, so a question to it leaves by that uplink. While the uplink
is down it is refused on the spot: whoever asks goes on to the next server at once instead of waiting for seconds.

The chain changes at a transition, together with the policies. The tracker loads this module: no heavy imports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

CHAIN = "resolvers"
QUESTIONS = "meta l4proto { tcp, udp } th dport { 53, 853 }"
"""DNS, and DNS over TLS (RFC 7858)."""


def resolver_lines(
    resolvers: Mapping[str, tuple[str, ...]], ids: Mapping[str, int], mask: int, usable: Collection[str]
) -> list[str]:
    """Rules of the chain; `resolvers` and `ids` by interface, `mask` is that of our marks.

    An address that several uplinks name is asked by the first of them that is usable.
    While nothing is usable there is nobody else to ask, so nothing is refused.
    """
    if not any(name in usable for name in ids):
        return []
    owner: dict[str, int | None] = {}
    for name, addresses in resolvers.items():
        for address in addresses:
            number = ids[name] if name in usable else None
            if owner.get(address) is None:
                owner[address] = number
    refused, asked = _keys(), _keys()
    for address, number in owner.items():
        key = "ip6 daddr" if ":" in address else "ip daddr"
        if number is None:
            refused[key].append(address)
        else:
            asked[key].append(f"{address} : goto w_{number}")
    return [
        *(f"{key} {{ {', '.join(addresses)} }} goto w_rej" for key, addresses in refused.items() if addresses),
        # What has its uplink keeps it: w_K counts connections, not packets.
        f"ct mark & {mask:#x} != 0 return",
        "ct state established,related return",
        *(f"{key} vmap {{ {', '.join(ways)} }}" for key, ways in asked.items() if ways),
    ]


def may_be_elsewhere(address: str) -> bool:
    """Whether packets to this address can leave by a default route: neither loopback, link-local, multicast nor none.

    `address` is in its usual spelling.
    """
    if ":" in address:
        return address not in ("::", "::1") and not address.startswith(("fe8", "fe9", "fea", "feb", "ff"))
    first, second = address.split(".")[:2]
    return 0 < int(first) < 224 and first != "127" and (first, second) != ("169", "254")


def _keys() -> dict[str, list[str]]:
    return {"ip daddr": [], "ip6 daddr": []}
