# SPDX-License-Identifier: GPL-2.0-or-later
"""A wall clock that can be set and a monotonic one that cannot."""

from __future__ import annotations

import time

import pytest


class Clocks:
    """What time.time and time.monotonic say until the test ends."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1_700_000_000.0, 5000.0
        patch.setattr(time, "time", lambda: self.wall)
        patch.setattr(time, "monotonic", lambda: self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds
