# SPDX-License-Identifier: GPL-2.0-or-later
"""A process and the one that started it (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


def die_with(parent: int) -> bool:
    """Let the kernel kill this process when `parent`, which started it, ends; False when that has happened already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def rename(name: str) -> None:
    """What `ps` calls this process; at most 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
