# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose a file is: what somebody else could have written is not run, not believed and not written over by root."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def weakness(path: Path) -> str | None:
    """Why somebody other than root and this user can decide what is in a file, with the remedy; None: nobody else can.

    The file that a link leads to counts, and the directories that both are in. Raises OSError.
    """
    file = path.resolve()
    for each in (file, file.parent, path.absolute().parent):
        status = each.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"{each} belongs to user {status.st_uid} (remedy: chown root {each})"
        # In a directory like /tmp nobody can replace what is another's.
        sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if not sticky and _others_write(status):
            return f"others may write {each} (remedy: chmod go-w {each})"
    return None


def refusal(script: Path) -> str | None:
    """Why root must not run that script; None: it may."""
    try:
        return weakness(script)
    except OSError as error:
        return f"{script} cannot be looked at: {error.strerror}"


def executables(directory: Path) -> list[Path]:
    """The programs in a directory by name, none where there is no such directory. Raises other OSErrors."""
    try:
        found = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in found if path.is_file() and os.access(path, os.X_OK)]


def make_private(directory: Path) -> None:
    """Make a directory that only its owner may look into, or see that nobody else can write into an existing one.

    Its mode is left alone: it may have been named by mistake. A link is refused, as another user may have put it there.
    Raises OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "it is a link; name the directory itself", str(directory))
    if status.st_uid != os.geteuid():
        text = f"it belongs to user {status.st_uid}, who could change what is in it; name another one"
        raise PermissionError(errno.EPERM, text, str(directory))
    if _others_write(status):
        raise PermissionError(errno.EPERM, f"others may write into it: chmod 700 {directory}", str(directory))


def _others_write(status: os.stat_result) -> bool:
    """Whether anybody, or a group other than root's and ours, may."""
    group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
    return bool(status.st_mode & stat.S_IWOTH or group)
