# SPDX-License-Identifier: GPL-2.0-or-later
"""A user of this machine who is not root, and places where such a one can write."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOMEBODY = 65534
"""nobody and nogroup on Debian and OpenWrt; what counts is that it has no rights."""
SECRET = "hunter2-secret"
TIME = 60.0


def drop(*argv: str) -> list[str]:
    """The command line that runs `argv` as that user: no capabilities, no groups."""
    user = str(SOMEBODY)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all", "--", *argv]


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = "") -> str:
    """Exit code on the first line, then all that the program printed."""
    done = subprocess.run(
        argv, env={"PATH": os.environ["PATH"], **(env or {})}, cwd=cwd or "/", input=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIME, check=False,
    )  # fmt: skip
    return f"{done.returncode}\n{done.stdout}"


def python(code: str, *argv: str) -> list[str]:
    """This Python, which another user may not be able to start where it is: without our packages."""
    return ["/usr/bin/env", "python3", "-I", "-c", code, *argv]


def netpath(*argv: str) -> list[str]:
    return [sys.executable, "-P", "-m", "netpath", *argv]


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that everybody can enter and nobody but us can write into, with a path that everybody can walk."""
    with tempfile.TemporaryDirectory(prefix="netpath-security-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def give(path: Path) -> None:
    """Make it that user's."""
    os.chown(path, SOMEBODY, SOMEBODY)
