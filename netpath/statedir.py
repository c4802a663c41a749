# SPDX-License-Identifier: GPL-2.0-or-later
"""The state directory: small files, each replaced atomically: a kill at any moment leaves the old or the new one.

Everything here describes this boot only (marks and routes are gone after a reboot), so it belongs on a tmpfs;
`boot_id` guards against a directory that survived one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netpath.model import State
from netpath.owners import make_private

IDS = "ids.json"
STATES = "state.json"
RULESET = "ruleset.nft"
PLACES = "places.json"
SYSCTLS = "sysctl.json"
DNSMASQ = "dnsmasq.json"
USAGE = "usage.json"
POLICIES = "policies-LOAD.nft"
"""LOAD is the name of a full load."""


class StateDir:
    """Files of one NetPath instance. Raises OSError where the file system refuses."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> None:
        """Make the directory, readable by its owner only. Raises OSError also for one that others may write into."""
        make_private(self.root)

    def write_text(self, name: str, text: str) -> None:
        """Replace file `name` by `text` in one step; on failure (a full disk) the old one stays.

        For its owner alone: the copy of the configuration has the passwords in it.
        """
        temporary = self.root / f".{name}.{os.getpid()}"
        temporary.unlink(missing_ok=True)  # a killed process of this number has left it
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
            temporary.replace(self.root / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write_or_drop(self, name: str, text: str) -> None:
        """Replace file `name`; on failure the old one goes, as it must never be loaded in place of what stands."""
        try:
            self.write_text(name, text)
        except OSError:
            (self.root / name).unlink(missing_ok=True)
            raise

    def read_text(self, name: str) -> str | None:
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return None

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps({"boot_id": boot_id(), **value}))

    def read_json(self, name: str) -> dict[str, Any]:
        """The file's object; empty when it is missing, damaged or from before the last boot."""
        text = self.read_text(name)
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = {}
        if not isinstance(value, dict) or value.pop("boot_id", None) != boot_id():
            return {}
        return value

    def numbers(self, name: str, key: str) -> dict[str, int]:
        """The names and numbers under `key` of a JSON file; what is something else there does not count."""
        found = self.read_json(name).get(key)
        return {n: v for n, v in found.items() if isinstance(v, int)} if isinstance(found, dict) else {}

    def states(self) -> tuple[dict[str, State], set[str]]:
        """States and switched-off interfaces; nothing where another version wrote something else."""
        saved, known = self.read_json(STATES), {str(state): state for state in State}
        states, disabled = saved.get("states"), saved.get("disabled")
        return (
            {n: known[s] for n, s in states.items() if s in known} if isinstance(states, dict) else {},
            {n for n in disabled if isinstance(n, str)} if isinstance(disabled, list) else set(),
        )

    def applied_config(self) -> Path | None:
        """The copy of the configuration that is running, or None."""
        return next((p for p in (self.root / "applied.uci", self.root / "applied.toml") if p.exists()), None)

    def keep_config(self, source: Path, text: str) -> None:
        """Remember `text`, just applied from `source`, as the last good configuration; on failure there is none."""
        suffix, other = (".toml", ".uci") if source.suffix == ".toml" else (".uci", ".toml")
        try:
            self.write_or_drop(f"applied{suffix}", text)
        finally:
            (self.root / f"applied{other}").unlink(missing_ok=True)

    def places(self) -> list[tuple[str, int]]:
        """(nft table, first ip rule priority) wherever something of ours may stand, the running ones last."""
        found = self.read_json(PLACES).get("places")
        if not isinstance(found, list):
            return []
        pairs = [tuple(place) for place in found if isinstance(place, list) and len(place) == 2]
        return [(table, first) for table, first in pairs if isinstance(table, str) and isinstance(first, int)]

    def keep_places(self, places: Sequence[tuple[str, int]]) -> None:
        """Remember where something of ours may stand. Written before anything does: a kill leaves nothing unknown."""
        wanted = list(dict.fromkeys(places))
        if wanted != self.places():
            self.write_json(PLACES, {"places": wanted})

    def keep_policies(self, load: str, text: str) -> None:
        """Remember the policies in use since full load `load`: whoever loads its file again gets these (`overlay`)."""
        self.write_text(POLICIES.replace("LOAD", load), text)

    def drop_policies(self) -> None:
        """A new full load has the policies of the moment in it."""
        for path in self.root.glob(POLICIES.replace("LOAD", "*")):
            path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what describes a standing kernel state; ids stay, so that a later start numbers uplinks alike, and so
        does the use of quotas."""
        for name in (STATES, RULESET, PLACES, SYSCTLS, DNSMASQ, "applied.uci", "applied.toml"):
            (self.root / name).unlink(missing_ok=True)
        self.drop_policies()


def overlay(root: Path, load: str) -> str:
    """The end of the ruleset file of `load`: nft reads the policies that were switched to since, if there are any.

    Their name has the load in it, so that a file never meets the policies of another one: they could name chains that
    it has not, and a firewall that includes it would be refused as a whole. Empty where nft cannot read such a path.
    """
    if any(c in str(root) for c in '*?[]{}\\"\n'):
        return ""
    # A pattern, so that it may match nothing.
    return f'include "{root / POLICIES.replace("LOAD", load + "*")}"\n'


def boot_id() -> str:
    """This boot's identity from the kernel; constant text where /proc has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
