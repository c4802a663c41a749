# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.lab [--uplinks N] [--bare]`: a lab to play in until Ctrl-C; NetPath runs in it unless `--bare`."""

from __future__ import annotations

import argparse

from netpath.lab import Lab
from netpath.lab.guide import keep_up


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m netpath.lab", description="Build a lab and keep it until Ctrl-C.")
    parser.add_argument("--uplinks", type=int, default=2, metavar="N")
    parser.add_argument("--bare", action="store_true", help="do not start NetPath in it")
    options = parser.parse_args()
    with Lab(options.uplinks) as lab:
        if not options.bare:
            lab.start_netpath()
        keep_up(lab)


if __name__ == "__main__":
    main()
