# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps a process that runs for long as small as it is."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Return freed memory to the system. glibc keeps it for itself (malloc_trim(3)); musl does not, and has no such."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def settle() -> None:
    """All that is there now stays: the collector does not look at it again, which takes tens of milliseconds."""
    gc.collect()
    gc.freeze()


def tidy() -> None:
    """Collect what only refers to itself, and give back. After `settle` that takes less than a millisecond.

    Python alone does it when there are a quarter more containers than before, however much memory they hold; and tuples
    that it keeps for the next ones (up to 2,000 of each length in CPython 3.11) go with it only.
    """
    gc.collect()
    give_back()
