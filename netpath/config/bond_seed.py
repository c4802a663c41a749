# SPDX-License-Identifier: GPL-2.0-or-later
"""The config.toml of ChainLightning as sections of a bond: tables [general], [links] and [performance].

The same file serves both ends; which one it is, says the command. What that file lacks is added to it: `private_key`
(or `private_key_file`), at the client `server_key`, at the server `clients`, a list of their public keys, of which the
first has `tun_local_ip` and the others the addresses after it. Every option of section `bond` may be added as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, ip_interface
from typing import Any

from netpath.config.problems import ERROR, WARNING, Problem, nearest
from netpath.config.schema_bond import BOND
from netpath.config.sections import Entry, Section
from netpath.config.toml import Lines, as_text
from netpath.config.values import address_number

NAME = "bond"
"""What the bond of such a file is called."""
TABLES = ("general", "links", "performance")
_NETMASK = "255.255.255.0"
_KEYS = {
    "server_ip": "server",
    "tun_name": "device",
    "start_port": "port",
    "links_per_wan": "streams",
    "fec_group_size": "fec_group",
    "fec_repair_packets": "fec_repairs",
    "heartbeat_interval_ms": "heartbeat",
    "rtt_weight": "rtt_weight",
    "loss_weight": "loss_weight",
}
"""Its keys -> options that say the same."""
_OWN = ("tun_local_ip", "tun_remote_ip", "tun_netmask", "source_ips", "clients")
"""Those that need more than another name."""
_CLIENT_ONLY = ("server_ip", "links_per_wan", "server_key", "preshared_key", "preshared_key_file", "automatic")
"""The server leaves them in peace, as the file is for both."""
_PLACES = {"bond_link": ("links", "source_ips"), "bond_peer": ("general", "clients")}


@dataclass(slots=True)
class Translated:
    sections: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Option of section bond -> table and key that it came from."""

    def in_its_words(self, problem: Problem) -> Problem:
        """The problem with the names that stand in the file."""
        kind = (problem.section or "").partition(" ")[0]
        if kind in _PLACES:
            return replace(problem, section=f"[{_PLACES[kind][0]}]", option=_PLACES[kind][1])
        if kind != "bond":
            return problem
        table, key = self.words.get(problem.option or "", ("general", problem.option))
        return replace(problem, section=f"[{table}]", option=key)


def document_of(text: str) -> dict[str, Any] | None:
    """The document when it is such a file; None when it is NetPath's own, or no TOML at all."""
    import tomllib

    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None  # said by who reads it as NetPath's own
    return document if document and document.keys() <= set(TABLES) else None


def translate(document: dict[str, Any], text: str, file: str, name: str, role: str | None) -> Translated:
    """role: None when nobody said it: a file with `clients` is a server's."""
    return _Translation(document, text, file, name, role).run()


