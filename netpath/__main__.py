# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath` is the `netpath` command."""

from __future__ import annotations

import sys

from netpath.cli import main

if __name__ == "__main__":
    sys.exit(main())
