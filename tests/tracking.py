# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped defaults of tracking, as the configuration room reads them, and variations of them."""

from __future__ import annotations

from dataclasses import replace

from netpath.config import loads
from netpath.model import Tracking

TARGETS = ("192.0.2.1", "198.51.100.1")


def _shipped() -> Tracking:
    loaded = loads("config interface 'wan'\n" + "".join(f"\tlist track_targets '{each}'\n" for each in TARGETS))
    assert loaded.config is not None, loaded.problems
    return loaded.config.interfaces[0].tracking


SHIPPED = _shipped()
"""With two targets."""


def tracking(**changes: object) -> Tracking:
    """The shipped defaults but for `changes` (fields of Tracking)."""
    return replace(SHIPPED, **changes)  # type: ignore[arg-type]
