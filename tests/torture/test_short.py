# SPDX-License-Identifier: GPL-2.0-or-later
"""The short torture: seeds that never change, so that a failure is one of the code. `make torture` draws new ones."""

from __future__ import annotations

import pytest

from tests.torture.runner import torture

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("seed", "steps"), [(1, 10), (2, 12)])
def test_nothing_is_violated(seed: int, steps: int) -> None:
    said: list[str] = []
    found = torture(seed, steps, say=said.append)
    again = f"python -m tests.torture --seed {seed} --steps {steps}"
    assert not found, "\n".join(["", *said, *found, again])
