# SPDX-License-Identifier: GPL-2.0-or-later
"""Words and figures for people: harmless text, durations, sizes, tables, colours, sparklines.

Figures come from replies, so each function takes whatever a reply may hold and answers "-" where that is no figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

NONE = "-"
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*%#"
LARGEST = 2**64
COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Style:
    """Colours, or none at all; and the characters that the terminal can show."""

    def __init__(self, colour: bool = False, unicode: bool = True) -> None:
        self.colour = colour
        self.blocks = BLOCKS if unicode else ASCII_BLOCKS

    def paint(self, text: str, colour: str) -> str:
        """`text` between escape codes, or as it is. `colour` is a key of COLOURS, or "" for none."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour else text

    def state(self, status: Any) -> str:
        """An interface's status word in its colour."""
        return self.paint(show(status), state_colour(status))


PLAIN = Style()


def state_colour(status: Any) -> str:
    """Colour of an interface's status, of a diagnosis and of a problem's severity."""
    good, middle = ("online", "ok", "up"), ("connecting", "disconnecting", "warning")
    return "green" if status in good else "yellow" if status in middle else "dim" if status == "disabled" else "red"


def clean(text: str, keep: str = "") -> str:
    """`text` with all that a terminal might obey spelled out: control, format and bidi characters, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def clean_reply(value: Any, keep: str = "") -> Any:
    """A JSON value with every text in it, keys included, made harmless."""
    if isinstance(value, str):
        return clean(value, keep)
    if isinstance(value, dict):
        return {clean(str(key)): clean_reply(each, keep) for key, each in value.items()}
    if isinstance(value, list):
        return [clean_reply(each, keep) for each in value]
    return value


def show(value: Any) -> str:
    """One value as text; lists with commas, nothing as "-"."""
    if value is None or value in ("", []):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(show(each) for each in value)
    return str(value)


def number(value: Any) -> float | None:
    """`value` when it is a figure that can be counted with; neither infinite nor beyond any counter."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < LARGEST else None


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects in list `value`; empty when it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def words(value: Any) -> list[str]:
    """The items of list `value` as text."""
    return [show(each) for each in value] if isinstance(value, list) else []


def clock(seconds: Any) -> str:
    """A duration in s as mwan3 writes it: 00h:12m:33s."""
    figure = number(seconds)
    if figure is None:
        return NONE
    minutes, rest = divmod(max(0, int(figure)), 60)
    return f"{minutes // 60:02d}h:{minutes % 60:02d}m:{rest:02d}s"


def milliseconds(value: Any) -> str:
    figure = number(value)
    return NONE if figure is None else f"{figure:.1f} ms"


def percent(value: Any) -> str:
    """12.5% and 40%, not 40.0%."""
    figure = number(value)
    return NONE if figure is None else f"{round(figure, 1):g}%"


def count(value: Any) -> str:
    figure = number(value)
    return NONE if figure is None else f"{figure:.0f}"


def size(value: Any, suffix: str = "B") -> str:
    """Bytes with a decimal prefix: 1.2 MB."""
    figure = number(value)
    if figure is None:
        return NONE
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(figure) < 999.5 or prefix == "P":
            break
        figure /= 1000
    return f"{figure:.0f} {prefix}{suffix}" if not prefix or figure >= 99.95 else f"{figure:.1f} {prefix}{suffix}"


def rate(value: Any) -> str:
    """Bytes per second as bits per second, the unit that lines are sold in: 12.3 Mbit/s."""
    figure = number(value)
    return NONE if figure is None else size(figure * 8, "bit/s")


def when(epoch: Any) -> str:
    """An epoch time in s as local date and time."""
    figure = number(epoch)
    if figure is None:
        return NONE
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(figure))
    except (OverflowError, ValueError, OSError):
        return show(epoch)


def sparkline(values: Sequence[float | None], blocks: str = BLOCKS) -> str:
    """One character a value, the largest as the full block, from zero; a gap where nothing was measured."""
    top = max((v for v in values if v is not None), default=0.0)
    steps = len(blocks) - 1
    heights = [None if v is None else round(max(v, 0) / top * steps) if top > 0 else 0 for v in values]
    return "".join(" " if height is None else blocks[height] for height in heights)


def table(
    head: Sequence[str], body: Iterable[Sequence[str]], style: Style = PLAIN, status: int | None = None
) -> list[str]:
    """Aligned lines, `head` first; a head that starts with ">" aligns its column to the right.

    The cells of column `status` get the colour of the status that they name.
    """
    right = [h.startswith(">") for h in head]
    grid = [[h.lstrip(">") for h in head], *([*line] for line in body)]
    widths = [max(len(line[i]) for line in grid) for i in range(len(head))]

    def cell(line: int, column: int) -> str:
        text = grid[line][column]
        padded = text.rjust(widths[column]) if right[column] else text.ljust(widths[column])
        if line == 0:
            return style.paint(padded, "bold")
        return style.paint(padded, state_colour(text)) if column == status else padded

    return ["  ".join(cell(line, column) for column in range(len(head))).rstrip() for line in range(len(grid))]
