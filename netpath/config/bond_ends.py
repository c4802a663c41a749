# SPDX-License-Identifier: GPL-2.0-or-later
"""What belongs to a bond: links of a client, peers of a server, and what several bonds of one machine share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_interface

from netpath.bonding import BondClient, BondPeer, BondServer, LinkSpec
from netpath.config.bond_keys import Keys
from netpath.config.parse import Parsed, Report
from netpath.config.problems import nearest

DEFAULT_INNER = "10.99.0.1/24"
"""Of a server, as in ChainLightning's documentation."""


class Ends:
    def __init__(self, parsed: Sequence[Parsed], report: Report, keys: Keys) -> None:
        self._report = report
        self._keys = keys
        self.bonds = {section.name: section for section in self._of_kind(parsed, "bond")}
        self._links = self._belonging(parsed, "bond_link", "client")
        self._peers = self._belonging(parsed, "bond_peer", "server")

    def _of_kind(self, parsed: Sequence[Parsed], kind: str) -> Iterator[Parsed]:
        """Sections of a kind; of several with one name only the first, with an error for the others."""
        seen: set[str] = set()
        for section in parsed:
            if section.kind.name != kind:
                continue
            if section.name in seen:
                self._report.error(section, None, "the name is taken already", "rename one of them or join the two")
                continue
            seen.add(section.name)
            yield section

    def _belonging(self, parsed: Sequence[Parsed], kind: str, role: str) -> dict[str, list[Parsed]]:
        """Bond -> its sections of this kind, enabled or not."""
        found: dict[str, list[Parsed]] = {}
        for section in self._of_kind(parsed, kind):
            if (bond := self._bond_of(section, role)) is not None:
                found.setdefault(bond, []).append(section)
        return found

    def _bond_of(self, section: Parsed, role: str) -> str | None:
        known = [name for name, bond in self.bonds.items() if bond.values.get("role") == role]
        name = section.maybe("bond", str)
        if name is None:
            if "bond" not in section.broken and len(known) != 1:
                message = f"there are {len(known)} bonds of role {role}, and nothing says which one it belongs to"
                self._report.error(section, None, message, f"add option bond '{known[0] if known else 'NAME'}'")
            return known[0] if len(known) == 1 and "bond" not in section.broken else None
        if name in known:
            return name
        if name in self.bonds and "role" in self.bonds[name].values:
            fix = f"a {section.kind.name} belongs to a bond of role {role}"
            self._report.error(section, "bond", f"{name} is not of role {role}", fix)
        elif name not in self.bonds:
            like = nearest(name, known)
            fix = f"did you mean {like}?" if like else f"add config bond '{name}'"
            self._report.error(section, "bond", f"there is no bond {name}", fix)
        return None

    # -- client ---------------------------------------------------------------------------------------------------

    def links(self, bond: Parsed) -> tuple[LinkSpec, ...]:
        """Enabled links of a client."""
        found = []
        taken: set[tuple[str | None, str | None]] = set()
        for section in self._links.get(bond.name, []):
            interface, source = section.maybe("interface", str), section.maybe("source", str)
            if interface is not None and source is not None:
                self._report.error(section, "source", "there is interface too", "keep one of the two")
            elif interface is None and source is None:
                if not {"interface", "source"} & section.broken:
                    fix = "add option interface 'NAME', or option source 'ADDRESS'"
                    self._report.error(section, None, "neither interface nor source says which uplink this is", fix)
                continue
            if not section.get("enabled", bool):
                continue
            if (interface, source) in taken:
                option = "source" if interface is None else "interface"
                fix = "remove one of the two; option streams gives a link several streams"
                self._report.error(section, option, "there is such a link already", fix)
            taken.add((interface, source))
            streams = section.maybe("streams", int) or bond.get("streams", int)
            found.append(LinkSpec(section.name, interface, source, streams, section.maybe("cap", float)))
        return tuple(found)

    # -- server ---------------------------------------------------------------------------------------------------

    def inner(self, bond: Parsed) -> tuple[str, ...]:
        """The server's own addresses, each with its length."""
        found: tuple[str, ...] = bond.get("address", tuple)
        return tuple(each for each in found if "/" in each) or (DEFAULT_INNER,)

    def table(self, bond: Parsed) -> str:
        return bond.maybe("nft_table", str) or "netpath_bond_" + re.sub(r"[^A-Za-z0-9_]", "_", bond.name)[:40]

    def peers(self, bond: Parsed, inner: Sequence[str]) -> tuple[BondPeer, ...]:
        """Enabled clients of a server."""
        found: list[BondPeer] = []
        keys: dict[bytes, str] = {}
        whose = {str(ip_interface(each).ip): "the server itself" for each in inner}
        for section in self._peers.get(bond.name, []):
            psk = self._keys.preshared(section)
            key = section.maybe("public_key", bytes)
            addresses = tuple(_with_length(each, inner) for each in section.get("addresses", tuple))
            if not section.get("enabled", bool) or key is None or not addresses:
                continue  # missing or malformed ones were reported by parse
            if key in keys:
                fix = "each client needs a key of its own: netpath bond genkey"
                self._report.error(section, "public_key", f"{keys[key]} has this key too", fix)
            keys[key] = section.name
            self._check_whose(section, addresses, whose)
            found.append(
                BondPeer(
                    name=section.name,
                    public_key=key,
                    preshared_key=psk,
                    addresses=addresses,
                    networks=section.get("networks", tuple),
                    streams=section.get("streams", int),
                    rate=section.maybe("rate", float),
                )
            )
        return tuple(found)

    def _check_whose(self, section: Parsed, addresses: Sequence[str], whose: dict[str, str]) -> None:
        """Nothing belongs to two of them."""
        for option, items in (("addresses", addresses), ("networks", section.get("networks", tuple))):
            for item in items:
                what = str(ip_interface(item).ip) if option == "addresses" else item
                if what in whose:
                    self._report.error(section, option, f"{what} belongs to {whose[what]}", "use another one")
                whose.setdefault(what, section.name)

    # -- several bonds ----------------------------------------------------------------------------------------------

    def check_shared(
        self, bonds: Sequence[Parsed], clients: Sequence[BondClient], servers: Sequence[BondServer]
    ) -> None:
        """What only one of the enabled bonds can have."""
        devices: dict[str, str] = {}
        for section in bonds:
            device = section.get("device", str)
            if (other := devices.setdefault(device, section.name)) != section.name:
                message = f"bond {other} has the device {device} too"
                self._report.error(section, "device", message, "give each bond its own")
        tables: dict[str, str] = {}
        for name, table in (*((c.name, c.table) for c in clients), *((s.name, s.table) for s in servers)):
            if table is not None and (other := tables.setdefault(table, name)) != name:
                message = f"bond {other} has the table {table} too"
                self._report.error(self.bonds[name], "nft_table", message, "choose another name")
        for at, server in enumerate(servers):
            for other_server in servers[:at]:
                self._check_two(server, other_server)

    def _check_two(self, one: BondServer, other: BondServer) -> None:
        section = self.bonds[one.name]
        apart = one.port + one.ports <= other.port or other.port + other.ports <= one.port
        places = set(one.addresses) & set(other.addresses)
        if not apart and (places or not one.addresses or not other.addresses):
            message = f"bond {other.name} listens on some of its ports too"
            self._report.error(section, "port", message, f"use {other.port + other.ports} or more")


def _with_length(address: str, inner: Sequence[str]) -> str:
    """As it is, or with the length of the server's network that it is in."""
    if "/" in address:
        return address
    number = ip_address(address)
    for each in map(ip_interface, inner):
        if number.version == each.version and number in each.network:
            return f"{address}/{each.network.prefixlen}"
    return f"{address}/{number.max_prefixlen}"
