# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped defaults of tracking, as the configuration room reads them, and variations of them."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from functools import cache

from netpath.config import loads
from netpath.model import Tracking

TARGETS = ("192.0.2.1", "198.51.100.1")


@cache
def _shipped(targets: int) -> Tracking:
    """How many there are decides on defaults; which they are does not."""
    addresses = [*TARGETS, *(f"203.0.113.{number}" for number in range(1, 100))][:targets]
    loaded = loads("config interface 'wan'\n" + "".join(f"\tlist track_targets '{each}'\n" for each in addresses))
    assert loaded.config is not None, loaded.problems
    return loaded.config.interfaces[0].tracking


SHIPPED = _shipped(len(TARGETS))
"""With two targets."""


def tracking(**changes: object) -> Tracking:
    """The shipped defaults, for two targets or those of `changes`, but for `changes` (fields of Tracking)."""
    targets = changes.get("targets", TARGETS)
    assert isinstance(targets, Sized)
    return replace(_shipped(len(targets)), **changes)  # type: ignore[arg-type]
