# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker by a wall clock that can be set: `python -m tests.torture.clocked FILE --config ...` is `netpath run`.

FILE holds the seconds by which the clock is ahead of the real one. All of the tracker sees it, and its loads; its other
workers do not. The real clock stays as it is: no namespace has one of its own (time namespaces shift the monotonic
clock only).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_real = time.time


def shift(file: Path) -> None:
    """From now on `time.time` is ahead by what the file says."""
    time.time = lambda: _real() + float(file.read_text() or 0)


if __name__ == "__main__":
    shift(Path(sys.argv[1]))
    from netpath.paths import resolve
    from netpath.tracker import main

    sys.exit(main(resolve(sys.argv[2:], os.environ)[0]))
