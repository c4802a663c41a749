# SPDX-License-Identifier: GPL-2.0-or-later
"""`import`: another manager's configuration in NetPath's own form. And `completion`, for packagers."""

from __future__ import annotations

import os
from pathlib import Path

from netpath.cli.context import Context
from netpath.cli.errors import OK, PROBLEM, CommandError
from netpath.cli.reports import has_error, render_problems
from netpath.cli.text import PLAIN, clean, clean_reply

MWAN3_CONFIG = "/etc/config/mwan3"


def import_mwan3(context: Context) -> int:
    """Print or write the native form, problems on standard error; with an error among them nothing is written."""
    from netpath.config import import_mwan3 as convert

    imported = convert(Path(context.options.file))
    problems = [problem.as_dict() for problem in imported.problems]
    target = None if has_error(problems) else context.options.output
    if target is not None:
        write_new(Path(target), imported.text, force=context.options.force)
    if context.json:
        context.print_json({"text": imported.text, "problems": problems, "written": target})
    else:
        for line in render_problems(clean_reply({"problems": problems}), PLAIN):
            print(line, file=context.err)
        done = [] if target is None else [f"{clean(target)} is written"]
        context.lines(done or _for_screen(context, imported.text).splitlines())
    return PROBLEM if has_error(problems) else OK


def _for_screen(context: Context, text: str) -> str:
    """The text as it is, except that a terminal gets no control characters."""
    return clean(text, keep="\n\t") if context.out.isatty() else text


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a new file, or with `force` replace an existing one in one step. Raises CommandError with what to do."""
    try:
        if not force:
            with path.open("x", encoding="utf-8", errors="surrogateescape") as new:
                new.write(text)
            return
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
        temporary.replace(path)
    except FileExistsError:
        raise CommandError(f"{path} exists; --force overwrites it") from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def completion(context: Context) -> int:
    """The bash completion, made from the table of commands."""
    from netpath.cli.completion import bash

    context.lines(bash().splitlines())
    return OK
