# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules may name interfaces; packets only know devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netpath.config import Problem
from netpath.kernel.netifd import Dump
from netpath.model import Config, NameSpec, Rule, Uplink

LONGEST_DEVICE = 15
"""IFNAMSIZ - 1 (linux/if.h)."""


def with_devices(config: Config, uplinks: Sequence[Uplink], logical: Dump, file: str) -> tuple[Config, list[Problem]]:
    """`config` with the devices of interfaces in `src_iface`, and a warning for each rule that cannot match now.

    A name there is an interface of ours, else a logical one of netifd (`lan`), else a device. A rule whose interface
    has no device, or whose name no device can have, is left out; it is back with the device.
    """
    devices = {**devices_of(config, logical), **{u.name: u.device for u in uplinks}}
    rules, problems = [], []
    for rule in config.rules:
        spec = _devices(rule.src_iface, devices)
        if spec is None:
            problems.append(_absent(rule, file))
        else:
            rules.append(rule if spec == rule.src_iface else replace(rule, src_iface=spec))
    return replace(config, rules=tuple(rules)), problems


def devices_of(config: Config, logical: Dump) -> dict[str, str | None]:
    """The logical interfaces that rules name in `src_iface`, and their devices now."""
    named = {name for rule in config.rules for name in (*rule.src_iface.any_of, *rule.src_iface.none_of)}
    return {name: logical[name].device for name in sorted(named & logical.keys())}


def _devices(spec: NameSpec, devices: Mapping[str, str | None]) -> NameSpec | None:
    """The same with devices; None when it asks for nothing but devices that are not there."""
    wanted = _known(spec.any_of, devices)
    if spec.any_of and not wanted:
        return None
    return NameSpec(wanted, _known(spec.none_of, devices))


def _known(names: Sequence[str], devices: Mapping[str, str | None]) -> tuple[str, ...]:
    found = [devices.get(name, name) for name in names]
    return tuple(dict.fromkeys(d for d in found if d and len(d) <= LONGEST_DEVICE))


def _absent(rule: Rule, file: str) -> Problem:
    return Problem(
        "warning",
        file,
        None,
        f"rule {rule.name}",
        "src_iface",
        " ".join(rule.src_iface.any_of),
        "there is no such device now, so the rule matches nothing",
        "name a device of this machine or an interface that is up",
    )