class _Translation:
    def __init__(self, document: dict[str, Any], text: str, file: str, name: str, role: str | None) -> None:
        self._lines = Lines(text.removeprefix("\ufeff"))
        self._file = file
        self._name = name
        self._found = Translated()
        self._written: dict[str, tuple[str, Any]] = {}
        for table in TABLES:
            body = document.get(table, {})
            if isinstance(body, dict):
                self._written.update({key: (table, value) for key, value in body.items()})
            else:
                self._fault(ERROR, table, None, "not a table", f"write [{table}] and its keys below")
        self._role = role or ("server" if "clients" in self._written else "client")

    def run(self) -> Translated:
        entries = [Entry("role", (self._role,), (None,)), *self._options()]
        if "fec_repair_packets" in self._written and "fec" not in self._written:
            entries.append(Entry("fec", ("fixed",), (None,)))
        ends = self._ends()
        own = "tun_local_ip" if self._role == "client" else "tun_remote_ip"
        if (inner := ends[own]) is not None:
            self._found.words["address"] = ("general", own)
            entries.append(Entry("address", (str(inner),), (self._line(own),)))
        self._found.sections.append(Section("bond", self._name, None, tuple(entries)))
        self._found.sections += self._links() if self._role == "client" else self._clients(*ends.values())
        return self._found

    def _options(self) -> Iterator[Entry]:
        for key, (table, value) in self._written.items():
            option = _KEYS.get(key, key)
            if key in _OWN or (self._role == "server" and key in _CLIENT_ONLY):
                continue
            if option not in BOND.by_name or option == "role":
                known = [*_KEYS, *_OWN, *BOND.by_name]
                like = nearest(key, known)
                fix = f"did you mean {like}?" if like else "remove it; docs/bond.md lists what the file may hold"
                self._fault(WARNING, table, key, "unknown key, ignored", fix)
                continue
            texts = [as_text(each) for each in (value if isinstance(value, list) else [value])]
            known_texts = [each for each in texts if each is not None]
            if len(known_texts) < len(texts):
                self._fault(ERROR, table, key, "neither a text, a number, true, false nor a list", "write a value")
                continue
            unit = "ms" if key == "heartbeat_interval_ms" else ""
            self._found.words[BOND.by_name[option].name] = (table, key)
            line = self._line(key)
            if any(known_texts):
                values = tuple(f"{each}{unit}" for each in known_texts)
                yield Entry(option, values, (line,) * len(values), isinstance(value, list))

    def _ends(self) -> dict[str, IPv4Interface | None]:
        """Inner addresses of the client and of the server."""
        length = self._length()
        ends = {key: self._address(key, length) for key in ("tun_local_ip", "tun_remote_ip")}
        local, remote = ends["tun_local_ip"], ends["tun_remote_ip"]
        if local is not None and remote is not None:
            if local.ip == remote.ip:
                self._fault(ERROR, "general", "tun_remote_ip", "both ends have one address", "give each its own")
            elif local.network != remote.network:
                message = f"not in the network of tun_local_ip, {local.network}"
                self._fault(ERROR, "general", "tun_remote_ip", message, "use one of it, or another tun_netmask")
        return ends

    def _length(self) -> int:
        text = str(self._written.get("tun_netmask", ("", _NETMASK))[1])
        found = address_number(text)
        bits = f"{found[1]:032b}" if found is not None and found[0] == "ipv4" else "01"
        if "01" in bits:
            self._fault(ERROR, "general", "tun_netmask", "not a netmask", f"write one like {_NETMASK}")
            return 24
        return bits.count("1")

    def _address(self, key: str, length: int) -> IPv4Interface | None:
        if key not in self._written:
            return None
        text = str(self._written[key][1])
        found = address_number(text)
        if found is None or found[0] != "ipv4":
            self._fault(ERROR, "general", key, "not an IPv4 address", "write one like 10.99.0.2")
            return None
        address = ip_interface(f"{text}/{length}")
        assert isinstance(address, IPv4Interface)  # as address_number has it
        return address

    def _links(self) -> Iterator[Section]:
        for number, item in enumerate(self._listed("source_ips"), 1):
            entry = Entry("source", (item,), (self._line("source_ips"),))
            yield Section("bond_link", f"wan{number}", self._line("source_ips"), (entry,))

    def _clients(self, first: IPv4Interface | None, inner: IPv4Interface | None) -> Iterator[Section]:
        free = _addresses_from(first, inner)
        line = self._line("clients")
        for number, item in enumerate(self._listed("clients"), 1):
            entries = [Entry("public_key", (item,), (line,))]
            address = next(free, None)
            if address is None:
                fix = "add tun_local_ip" if first is None else "use a larger tun_netmask"
                self._fault(ERROR, "general", "clients", f"there is no address for client {number}", fix)
                return
            entries.append(Entry("addresses", (address,), (line,)))
            for option in ("preshared_key", "preshared_key_file"):
                if option in self._written:
                    entries.append(Entry(option, (str(self._written[option][1]),), (self._line(option),)))
            yield Section("bond_peer", f"client{number}", line, tuple(entries))

    def _listed(self, key: str) -> Iterator[str]:
        if key not in self._written:
            return
        table, value = self._written[key]
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and item.strip():
                yield item.strip()
            else:
                self._fault(ERROR, table, key, "not a list of texts", f'write {key} = ["...", "..."]')

    def _line(self, key: str) -> int | None:
        return self._lines.of(self._written[key][0], key) if key in self._written else None

    def _fault(self, severity: str, table: str, key: str | None, message: str, fix: str) -> None:
        line = self._lines.of(table) if key is None else self._lines.of(table, key)
        self._found.problems.append(Problem(severity, self._file, line, f"[{table}]", key, None, message, fix))


def _addresses_from(first: IPv4Interface | None, inner: IPv4Interface | None) -> Iterator[str]:
    """The first client's and those after it, without the server's."""
    if first is None:
        return
    address = first.ip
    while address in first.network and address != first.network.broadcast_address:
        if inner is None or address != inner.ip:
            yield f"{address}/{first.network.prefixlen}"
        address += 1
