# SPDX-License-Identifier: GPL-2.0-or-later
"""A log to look at."""

from __future__ import annotations

from netpath.tracker.journal import Log


class Lines(Log):
    """Keeps each line as "level: message", of every level, and prints none."""

    def __init__(self) -> None:
        super().__init__(use_stderr=False)
        self.lines: list[str] = []

    def __call__(self, level: str, message: str) -> None:
        self.lines.append(f"{level}: {message}")

    def at(self, level: str) -> list[str]:
        """Messages of one level."""
        return [line.removeprefix(f"{level}: ") for line in self.lines if line.startswith(f"{level}: ")]
