# SPDX-License-Identifier: GPL-2.0-or-later
"""A short run of the fuzzers; `python -m bench fuzz` is the long one. They say by themselves what must hold."""

from __future__ import annotations

from random import Random

import pytest

from bench.bondfuzz import TARGETS


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", list(TARGETS))
def test_nothing_is_raised_answered_or_kept(name: str, seed: int) -> None:
    target, part = TARGETS[name]
    target(Random(seed), part * 100)
