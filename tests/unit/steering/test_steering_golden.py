# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden rulesets. After an intended change run this with NETPATH_WRITE_GOLDEN=1 and read the difference."""

from __future__ import annotations

import os

import pytest

from tests.unit.steering.steering_golden import Case, cases, write


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.path.stem)
def test_golden(case: Case) -> None:
    if os.environ.get("NETPATH_WRITE_GOLDEN"):
        write(case)
        return
    assert case.actual() == case.expect
