# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath use IFACE CMD`: everything that CMD and its children send leaves by that interface.

The process joins a cgroup that the ruleset knows, then becomes CMD. Without LD_PRELOAD: static programs obey too.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from netpath.cli.context import Context
from netpath.cli.errors import CommandError, UsageError

CANNOT_RUN, NOT_FOUND = 126, 127
"""Exit codes as env(1) and shells use them; else the exit code is CMD's own."""


def use(context: Context) -> int:
    """Does not return when all goes well."""
    command = context.options.command
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise UsageError("use needs a command; example: netpath use wan curl https://example.org")
    group = context.ask("use", interface=context.options.interface).get("cgroup")
    if not isinstance(group, str) or not group.startswith("/"):
        raise CommandError("the tracker named no cgroup; its log tells more")
    join(Path(group))
    return become(context, command)


def join(group: Path) -> None:
    """Move this process into `group`. Raises CommandError with what to do."""
    procs = group / "cgroup.procs"
    try:
        # Never create the file: cgroupfs makes it, and a plain directory of that name is no cgroup.
        descriptor = os.open(procs, os.O_WRONLY)
        try:
            os.write(descriptor, b"%d\n" % os.getpid())
        finally:
            os.close(descriptor)
    except PermissionError:
        raise CommandError(f"{procs}: permission denied; run this as root") from None
    except OSError as error:
        raise CommandError(f"{procs}: cannot join ({error.strerror}); `netpath use` needs cgroup v2") from None


def become(context: Context, command: list[str]) -> int:
    """Replace this process by `command`; an exit code when that fails."""
    # Python ignores SIGPIPE, and an ignored signal would stay ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        context.note(f"{command[0]}: no such command")
        return NOT_FOUND
    except OSError as error:
        context.note(f"{command[0]}: cannot be run: {error.strerror}")
        return CANNOT_RUN
