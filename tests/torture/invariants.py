# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold. Each function returns what is wrong, a line each; nothing is well."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netpath.lab import Namespace
from tests.torture.foreign import PROTOCOL
from tests.torture.policies import TABLE

GROWTH_KIB = 4096
"""Anonymous memory that a tracker may gain: loads and transitions leave some behind for up to 30 s."""
GROWTH_DESCRIPTORS = 2
"""The socket of whoever asks just now among them."""
DIFFERENCES = 12

State = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tracker holds."""

    descriptors: int
    anonymous_kib: int


def figures(pid: int) -> Figures:
    """Raises OSError when there is no such process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Figures(len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status["RssAnon"].split()[0]))


def level(before: Figures, now: Figures) -> list[str]:
    """Memory and descriptors of one tracker, compared with earlier ones."""
    found = []
    if now.descriptors > before.descriptors + GROWTH_DESCRIPTORS:
        found.append(f"the tracker has {now.descriptors} descriptors open, {before.descriptors} before")
    if now.anonymous_kib > before.anonymous_kib + GROWTH_KIB:
        found.append(f"the tracker takes {now.anonymous_kib} KiB, {before.anonymous_kib} KiB before")
    return found


def kernel_state(router: Namespace) -> dict[str, list[str]]:
    """All of ours in the kernel, without counters, handles, dynamic elements and the names of loads."""
    state: dict[str, list[str]] = {}
    text = router.run(["nft", "-j", "list", "table", "inet", TABLE], check=False)
    for item in json.loads(text)["nftables"] if text else ():
        ((kind, value),) = item.items()
        if kind != "metainfo":
            state.setdefault(f"{kind} {_place(kind, value)}", []).append(json.dumps(_plain(value), sort_keys=True))
    for family in ("-4", "-6"):
        rules = json.loads(router.run(["ip", family, "-j", "rule"]))
        state[f"rules {family}"] = sorted(json.dumps(r) for r in rules if r.get("protocol") == PROTOCOL)
        routes = json.loads(router.run(["ip", family, "-j", "route", "show", "table", "all", "proto", PROTOCOL]))
        state[f"routes {family}"] = sorted(json.dumps(r) for r in routes)
    return state


def _place(kind: str, value: Mapping[str, Any]) -> str:
    """Rules of a chain belong together, in their order."""
    return str(value["chain"] if kind == "rule" else value["name"])


def _plain(value: Any) -> Any:
    """Without what differs between two equal states."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    dynamic = "timeout" in value or "timeout" in value.get("flags", ())
    skip = {"handle", "packets", "bytes"} | ({"elem"} if dynamic else set())
    if value.get("chain") == "loaded":
        skip.add("comment")
    return {key: _plain(each) for key, each in value.items() if key not in skip}


def differences(what: str, expected: State, found: State) -> list[str]:
    """Where two states differ, at most a dozen lines."""
    lines = []
    for key in sorted(expected.keys() | found.keys()):
        pair = list(expected.get(key, ())), list(found.get(key, ()))
        if pair[0] != pair[1]:
            lines += [f"{what}: {key}: {line}" for line in difflib.ndiff(*pair) if line[0] in "+-"]
    return lines[:DIFFERENCES] + ([f"{what}: and {len(lines) - DIFFERENCES} more"] if len(lines) > DIFFERENCES else [])
