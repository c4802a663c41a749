# SPDX-License-Identifier: GPL-2.0-or-later
"""The `netpath` command. Each command's module is imported when it is asked for, so that small ones stay quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netpath.cli.errors import PROBLEM, CommandError, RefusedError
from netpath.paths import OPTIONS, locate, resolve

if TYPE_CHECKING:
    from netpath.cli.context import Context

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    return _tracker(argv) if _is_plain_run(argv) else _command(argv)


def _is_plain_run(argv: Sequence[str]) -> bool:
    """True for `netpath run` with nothing but the options that its service gives it."""
    try:
        rest = resolve(argv, os.environ)[1]
    except ValueError:
        return False
    return rest in (["run"], ["run", "--syslog"], ["run", "--syslog-only"])


def _tracker(argv: Sequence[str]) -> int:
    """Be the tracker without argparse and all else that would stay in its memory."""
    from netpath.tracker import main as track

    where, rest = resolve(argv, os.environ)
    return track(where, use_syslog=len(rest) > 1, use_stderr="--syslog-only" not in rest)


def _command(argv: Sequence[str]) -> int:
    from netpath.cli.context import Context
    from netpath.cli.parser import parse

    for stream in (sys.stdout, sys.stderr):
        # A terminal in another encoding must not make a name in a reply a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = parse(argv)
    given = {option: getattr(options, option[2:].replace("-", "_")) for option in OPTIONS}
    context = Context(locate(os.environ, given), options, sys.stdout, sys.stderr)
    try:
        code = _handler(options.command_name)(context)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this, Python complains once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PROBLEM
    except KeyboardInterrupt:
        code = INTERRUPTED
    except CommandError as error:
        code = _failed(context, error)
    except OSError as error:
        code = _failed(context, CommandError(str(error)))
    return code


def _handler(name: str) -> Callable[[Context], int]:
    from importlib import import_module

    from netpath.cli.commands import command

    module, function = command(name).handler.split(":")
    handler: Callable[[Context], int] = getattr(import_module(f"netpath.cli.{module}"), function)
    return handler


def _failed(context: Context, error: CommandError) -> int:
    """Say why there is no answer: on standard error, with --json as an object on standard output."""
    if context.json:
        context.print_json(error.reply if isinstance(error, RefusedError) else {"error": str(error)})
    else:
        context.note(str(error))
    return error.code
