# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

from netpath.tracker import memory

PROGRAM = """
import ctypes
from pathlib import Path
from netpath import memory

libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_trim"):
    raise SystemExit("no malloc_trim")
libc.malloc.restype = ctypes.c_void_p

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [libc.malloc(65536) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 65536)
for block in blocks[:-1]:  # the last one keeps glibc from giving back by itself
    libc.free(ctypes.c_void_p(block))
before = resident()
memory.give_back()
print(before - resident())
"""


def test_freed_memory_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False)
    if "no malloc_trim" in done.stderr:
        pytest.skip("this C library gives freed memory back by itself")
    assert int(done.stdout) > 50 * 2**20, done.stderr


class Pair:
    """Two that nobody but they themselves know."""

    def __init__(self) -> None:
        self.other: Pair | None = None


def test_what_only_refers_to_itself_goes_without_much_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PERIOD", 0.0)

    async def keep() -> int:
        gone = asyncio.Event()
        task = asyncio.create_task(memory.keep_small())
        await asyncio.sleep(0)
        one, two = Pair(), Pair()
        one.other, two.other = two, one
        watch = weakref.ref(one, lambda _: gone.set())
        del one, two
        await asyncio.wait_for(gone.wait(), 10)
        assert watch() is None
        task.cancel()
        return len(gc.get_objects())

    before = len(gc.get_objects())
    gc.disable()
    try:
        assert asyncio.run(keep()) < before / 4
    finally:
        gc.enable()
        gc.unfreeze()
