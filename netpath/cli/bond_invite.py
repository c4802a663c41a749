# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath bond invite`: what both ends need to know of a new client of a bond's server, to be copied."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from netpath.bonding import BondServer
from netpath.cli.bond_keys import public_of, text_of
from netpath.cli.errors import CommandError, UsageError
from netpath.config.bond import load_bonds
from netpath.config.bond_ends import DEFAULT_INNER
from netpath.config.kinds_bond import parse_server
from netpath.config.schema import SECTIONS
from netpath.config.schema_bond import BOND
from netpath.config.values import BadValueError, parse_name
from netpath.config.write import quote
from netpath.paths import Paths

_ANYWHERE = {socket.AF_INET: ("198.51.100.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
"""Somewhere in the Internet; nothing is sent there."""
_EXAMPLE = "server.example.com"

Options = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Invitation:
    client: str
    server: str
    """Names of both ends' sections."""
    peer_options: Options
    """Of section bond_peer at the server."""
    bond_options: Options
    """Of section bond at the client."""
    notes: tuple[str, ...]

    def text(self) -> Iterator[str]:
        uci, toml = self._forms("bond_peer", self.client, self.peer_options)
        yield f"# 1. At the server ({self.server}), in /etc/config/netpath:"
        yield from uci
        yield "# or in config.toml:"
        yield from toml
        yield ""
        key = "private_key" in self.bond_options
        secret = "; it has the private key, so nobody else should see it" if key else ""
        yield f"# 2. At the client, in /etc/config/netpath{secret}:"
        uci, toml = self._forms("bond", self.server, self.bond_options)
        yield from uci
        yield "# or in config.toml:"
        yield from toml
        yield ""
        yield "# 3. At the server: /etc/init.d/netpath-bond reload, or systemctl reload netpath-bond-server"
        yield "#    At the client: /etc/init.d/netpath-bond start, or systemctl start netpath-bond-client"

    def as_dict(self) -> dict[str, Any]:
        """{"server": {"uci", "toml"}, "client": the same, "name", "public_key", "addresses", "notes"}."""
        both = {
            "server": self._forms("bond_peer", self.client, self.peer_options),
            "client": self._forms("bond", self.server, self.bond_options),
        }
        return {
            "name": self.client,
            "public_key": self.peer_options["public_key"],
            "addresses": self.peer_options["addresses"],
            "notes": list(self.notes),
            **{end: {"uci": _joined(uci), "toml": _joined(toml)} for end, (uci, toml) in both.items()},
        }

    def _forms(self, kind: str, name: str, options: Options) -> tuple[list[str], list[str]]:
        uci, toml = [f"config {kind} {quote(name)}"], [f"[{SECTIONS[kind].toml}.{_toml_key(name)}]"]
        for option, value in options.items():
            if isinstance(value, list):
                uci += [f"\tlist {option} {quote(item)}" for item in value]
                toml.append(f"{option} = [{', '.join(_toml_text(item) for item in value)}]")
            else:
                uci.append(f"\toption {option} {quote(value)}")
                toml.append(f"{option} = {_toml_text(value)}")
        return uci, toml


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _toml_key(name: str) -> str:
    return name if "." not in name else f'"{name}"'


def _toml_text(text: str) -> str:
    """A number as it is; no text of ours has a quote or a backslash."""
    return text if text.isdigit() else f'"{text}"'


def invitation(
    where: Paths, client: str, bond: str | None, address: str | None, public_key: bytes | None
) -> Invitation:
    """What makes `client` a client of the server `bond` (None: the only one) of the configuration.

    address: HOST or HOST:PORT where clients find it. public_key: of a client that has made its key itself.
    Raises UsageError, CommandError.
    """
    try:
        parse_name(client)
        if address is not None:
            parse_server(address)
    except BadValueError as bad:
        raise UsageError(f"{bad.message}; {bad.fix}") from None
    server = _server(where, bond)
    if any(peer.name == client for peer in server.clients):
        raise CommandError(f"{server.name} has a client {client} already; choose another name")
    private = os.urandom(32) if public_key is None else None
    public = public_of(private) if private is not None else public_key
    assert public is not None  # one of the two
    psk = text_of(os.urandom(32))
    notes = []
    if address is None:
        address = _address_of(server)
    if address is None:
        address = _EXAMPLE
        notes.append(f"where clients find this server is not known: replace {_EXAMPLE}, or say --server HOST")
    own = {} if private is None else {"private_key": text_of(private)}
    addresses = _free_addresses(server)
    return Invitation(
        client=client,
        server=server.name,
        peer_options={
            "bond": server.name,
            "public_key": text_of(public),
            "preshared_key": psk,
            "addresses": addresses,
        },
        bond_options={
            "role": "client",
            "server": [address],
            **_alike(server),
            **own,
            "server_key": text_of(public_of(server.private_key)),
            "preshared_key": psk,
        },
        notes=tuple(notes),
    )


def _server(where: Paths, bond: str | None) -> BondServer:
    loaded = load_bonds(where.config, bond, "server", keys=where.keys_dir)
    if loaded.bonding is None:
        errors = [str(problem) for problem in loaded.problems if problem.severity == "error"]
        raise CommandError(f"the server's configuration has errors: {errors[0]}")
    servers = loaded.bonding.servers
    if not servers:
        raise CommandError(
            f"{where.config} has no bond of role server that is enabled; write one: config bond 'NAME', "
            f"option role 'server', list address '{DEFAULT_INNER}'"
        )
    if len(servers) > 1:
        raise UsageError(f"say which server with --bond: {', '.join(each.name for each in servers)}")
    return servers[0]


def _alike(server: BondServer) -> dict[str, str]:
    """Options that both ends must have alike, where they are not the default."""
    found = {"port": str(server.port), "ports": str(server.ports)}
    if server.transport.obfuscate:
        found["obfuscate"] = "1"
    return {option: value for option, value in found.items() if value != BOND.by_name[option].default}


def _address_of(server: BondServer) -> str | None:
    """The server's public address, as far as this machine knows one; None behind a NAT."""
    for address in (*server.addresses, *_local_addresses()):
        if ip_address(address).is_global:
            return address
    return None


def _local_addresses() -> Iterator[str]:
    """The address that this machine has towards the Internet, of each family that gets there."""
    for family, target in _ANYWHERE.items():
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(target)
            except OSError:
                continue  # no route: the next family
            yield sock.getsockname()[0]


def _free_addresses(server: BondServer) -> list[str]:
    """The next one of each of the server's networks. Raises CommandError when one is full."""
    taken = {ip_interface(each).ip for peer in server.clients for each in peer.addresses}
    taken |= {ip_interface(each).ip for each in server.inner}
    found = []
    for each in map(ip_interface, server.inner):
        network = each.network
        free = next((host for host in network.hosts() if host not in taken), None)
        if free is None:
            raise CommandError(f"{network} has no free address; give the server another one, with a shorter length")
        found.append(f"{free}/{network.prefixlen}")
    return found
