# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets: configurations in all their forms, and the values in them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from netpath.cli import dotenv
from netpath.config import import_mwan3, loading, loads, to_uci
from netpath.config import toml as toml_reader
from netpath.config import uci as uci_reader
from netpath.config.bond import loads_bonds
from netpath.config.loading import Imported, sections_of
from netpath.config.masked import MASK, masked
from netpath.config.monitor import loads_monitor
from netpath.config.problems import ERROR, Problem
from netpath.config.schema import SECTIONS
from netpath.config.sections import Section
from netpath.config.times import parse_size, parse_weekdays, parse_window
from netpath.config.values import (
    MAX_DEVICE,
    BadValueError,
    address_number,
    parse_address,
    parse_bool,
    parse_device,
    parse_device_or_interface,
    parse_directory,
    parse_domain,
    parse_dscp_range,
    parse_duration,
    parse_hostname,
    parse_mac,
    parse_mask,
    parse_name,
    parse_network,
    parse_nft_table,
    parse_number,
    parse_port_range,
    parse_prefix6,
    parse_protocol,
    parse_resolver,
    parse_routing_table,
    parse_set_name,
    parse_target,
    parse_whole,
    parse_whole_seconds,
    target_fault,
)
from netpath.model import AddressMatch, Config, Uplink
from netpath.steering.marks import MarkSpace, assign_ids
from netpath.steering.policy import SteeringView, swap
from netpath.steering.routing import desired
from netpath.steering.ruleset import ruleset
from netpath.worker.devices import with_devices

FILE = "f"
MOST_SYNTAX_ERRORS = 201
"""Of the UCI reader."""
_HARMLESS = re.compile(r"[A-Za-z0-9_.:/@+,~?&=%\[\]-]*", re.ASCII)
"""Of values that become nft text, file names or arguments."""


def text_of(data: bytes) -> str:
    """As the worker reads a file."""
    return data.decode("utf-8", "surrogateescape")


def uci(data: bytes) -> None:
    """The UCI reader."""
    text = text_of(data)
    sections, problems = uci_reader.read(text, FILE)
    told(problems)
    sound(sections, text)
    assert sum(problem.severity == ERROR for problem in problems) <= MOST_SYNTAX_ERRORS


def toml(data: bytes) -> None:
    """The TOML reader."""
    text = text_of(data)
    sections, problems = toml_reader.read(text, FILE)
    told(problems)
    sound(sections, text)


def load_uci(data: bytes) -> None:
    """A UCI file on its whole way: problems, or what can be loaded into the kernel."""
    whole(text_of(data), "uci")


def load_toml(data: bytes) -> None:
    """The same with TOML."""
    whole(text_of(data), "toml")


def mwan3(data: bytes) -> None:
    """What is imported loads, and means what it meant to mwan3."""
    imported = imported_from(data)
    told(imported.problems)
    failed = any(problem.severity == ERROR for problem in imported.problems)
    assert not (failed and imported.text)
    if imported.text:
        loaded = loads(imported.text, FILE)
        told(loaded.problems)
        assert loaded.config is not None, [str(problem) for problem in loaded.problems]
        renders(loaded.config)
        sections, report = sections_of(text_of(data), FILE, "uci")
        assert loaded.config == loading._finish(sections, report, mwan3=True).config


def bond_seed(data: bytes) -> None:
    """The configuration of a bond, also as ChainLightning has it."""
    text = text_of(data)
    for form in ("uci", "toml"):
        for role in (None, "client", "server") if form == "toml" else (None,):
            bonds = loads_bonds(text, FILE, form, role=role, keys=Path("/nonexistent"))
            told(bonds.problems)
            assert (bonds.bonding is None) == any(problem.severity == ERROR for problem in bonds.problems)


def env(data: bytes) -> None:
    """`.env` files."""
    text = data.decode(errors="replace")
    try:
        found = dotenv.parse(text)
    except dotenv.DotenvError as error:
        assert str(error).isprintable()
        return
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) for name in found)


def values(data: bytes) -> None:
    """Single values: the first byte says of what kind."""
    parse, fine = _VALUES[data[0] % len(_VALUES)] if data else _VALUES[0]
    try:
        value = parse(text_of(data[1:]))
    except BadValueError as bad:
        assert bad.message and bad.fix
        assert (bad.message + bad.fix.replace("\n", " ")).isprintable() or "-" in bad.fix
        return
    assert fine(value), value


def _method(text: str) -> list[tuple[str, str] | None]:
    target = parse_target(text)
    return [target_fault(target, m, f) for m in ("ping", "httping", "tcp", "arping", "dns") for f in ("ipv4", "ipv6")]


