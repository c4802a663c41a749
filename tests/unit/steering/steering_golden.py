# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden files: prose, an input in TOML after `-- Input --`, and after `-- Expect --` the exact text.

Input: `[settings]` (globals), `[[uplink]]` (name, id, device, family ...), `[[policy]]` and `[[rule]]` as the functions
of steering_worlds take them, `usable`, and what to show: `show` (patterns of chains; `declarations` for all before the
rules), or `swap` (policies) for the transaction of a transition.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from netpath.model import Config, Interface, Nat6, Uplink
from netpath.steering.policy import SteeringView, swap
from netpath.steering.ruleset import cgroup_rules, ruleset
from tests.unit.steering.steering_worlds import config, interface, policy, rule, uplink

GOLDEN = Path(__file__).parent / "golden"
_INPUT, _EXPECT = "\n-- Input --\n", "\n-- Expect --\n"


@dataclass
class Case:
    path: Path
    prose: str
    input: str
    expect: str

    @property
    def wanted(self) -> dict[str, Any]:
        return tomllib.loads(self.input)

    def world(self) -> tuple[Config, list[Uplink], frozenset[str]]:
        wanted = self.wanted
        uplinks = [_uplink(**u) for u in wanted["uplink"]]
        made = config(
            [_interface(u) for u in wanted["uplink"]],
            [policy(**p) for p in wanted.get("policy", [])],
            [rule(r.pop("name"), r.pop("use", "default"), **r) for r in wanted.get("rule", [])],
            **wanted.get("settings", {}),
        )
        return made, uplinks, frozenset(wanted.get("usable", [u.name for u in uplinks if u.device]))

    def full(self) -> str:
        """The whole ruleset."""
        made, uplinks, usable = self.world()
        wanted = self.wanted
        return ruleset(
            made,
            uplinks,
            usable,
            existing_chains=wanted.get("existing_chains", []),
            existing_sets=wanted.get("existing_sets", []),
            existing_counters=wanted.get("existing_counters", []),
            load="1a2b",
        )

    def actual(self) -> str:
        """What is compared with `expect`."""
        wanted = self.wanted
        if "swap" in wanted:
            made, uplinks, usable = self.world()
            return swap(SteeringView.of(made, {u.name: u.id for u in uplinks}, uplinks), usable, wanted["swap"])
        if "cgroups" in wanted:
            made, uplinks, _ = self.world()
            groups = {int(k): (v[0], v[1]) for k, v in wanted["cgroups"].items()}
            return cgroup_rules(made, {u.name: u.id for u in uplinks}, groups)
        text = self.full()
        if "show" not in wanted:
            return text
        declarations, rules = text.rsplit("\ntable ", 1)
        shown = [declarations + "\n"] if "declarations" in wanted["show"] else []
        shown += [block for name, block in _chains(rules) if any(fnmatch(name, pattern) for pattern in wanted["show"])]
        return "".join(shown)


def cases() -> list[Case]:
    return [_read(path) for path in sorted(GOLDEN.glob("*.txt"))]


def write(case: Case) -> None:
    """Make the present answer the expected one."""
    case.path.write_text(f"{case.prose}{_INPUT}{case.input}{_EXPECT}{case.actual()}", encoding="utf-8")


def _interface(words: dict[str, Any]) -> Interface:
    made = interface(words["name"], words.get("family", "ipv4"), enabled=words.get("enabled", True))
    return replace(made, nat6=Nat6(words.get("nat6", "off")))


def _uplink(name: str, id: int, device: str = "", enabled: bool = True, nat6: str = "", **more: Any) -> Uplink:
    del enabled, nat6
    return uplink(name, id, device or None, **more)


def _read(path: Path) -> Case:
    prose, rest = path.read_text(encoding="utf-8").split(_INPUT)
    given, _, expect = rest.partition(_EXPECT)
    return Case(path, prose, given, expect)


def _chains(rules: str) -> Iterator[tuple[str, str]]:
    for block in rules.split("\n\tchain ")[1:]:
        body = block.split("\n\t}")[0]
        yield body.split(" ", 1)[0], f"\tchain {body}\n\t}}\n"
