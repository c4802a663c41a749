# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo shows what it says, and says so when it could not."""

from __future__ import annotations

import pytest

from netpath.lab import Lab, demo

pytestmark = pytest.mark.lab


def test_the_demo_sees_everything_that_it_claims(capsys: pytest.CaptureFixture[str]) -> None:
    code = demo.main(pause=0)
    told = capsys.readouterr().out
    assert code == 0, told
    for claim in ("60% fibre, 40% cable", "went by cable", "went by lte", "20 of 20 connections refused", "as before"):
        assert claim in told


def test_the_demo_fails_loudly_when_there_is_no_failover(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(*_: object) -> None:
        """Cut nothing."""

    monkeypatch.setattr(Lab, "cut", pretend)
    monkeypatch.setattr(demo, "NOTICE_SECONDS", 3.0)
    assert demo.main(pause=0) == 1
    assert "THE DEMO FAILED: waited 3 s in vain for fibre to be offline" in capsys.readouterr().out
