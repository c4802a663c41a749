# SPDX-License-Identifier: GPL-2.0-or-later
"""The UCI grammar: what libuci reads is read alike, what is broken is named with its line."""

from __future__ import annotations

import pytest

from netpath.config.uci import read


def values_of(line: str) -> tuple[str, ...]:
    sections, problems = read(f"config rule 'r'\n{line}\n", "f")
    assert not [p for p in problems if p.severity == "error"], problems
    return sections[0].entries[0].values if sections[0].entries else ()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("option a b", "b"),
        ("option a 'b c'", "b c"),
        ('option a "b c"', "b c"),
        ("\toption\t'a'\t'b'", "b"),
        ("option a 'b'\"c\"d", "bcd"),
        ("option a 'it'\\''s'", "it's"),
        ('option a "say \\"hi\\""', 'say "hi"'),
        ("option a 'back\\slash'", "back\\slash"),
        ('option a "back\\\\slash"', "back\\slash"),
        ('option a "b\\c"', "bc"),
        ("option a b\\ c", "b c"),
        ("option a b\\\nc", "bc"),
        ('option a "b\\\nc"', "bc"),
        ("option a 'two\nlines'", "two\nlines"),
        ("option a b # c", "b"),
        ("option a b#c", "b"),
        ("option a 'b#c'", "b#c"),
        ("option a 'b;c'", "b;c"),
        ("o a b", "b"),
        ("option a 'Ünïcode \u20181\u2019'", "Ünïcode \u20181\u2019"),
    ],
)
def test_a_value_is_read_as_libuci_reads_it(line: str, value: str) -> None:
    assert values_of(line) == (value,)


def test_lists_add_up_and_the_last_option_wins() -> None:
    assert values_of("list a 1\nlist a 2\nl a 3") == ("1", "2", "3")
    assert values_of("option a 1\nlist a 2") == ("1", "2")
    assert values_of("list a 1\noption a 2") == ("2",)
    _, problems = read("config rule\noption a 1\noption a 2\n", "f")
    assert [(p.severity, p.line, p.option, p.value) for p in problems] == [("warning", 2, "a", "1")]
    assert "line 3" in problems[0].message


def test_an_empty_value_unsets_the_option() -> None:
    assert values_of("option a 1\noption a ''") == ()


def test_statements_share_a_line_with_semicolons() -> None:
    sections, problems = read("config rule r; option a 1; option b 2", "f")
    assert not problems
    assert [(e.name, e.values) for e in sections[0].entries] == [("a", ("1",)), ("b", ("2",))]


def test_sections_may_be_quoted_anonymous_or_unnamed() -> None:
    text = "package netpath\nconfig 'member' 'x'\nconfig rule\nconfig globals\nconfig rule ''\n"
    sections, problems = read(text, "f")
    assert not problems
    assert [(s.type, s.name) for s in sections] == [("member", "x"), ("rule", None), ("globals", None), ("rule", None)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_value_keeps_its_line(newline: str) -> None:
    text = newline.join(
        [
            "# head",
            "",
            "config interface 'wan'",
            "\tlist t 'a'",
            "",
            "\tlist t 'b' # x",
            "\toption m 'two",
            "three'",
            "o n 1",
        ]
    )
    sections, problems = read(text, "f")
    assert not problems
    assert sections[0].line == 3
    assert [(e.name, e.lines) for e in sections[0].entries] == [("t", (4, 6)), ("m", (7,)), ("n", (9,))]
    assert sections[0].entries[1].values == ("two\nthree",)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("config rule r\n\toption sticky \u20181'\n\toption timeout '3'\n", 2, "plain quote"),
        ("config rule r\n\toption a \u201c1\u201d\n", 2, "plain quote"),
        ("config rule r\n\toption\u00a0a 1\n", 2, "plain quote"),
        ("config rule r\n\toption a 'b\n\toption c 'd'\n", 2, "' quote is not closed"),
        ('config rule r\n\toption a "b\n', 2, '" quote is not closed'),
        ("config rule r\n\toption a b c\n", 2, "too many words"),
        ("config rule r\n\toption a\n", 2, "incomplete"),
        ("config\n", 1, "incomplete"),
        ("config rule a b\n", 1, "too many words"),
        ("option a b\n", 1, "before the first section"),
        ("list a b\n", 1, "before the first section"),
        ("config rule r\n\toptoin a b\n", 2, "not a UCI statement"),
        ("config rule r\n\toption a-b c\n", 2, "not an option name"),
        ("package\n", 1, "incomplete"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    _, problems = read(text, "f")
    assert [(p.severity, p.line) for p in problems] == [("error", line)]
    assert words in problems[0].message
    assert problems[0].fix


def test_reading_goes_on_after_a_mistake() -> None:
    sections, problems = read("config rule r\noption a \u20181'\noption b 2\nnonsense\noption c 'x\noption d 4\n", "f")
    assert [p.line for p in problems] == [2, 4, 5]
    assert [(e.name, e.values) for e in sections[0].entries] == [("b", ("2",)), ("d", ("4",))]


def test_options_below_a_broken_section_line_do_not_fall_into_the_section_before() -> None:
    for broken in ("config member 'b", "config member b c", "config"):
        sections, problems = read(f"config member a\noption x 1\n{broken}\noption y 2\n", "f")
        assert [p.line for p in problems] == [3], broken
        assert [e.name for e in sections[0].entries] == ["x"], broken


def test_a_file_of_nonsense_does_not_drown_the_reader() -> None:
    _, problems = read("nonsense\n" * 100_000, "f")
    assert len(problems) < 300
    assert "too many errors" in problems[-1].message


def test_names_that_libuci_refuses_are_warned_of() -> None:
    _, problems = read("config policy 'a-b'\nconfig policy wan\nconfig rule x\nconfig interface wan\n", "f")
    assert [(p.severity, p.line, p.section) for p in problems] == [
        ("warning", 1, "policy a-b"),
        ("warning", 4, "interface wan"),
    ]
    assert "line 2" in problems[1].message
