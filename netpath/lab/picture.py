# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's screen: a story that scrolls, and under it, on a terminal, a picture that is redrawn in place."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

BAR = 24
PLAIN_SECONDS = 2.0
"""How often the picture is printed where it cannot be redrawn."""
_COLOURS = {"online": "32", "offline": "31", "disabled": "31"}


@dataclass(frozen=True, slots=True)
class Row:
    """One uplink as it stands."""

    name: str
    role: str
    state: str
    latency: float | None
    """Milliseconds."""
    share: float | None
    """Of the latest new flows, 0 to 1; None when there were none."""


class Screen:
    """Writes to standard output; colours and redrawing only on a terminal."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._drawn = 0
        self._last_plain = 0.0
        self._start = time.monotonic()

    def title(self, text: str) -> None:
        self._erase()
        self._print("\n" + self._paint(f"{self._clock()} {text}", "1"))

    def say(self, text: str) -> None:
        self._erase()
        self._print(f"{' ' * 8} {text}")

    def good(self, text: str) -> None:
        self.say(f"{self._paint('seen:', '32')} {text}")

    def draw(self, rows: Sequence[Row], notes: Sequence[str]) -> None:
        """Show the picture: in place on a terminal, else as one line every two seconds."""
        if self._live:
            self._erase()
            width = shutil.get_terminal_size().columns
            lines = ["", *(self._row(row) for row in rows), *(f"   {note}"[: width - 1] for note in notes)]
            self._print("\n".join(lines))
            self._drawn = len(lines)
        elif time.monotonic() - self._last_plain >= PLAIN_SECONDS:
            self._last_plain = time.monotonic()
            parts = [f"{row.name} {row.state} {_latency(row)} {_percent(row)}" for row in rows]
            self._print(f"{self._clock()} " + " | ".join([*parts, *notes]))

    def _row(self, row: Row) -> str:
        filled = round((row.share or 0) * BAR)
        bar = self._paint("#" * filled, "36") + "." * (BAR - filled)
        state = self._paint(f"{row.state:14}", _COLOURS.get(row.state, "33"))
        return f"   {row.name:7} {row.role:22} {state} {_latency(row):>9}  {bar} {_percent(row):>5}"

    def _erase(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _clock(self) -> str:
        return f"{time.monotonic() - self._start:6.1f} s"

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._live and text else text

    def _print(self, text: str) -> None:
        print(text, flush=True)


def _latency(row: Row) -> str:
    return "-" if row.latency is None else f"{row.latency:.1f} ms"


def _percent(row: Row) -> str:
    return "-" if row.share is None else f"{row.share:.0%}"
