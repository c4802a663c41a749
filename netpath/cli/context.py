# SPDX-License-Identifier: GPL-2.0-or-later
"""What every command gets: its options, the instance's paths, and the one way in and out."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from netpath.cli.client import REPLY_TIME, Reply, call
from netpath.cli.errors import OK, CommandError, RefusedError
from netpath.cli.text import Style, clean, clean_reply
from netpath.paths import Paths

Render = Callable[[Reply, Style], Iterable[str]]


class Context:
    """One run of one command."""

    def __init__(self, where: Paths, options: Namespace, out: TextIO, err: TextIO) -> None:
        self.where = where
        self.options = options
        self.json = bool(options.json)
        self.out = out
        self.err = err
        self.style = style_of(out)

    def ask(self, cmd: str, timeout: float = REPLY_TIME, **fields: Any) -> Reply:
        """The tracker's reply. Raises NotRunningError, CommandError, or RefusedError for an error reply."""
        return accepted(call(self.where.socket, {"cmd": cmd, **given(fields)}, timeout))

    def local(self, job: str, **fields: Any) -> Reply:
        """Run a worker's job in this process. Raises RefusedError for an error reply, CommandError when nft refuses."""
        from netpath.kernel.nft import NftError
        from netpath.worker.__main__ import job as function

        try:
            return accepted(function(job)(self.where, given(fields)))
        except NftError as error:
            raise CommandError(f"{job}: {error}") from None

    def answer(self, reply: Reply, render: Render) -> int:
        """Print `reply`: as it is with --json, else what `render` makes of its harmless form."""
        if self.json:
            self.print_json(reply)
        else:
            self.lines(render(clean_reply(reply), self.style))
        return OK

    def print_json(self, value: Any) -> None:
        """One line of JSON in ASCII, so that no control character reaches a terminal."""
        print(json.dumps(value), file=self.out)

    def lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            print(line, file=self.out)

    def done(self, text: str, **fields: Any) -> int:
        """Say that something was done."""
        if self.json:
            self.print_json({"result": "ok", "message": text, **fields})
        else:
            self.lines([clean(text)])
        return OK

    def note(self, text: str) -> None:
        """A remark beside the answer, on standard error."""
        print(f"netpath: {clean(text)}", file=self.err)


def accepted(reply: Reply) -> Reply:
    """`reply`, unless it says that the request failed: then RefusedError."""
    if "error" in reply:
        raise RefusedError(reply)
    return reply


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Only the fields that the user gave."""
    return {key: value for key, value in fields.items() if value is not None}


def style_of(stream: TextIO) -> Style:
    """Colours on a terminal that shows them, unless NO_COLOR is set; block characters where the encoding has them."""
    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return Style(colour, unicode=(stream.encoding or "").lower().startswith("utf"))
