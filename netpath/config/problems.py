# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a configuration, where, and how to put it right."""

from __future__ import annotations

from dataclasses import asdict, dataclass

ERROR = "error"
WARNING = "warning"
_SHOWN_VALUE = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. An error keeps the configuration from being used, a warning does not."""

    severity: str
    """"error" or "warning"."""
    file: str
    line: int | None
    """Counted from 1; None where it cannot be told."""
    section: str | None
    """Type and name as the user wrote them, such as "interface wan"."""
    option: str | None
    """The option's name as the user wrote it, alias or not."""
    value: str | None
    message: str
    fix: str

    def __str__(self) -> str:
        """One line: `FILE:LINE: error: section, option 'value': message. Fix: ...`"""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = self.section or ""
        if self.option:
            subject = f"{subject}, option {self.option}" if subject else f"option {self.option}"
        if self.value:
            shown = self.value if len(self.value) <= _SHOWN_VALUE else self.value[:_SHOWN_VALUE] + "..."
            subject = f"{subject} '{shown}'" if subject else f"'{shown}'"
        text = f"{subject}: {self.message}" if subject else self.message
        return one_line(f"{place}: {self.severity}: {text}. Fix: {self.fix}")

    def as_dict(self) -> dict[str, str | int | None]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def one_line(text: str) -> str:
    """Control characters and the like spelled as escapes, so that a hostile value cannot forge lines on a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def nearest(name: str, known: list[str]) -> str | None:
    """The known name most like `name`, or None when nothing comes near."""
    import difflib

    matches = difflib.get_close_matches(name, known, n=1)
    return matches[0] if matches else None
