# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker by a fake wall clock: `python -m tests.lab.fake_clock FILE --config ...` stands for `netpath run`.

FILE holds the seconds by which the fake clock is ahead of the real one; a test writes it at any time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netpath.paths import resolve
from netpath.tracker import main


def fake_clock(file: Path) -> Callable[[], float]:
    def now() -> float:
        return time.time() + float(file.read_text())

    return now


if __name__ == "__main__":
    where, _ = resolve(sys.argv[2:], os.environ)
    sys.exit(main(where, clock=fake_clock(Path(sys.argv[1]))))
