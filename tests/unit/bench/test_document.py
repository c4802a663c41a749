# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures of one measurement are replaced, the others stay, each with its occasion."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import document
from bench.figure import Figure, Missing

ORDER = ["first", "second"]


def test_only_what_was_measured_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    monkeypatch.setattr(document, "DOCUMENT", page)
    monkeypatch.setattr(document, "RESULTS", tmp_path / "page.json")
    second = [Figure("weight", "kg", (2.0,), 1.0, note="heavy")]
    document.write(ORDER, ["machine: a", "date: monday"], {"second": second, "first": [Missing("length", "-", "rain")]})
    document.write(ORDER, ["machine: a", "date: friday"], {"first": [Figure("length", "m", (3.0,), note="dry")]})
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "rain" not in text
    assert "- first: machine: a; date: friday\n- second: machine: a; date: monday\n" in text
    assert text.index("| length | - | 3 m [1] | - | - |") < text.index(
        "| weight | at most 1 kg | 2 kg [2] | 2.00 | missed |"
    )
    assert "1. dry\n2. heavy\n" in text
