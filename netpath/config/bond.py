# SPDX-License-Identifier: GPL-2.0-or-later
"""From a file to the bonds' settings, with every problem at once.

The bond judges its own sections, as the monitor does: a wrong key never stops steering. And each bond only itself:
what is wrong with one does not stop another.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from netpath.bonding import BondClient, Bonding, BondMode, BondServer, Correction, Fec, Transport
from netpath.config import bond_seed
from netpath.config.bond_ends import Ends
from netpath.config.bond_keys import Keys, key_file
from netpath.config.bond_rules import BondRules
from netpath.config.loading import sections_of, text_of
from netpath.config.parse import Parsed, Report, blank, parse
from netpath.config.problems import ERROR, WARNING, Problem, nearest
from netpath.config.schema_bond import BOND_SECTIONS, ROLES
from netpath.config.sections import Section
from netpath.config.uci import label
from netpath.paths import KEYS_DIR

_DEFAULT_MASK: int = blank("globals").get("mark_mask", int)
_LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
_ONLY_FOR = {
    **dict.fromkeys(("server", "server_key", "preshared_key", "preshared_key_file", "automatic", "streams"), "client"),
    **dict.fromkeys(("listen", "forward", "max_clients"), "server"),
}
"""Options that the other role does not have."""
_BROKEN_KEY = "not a key", "write what netpath bond genkey prints"
_SECRET_INSIDE = re.compile(r"""^\s*(?:option\s+['"]?)?(?:private|preshared)_key\b""", re.MULTILINE)
_OTHERS = 0o007
"""A group may be there for those who may read it."""
_LEAST_IPV6 = 1280
"""RFC 8200, 5."""


@dataclass(frozen=True, slots=True)
class LoadedBonds:
    bonding: Bonding | None
    """None exactly when `problems` holds an error."""
    problems: tuple[Problem, ...]
    """In the order of the file's lines."""
    mark_mask: int = _DEFAULT_MASK
    """The tracker's part of marks, whatever else is wrong there."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Where a bond has its private key, whatever else its configuration is like."""

    key: bytes | None = field(repr=False)
    """None: there is none yet."""
    file: Path | None
    """None: an option of the configuration holds it."""
    problems: tuple[Problem, ...]
    """Errors: why the key that there is cannot be used."""


def load_bonds(path: Path, name: str | None = None, role: str | None = None, *, keys: Path = KEYS_DIR) -> LoadedBonds:
    """Reads a file as `netpath.config.load` does, or one with the tables of ChainLightning's config.toml.

    name: only this bond, and only what is wrong with it. role ("client", "server"): only such bonds; a file like
    ChainLightning's is for both ends and needs it. keys: directory of key files that no option names.
    """
    text, problem = text_of(path)
    if problem is not None:
        return LoadedBonds(None, (problem,))
    loaded = loads_bonds(text, str(path), "toml" if path.suffix == ".toml" else "uci", name, role, keys=keys)
    if not _SECRET_INSIDE.search(text) or not stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        return loaded
    message = "there are keys in this file, and others may read it"
    warning = Problem(WARNING, str(path), None, None, None, None, message, f"chmod 600 {path}")
    return replace(loaded, problems=(*loaded.problems, warning))


def loads_bonds(
    text: str,
    file: str = "...",
    format: str = "uci",
    name: str | None = None,
    role: str | None = None,
    *,
    keys: Path = KEYS_DIR,
) -> LoadedBonds:
    """Reads a text. Raises ValueError for an unknown format or role."""
    if role not in (None, *ROLES):
        raise ValueError(f"role is {role!r}, neither client nor server")
    if format == "toml" and (document := bond_seed.document_of(text)) is not None:
        translated = bond_seed.translate(document, text, file, name or bond_seed.NAME, role)
        report = Report(file, translated.problems)
        bonding = _Builder(parse(translated.sections, report), report, keys, ()).build(None, None)
        return _loaded(bonding, report, [translated.in_its_words(problem) for problem in report.problems])
    sections, report = sections_of(text, file, format)
    parsed = parse(_chosen(sections, name), report)
    _uplinks_through_themselves(sections, parsed, report)
    bonding = _Builder(parsed, report, keys, _peers(sections)).build(name, role)
    return replace(_loaded(bonding, report, report.problems), mark_mask=_mark_mask(sections, file))


def own_key(path: Path, name: str, keys: Path = KEYS_DIR) -> OwnKey:
    """The private key of bond `name`, which need not be configured yet."""
    default = key_file(keys, name)
    text, problem = text_of(path)
    sections = () if problem else sections_of(text, str(path), "toml" if path.suffix == ".toml" else "uci")[0]
    wanted = ("private_key", "private_key_file")
    ours = [
        Section("bond", name, section.line, tuple(entry for entry in section.entries if entry.name in wanted))
        for section in sections
        if (section.type, section.name) == ("bond", name)
    ]
    report = Report(str(path))
    found = parse(ours, Report(str(path)))
    section = found[0] if found else replace(blank("bond"), name=name)
    file = section.maybe("private_key_file", str)
    place = Path(file) if file else None if "private_key" in section.entries else default
    if place is not None and not place.exists():
        return OwnKey(None, place, ())
    key = Keys(report, keys).private(section)
    errors = tuple(each for each in report.problems if each.severity == ERROR)
    if key is None and not errors:
        errors = (Problem(ERROR, str(path), section.line, label("bond", name), "private_key", None, *_BROKEN_KEY),)
    return OwnKey(key, place, errors)


def _mark_mask(sections: Sequence[Section], file: str) -> int:
    found = parse([section for section in sections if section.type == "globals"], Report(file))
    return found[0].get("mark_mask", int) if found else _DEFAULT_MASK


def _loaded(bonding: Bonding, report: Report, problems: Sequence[Problem]) -> LoadedBonds:
    ordered = tuple(sorted(problems, key=lambda p: (p.line is None, p.line or 0)))
    return LoadedBonds(None if report.failed else bonding, ordered)


def is_seed(text: str) -> bool:
    """Whether a TOML text is like ChainLightning's config.toml, so that nobody but the bond can read it."""
    return bond_seed.document_of(text) is not None


def _chosen(sections: Sequence[Section], name: str | None) -> list[Section]:
    """The bonds' sections; with a name those of others only as far as links without `bond` need them."""
    kept = []
    for section in sections:
        of = (section.name,) if section.type == "bond" else _named(section)
        if section.type not in BOND_SECTIONS:
            continue
        if name is None or not of or name in of:
            kept.append(section)
        elif section.type == "bond" and _written(section, "role") in ROLES:
            role = tuple(entry for entry in section.entries if entry.name == "role")
            kept.append(replace(section, entries=role))
    return kept


def _named(section: Section) -> Sequence[str | None]:
    """The bonds that a section says it is of."""
    return " ".join(value for entry in section.entries if entry.name == "bond" for value in entry.values).split()


def _peers(sections: Sequence[Section]) -> list[str]:
    return [section.name for section in sections if section.type == "bond_peer" and section.name is not None]


def _written(section: Section, option: str) -> str | None:
    return next((entry.values[-1].strip() for entry in section.entries if entry.name == option), None)


def _uplinks_through_themselves(sections: Sequence[Section], parsed: Sequence[Parsed], report: Report) -> None:
    """A link that names the interface which the bond itself is."""
    devices = {
        section.name: _written(section, "ifname") or _written(section, "device") or section.name
        for section in sections
        if section.type == "interface"
    }
    own = {section.name: section.get("device", str) for section in parsed if section.kind.name == "bond"}
    for section in parsed:
        if section.kind.name != "bond_link":
            continue
        interface = section.maybe("interface", str)
        bond = section.maybe("bond", str) or (next(iter(own)) if len(own) == 1 else None)
        if interface is not None and bond in own and own[bond] in (interface, devices.get(interface)):
            report.error(section, "interface", "this is the bond itself", "name an uplink below it")


class _Builder:
    """Typed sections -> Bonding."""

    def __init__(self, parsed: Sequence[Parsed], report: Report, keys: Path, peers: Sequence[str]) -> None:
        """peers: the names of all sections bond_peer, also of those that are not `parsed`."""
        self._parsed = parsed
        self._report = report
        self._keys = Keys(report, keys)
        self._ends = Ends(parsed, report, self._keys)
        self._rules = BondRules(parsed, self._ends.bonds, peers, report)

    def build(self, name: str | None, role: str | None) -> Bonding:
        bonds = list(self._bonds(name, role))
        clients: list[BondClient] = []
        servers: list[BondServer] = []
        for section in bonds:
            self._check(section)
            if section.get("role", str) == "client":
                client = self._client(section)
                if client is not None and section.get("enabled", bool):
                    clients.append(client)
            else:
                server = self._server(section)
                if server is not None and section.get("enabled", bool):
                    servers.append(server)
        self._ends.check_shared([section for section in bonds if section.get("enabled", bool)], clients, servers)
        levels = [section.get("loglevel", str) for section in bonds if section.get("enabled", bool)]
        return Bonding(tuple(clients), tuple(servers), max(levels or ["notice"], key=_LEVELS.index))

    def _bonds(self, name: str | None, role: str | None) -> Iterator[Parsed]:
        known = self._ends.bonds
        if name is not None and name not in known:
            like = nearest(name, list(known))
            fix = f"did you mean {like}?" if like else f"add config bond '{name}'"
            message = f"there is no bond {name}"
            self._report.problems.append(
                Problem(ERROR, self._report.file, None, label("bond", name), None, None, message, fix)
            )
        for section in known.values():
            if name in (None, section.name) and "role" in section.values and role in (None, section.get("role", str)):
                yield section

    def _check(self, section: Parsed) -> None:
        role = section.get("role", str)
        for option, only in _ONLY_FOR.items():
            if option in section.entries and role != only:
                self._report.warning(section, option, f"has no effect with role {role}", "remove it")
        if section.get("port", int) + section.get("ports", int) - 1 > 65535:
            self._report.error(section, "port", "the last of its ports is above 65535", "use a lower one")
        mtu = section.maybe("mtu", int)
        if mtu is not None and mtu < _LEAST_IPV6 and any(":" in each for each in section.get("address", tuple)):
            self._report.error(section, "mtu", f"IPv6 needs at least {_LEAST_IPV6}", "use more, or leave mtu out")
        for each in section.get("address", tuple):
            if "/" not in each:
                fix = f"write {each}/{64 if ':' in each else 24}"
                self._report.error(section, "address", "has no length, which says what its network is", fix, item=each)

    def _client(self, section: Parsed) -> BondClient | None:
        private = self._keys.private(section)
        server_key = section.maybe("server_key", bytes)
        port = section.get("port", int)
        servers = tuple((host, port if own is None else own) for host, own in section.get("server", tuple))
        for option, value in (("server", servers), ("server_key", server_key)):
            if not value and option not in section.broken and section.get("enabled", bool):
                message = f"{option} is missing, which role client needs"
                self._report.error(section, None, message, f"add option {option} '...'")
        links = self._ends.links(section)
        automatic = section.maybe("automatic", bool)
        if automatic is False and not links:
            fix = f"add a section bond_link with option bond '{section.name}'"
            self._report.error(section, "automatic", "there is no bond_link, so the bond has no link at all", fix)
        psk = self._keys.preshared(section)
        if private is None or server_key is None or not servers:
            return None
        return BondClient(
            name=section.name,
            device=section.get("device", str),
            servers=servers,
            ports=section.get("ports", int),
            private_key=private,
            server_key=server_key,
            preshared_key=psk,
            automatic=not links if automatic is None else automatic,
            links=links,
            streams=section.get("streams", int),
            addresses=section.get("address", tuple),
            mtu=section.maybe("mtu", int),
            heartbeat=section.get("heartbeat", float),
            transport=_transport(section),
            rules=self._rules.of(section),
            table=self._ends.table(section) if section.maybe("masquerade", bool) else None,
        )

    def _server(self, section: Parsed) -> BondServer | None:
        private = self._keys.private(section)
        inner = self._ends.inner(section)
        peers = self._ends.peers(section, inner)
        if private is None:
            return None
        return BondServer(
            name=section.name,
            device=section.get("device", str),
            addresses=section.get("listen", tuple),
            port=section.get("port", int),
            ports=section.get("ports", int),
            private_key=private,
            inner=inner,
            masquerade=section.maybe("masquerade", bool) is not False,
            forward=section.get("forward", bool),
            table=self._ends.table(section),
            clients=peers,
            max_clients=section.get("max_clients", int),
            mtu=section.maybe("mtu", int),
            heartbeat=section.get("heartbeat", float),
            transport=_transport(section),
            rules=self._rules.of(section),
        )


def _transport(section: Parsed) -> Transport:
    correction = Correction(
        mode=Fec(section.get("fec", str)),
        group=section.get("fec_group", int),
        repairs=section.get("fec_repairs", int),
    )
    if correction.repairs == 0:
        correction = replace(correction, mode=Fec.OFF)
    return Transport(
        mode=BondMode(section.get("mode", str)),
        copies=section.get("copies", int),
        rtt_weight=section.get("rtt_weight", float),
        loss_weight=section.get("loss_weight", float),
        correction=correction,
        obfuscate=section.get("obfuscate", bool),
        ciphers=section.get("cipher", tuple),
    )
