# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.bond.clocked FILE MONOTONIC ...`: `netpath ...` with other clocks.

FILE says by how much CLOCK_REALTIME is ahead of the machine's, which is everybody's: three doubles, when it jumped (of
the machine's clock), and the seconds before and after that. A test writes it at any time. The kernel's stamps of
datagrams jump along. MONOTONIC: seconds by which CLOCK_MONOTONIC is ahead, in a time namespace (time_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWTIME = 0x80
_JUMP = struct.Struct("=3d")


def enter(seconds: int) -> None:
    """What is executed next is in a new time namespace. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWTIME):
        raise OSError(ctypes.get_errno(), "no time namespace")
    Path("/proc/self/timens_offsets").write_text(f"monotonic {seconds} 0\nboottime {seconds} 0\n")


def main(file: str, monotonic: str, words: list[str]) -> int:
    if int(monotonic):
        enter(int(monotonic))
        os.execv(sys.executable, [sys.executable, "-m", "tests.bond.clocked", file, "0", *words])
    with Path(file).open("rb") as opened:
        jump = mmap.mmap(opened.fileno(), _JUMP.size, access=mmap.ACCESS_READ)

    def seen(real: float) -> float:
        since, before, after = _JUMP.unpack_from(jump)
        ahead: float = after if real >= since else before
        return real + ahead

    machines = time.time
    time.time = lambda: seen(machines())
    from netpath.bond import links
    from netpath.cli import main as netpath

    links._TIMESPEC = _Stamps(seen)  # type: ignore[assignment]
    sys.argv[1:] = words
    return netpath()


class _Stamps:
    """struct timespec of the kernel, as it would be by the other clock."""

    def __init__(self, seen: Callable[[float], float]) -> None:
        self._seen = seen

    def unpack(self, data: bytes) -> tuple[int, int]:
        seconds, nanoseconds = struct.unpack("=qq", data)
        whole, rest = divmod(self._seen(seconds + nanoseconds / 1e9), 1.0)
        return int(whole), int(rest * 1e9)


def set_ahead(file: Path, before: float, after: float) -> None:
    """Now, in one write, in place."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(descriptor, _JUMP.pack(time.time(), before, after), 0)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