def _within(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _pair_within(low: int, high: int) -> Callable[[Any], bool]:
    return lambda pair: low <= pair[0] <= pair[1] <= high


def _harmless(value: str) -> bool:
    return _HARMLESS.fullmatch(value) is not None


def _network(match: AddressMatch) -> bool:
    top = (1 << (32 if match.family == "ipv4" else 128)) - 1
    return 0 <= match.mask <= top and match.value & ~match.mask == 0


_VALUES: tuple[tuple[Callable[[str], Any], Callable[[Any], bool]], ...] = (
    (parse_bool, lambda value: isinstance(value, bool)),
    (lambda text: parse_whole(text, 1, 1000), _within(1, 1000)),
    (lambda text: parse_number(text, 0, 100, "%"), _within(0, 100)),
    (lambda text: parse_duration(text, 0.1, 86400), _within(0.1, 86400)),
    (lambda text: parse_whole_seconds(text, 0, 86400), _within(0, 86400)),
    (parse_mask, _within(1, 0xFFFFFFFF)),
    (parse_routing_table, _within(1, 0xFFFFFFFF)),
    (parse_name, lambda name: _harmless(name) and len(name) <= 64 and name[0] not in ".-" and "/" not in name),
    (parse_device, lambda name: _harmless(name) and 0 < len(name) <= MAX_DEVICE and "/" not in name),
    (parse_device_or_interface, lambda name: _harmless(name) and "/" not in name),
    (parse_nft_table, lambda name: name.isidentifier() and name.isascii()),
    (parse_set_name, _harmless),
    (parse_hostname, lambda name: _harmless(name) and len(name) <= 254),
    (parse_domain, lambda name: _harmless(name) and len(name) <= 253 and "/" not in name and name == name.lower()),
    (parse_directory, lambda path: path == "" or (_harmless(path) and path[0] == "/" and "/../" not in f"{path}/")),
    (parse_resolver, lambda text: address_number(text) is not None),
    (parse_address, lambda text: address_number(text) is not None),
    (parse_network, _network),
    (lambda text: parse_prefix6(text, 16, 64), lambda text: 16 <= int(text.partition("/")[2]) <= 64),
    (parse_port_range, _pair_within(0, 65535)),
    (parse_dscp_range, _pair_within(0, 63)),
    (parse_protocol, _pair_within(0, 255)),
    (parse_mac, lambda mac: re.fullmatch("[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac) is not None),
    (_method, lambda faults: len(faults) == 10),
    (parse_window, lambda pair: 0 <= pair[0] <= 1439 and 0 <= pair[1] <= 1440),
    (parse_weekdays, lambda days: 0 < len(days) <= 7 and set(days) <= set(range(7))),
    (lambda text: parse_size(text, 1000, 10**15), _within(1000, 10**15)),
)


def told(problems: Iterable[Problem]) -> None:
    """Every problem says where, what and how to mend it, in one harmless line."""
    for problem in problems:
        assert problem.file == FILE and problem.message and problem.fix
        assert problem.line is None or problem.line >= 1
        assert str(problem).isprintable()


def sound(sections: Iterable[Section], text: str) -> None:
    """The readers keep their word on the shape of sections."""
    lines = text.count("\n") + 1
    for section in sections:
        assert section.line is None or 1 <= section.line <= lines
        for entry in section.entries:
            assert entry.name and entry.values and all(entry.values)
            assert len(entry.values) == len(entry.lines)
            assert all(line is None or 1 <= line <= lines for line in entry.lines)


def whole(text: str, form: str) -> None:
    """Problems, or a Config from which everything that goes to the kernel can be made; what shows it hides secrets."""
    loaded = loads(text, FILE, form)
    told(loaded.problems)
    errors = [problem for problem in loaded.problems if problem.severity == ERROR]
    assert (loaded.config is None) == bool(errors)
    monitor = loads_monitor(text, FILE, form)
    told(monitor.problems)
    assert (monitor.monitor is None) == any(problem.severity == ERROR for problem in monitor.problems)
    bonds = loads_bonds(text, FILE, form, keys=Path("/nonexistent"))
    told(bonds.problems)
    sections, _ = sections_of(text, FILE, form)
    for shown in masked(sections):
        kind = SECTIONS[shown["type"]]
        for name, value in shown["options"].items():
            option = kind.by_name.get(name)
            assert (
                option is None or not option.secret or set([value] if isinstance(value, str) else value) <= {MASK, ""}
            )
    if loaded.config is not None:
        renders(loaded.config)
        with suppress(ValueError):  # a line break in a password
            assert loads(to_uci(sections), FILE).config == loaded.config


def renders(config: Config) -> str:
    """The ruleset of a configuration whose uplinks are up, every second of them if there are several usable."""
    marks = MarkSpace(config.globals.mark_mask)
    ids = assign_ids([interface.name for interface in config.interfaces], {}, marks.capacity)
    uplinks = [_uplink(config, n, ids) for n in range(len(config.interfaces))]
    usable = frozenset(uplink.name for uplink in uplinks[::2] if uplink.device)
    steered, absent = with_devices(config, uplinks, {}, FILE)
    told(absent)
    text = ruleset(steered, uplinks, usable, existing_chains=(), existing_sets=(), existing_counters=(), load="1")
    view = SteeringView.of(config, ids, uplinks)
    text += swap(view, frozenset(), [policy.name for policy in view.policies])
    assert all(line.isprintable() for line in text.replace("\t", "").split("\n"))
    assert text.count("{") == text.count("}")
    desired(config, uplinks)
    return text


def _uplink(config: Config, n: int, ids: dict[str, int]) -> Uplink:
    interface = config.interfaces[n]
    v6 = interface.family == "ipv6"
    return Uplink(
        name=interface.name,
        id=ids[interface.name],
        family=interface.family,
        device=interface.device or f"wan{n}",
        gateway="2001:db8::1" if v6 else "192.0.2.1",
        addresses=(f"2001:db8:{n:x}::2/64",) if v6 else (f"192.0.2.{n % 250 + 2}/24",),
        main_default=n == 0,
        connected=(f"2001:db8:{n:x}::/64",) if v6 else ("192.0.2.0/24",),
        prefixes=(f"2001:db8:{n:x}::/64",) if v6 else (),
    )


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """In memory where the machine has such a place."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def imported_from(data: bytes) -> Imported:
    path = Path(_scratch().name) / FILE
    path.write_bytes(data)
    found = import_mwan3(path)
    # The name of the file is not what is looked for.
    return Imported(found.text, tuple(_renamed(problem) for problem in found.problems))


def _renamed(problem: Problem) -> Problem:
    return replace(problem, file=FILE)
