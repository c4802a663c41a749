# SPDX-License-Identifier: GPL-2.0-or-later
"""rpcd's plugin as rpcd runs it: a process with arguments, standard input and standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).parents[3] / "files/usr/libexec/rpcd/netpath"
FLAGS = "-ISsE"


def run(*argv: str, stdin: str | bytes = "", socket: Path | str = "/nonexistent", plugin: Path = PLUGIN) -> bytes:
    """What it prints, `socket` being that of the tracker and of the monitor, beside which those of bonds are. It must
    end well and say nothing on standard error."""
    done = subprocess.run(
        [sys.executable, FLAGS, str(plugin), *argv],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env={
            **os.environ,
            "NETPATH_SOCKET": str(socket),
            "NETPATH_MONITOR_SOCKET": str(socket),
            "NETPATH_BOND_DIR": str(Path(socket).parent),
            "NETPATH_COMMAND": str(Path(socket).with_name("command")),
        },
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def call(method: str, arguments: Any = None, *, socket: Path | str = "/nonexistent") -> dict[str, Any]:
    """The reply to one method."""
    return parsed(run("call", method, stdin="" if arguments is None else json.dumps(arguments), socket=socket))


def parsed(data: bytes) -> dict[str, Any]:
    """A reply that rpcd would take: one JSON object without NaN."""
    reply = json.loads(data, parse_constant=_refused)
    assert isinstance(reply, dict)
    return reply


def _refused(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
