# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a command ends without its answer, and the exit codes. Each text says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OK, PROBLEM, USAGE, NOT_RUNNING = 0, 1, 2, 3
"""Exit codes: fine; a problem or a negative answer; wrong usage; no tracker runs."""


class CommandError(Exception):
    """The command cannot do what it was asked."""

    code = PROBLEM


class UsageError(CommandError):
    """The command line makes no sense."""

    code = USAGE


class NotRunningError(CommandError):
    """Nobody listens on the socket."""

    code = NOT_RUNNING

    def __init__(self, path: Path) -> None:
        super().__init__(f"the tracker is not running (nothing answers on {path}); start it with `netpath start`")


class RefusedError(CommandError):
    """The tracker or a local job answered {"error": text}."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(str(reply.get("error")))
        self.reply = reply
