# SPDX-License-Identifier: GPL-2.0-or-later
"""One process for each bond: a lock (flock) that a bond holds for as long as it lives, however it ends.

The kernel gives it back when the process dies. So a lock file that nobody holds is one of a bond that was killed: who
ends in order removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_PATIENCE = 1.0
"""Seconds in which whoever clears up behind a killed bond of the name is done with it."""
_PAUSE = 0.02


def acquire(path: Path) -> int:
    """Hold it. Raises BlockingIOError where another process goes on holding it, OSError where there can be no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _PATIENCE
    while (lock := _try(path, os.O_CREAT)) is None:
        if time.monotonic() >= end:
            raise BlockingIOError
        time.sleep(_PAUSE)
    return lock


def orphaned(path: Path) -> int | None:
    """Hold the lock of a bond that was killed; None: it lives, or nothing is left of it. Raises OSError."""
    try:
        return _try(path, 0)
    except FileNotFoundError:
        return None


def release(path: Path, lock: int, *, remove: bool = True) -> None:
    """No more; `remove`: nothing of the bond is left. Raises nothing: it is the process's end."""
    if remove:
        with contextlib.suppress(OSError):  # it stays, as if killed, and is removed by the next one who looks
            path.unlink()
    os.close(lock)


def _try(path: Path, flags: int) -> int | None:
    """None: another one has it."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        os.close(lock)  # its last holder has just removed it


def _is(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False
