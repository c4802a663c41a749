# SPDX-License-Identifier: GPL-2.0-or-later
"""`.env` files as people and other programs write them."""

from __future__ import annotations

import pytest

from netpath.cli.dotenv import DotenvError, parse


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=ws://192.168.1.1:9090/connections?token=a#b", "ws://192.168.1.1:9090/connections?token=a#b"),
        ("A=x # remark", "x"),
        ("A= # remark", ""),
        ("A=", ""),
        ("  export A = x y ", "x y"),
        ("A='x # $y \\n'", "x # $y \\n"),
        ('A="x # \\"y\\" \\\\ \\n"', 'x # "y" \\ \n'),
        ("A='x' # remark", "x"),
        ("A=1\nA=2", "2"),
        ("# A=1\n\n\ufeffA=2".replace("\ufeff", ""), "2"),
        ("\ufeffA=1\r\n", "1"),
        ("A=$HOME", "$HOME"),
    ],
)
def test_values(line: str, value: str) -> None:
    assert parse(line) == {"A": value}


@pytest.mark.parametrize("line", ["A", "1A=x", "A-B=x", "A='x", 'A="x', "A='x'y", "=x"])
def test_what_is_none_is_named_by_its_line_without_its_text(line: str) -> None:
    with pytest.raises(DotenvError, match="line 2") as caught:
        parse(f"B=secret\n{line}")
    assert "x" not in str(caught.value).replace("line 2: the ' quote is not closed, or something follows it", "")
