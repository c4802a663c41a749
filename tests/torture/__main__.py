# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.torture`: seed after seed until one breaks something, or the time is up; `make torture` is this."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.torture.runner import torture

STEPS = 30


def main() -> int:
    options = _parser().parse_args()
    deadline = time.monotonic() + options.minutes * 60
    seed = options.seed
    rounds = 0
    while rounds == 0 or (time.monotonic() < deadline and not options.only):
        if seed is None or rounds:
            seed = random.SystemRandom().randrange(1, 1_000_000) if options.seed is None else seed + 1
        rounds += 1
        print(f"seed {seed}, {options.steps} steps", flush=True)
        found = torture(seed, options.steps, options.only, lambda line: print(line, flush=True))
        if found:
            print("\n".join(["VIOLATED:", *found]))
            print(f"again: python -m tests.torture --seed {seed} --steps {options.steps}  [--only 3,7: these steps]")
            return 1
    print(f"{rounds} seeds, nothing violated")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seed", type=int, help="begin with this one, then the next ones; default: random ones")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each seed; default {STEPS}")
    parser.add_argument("--only", type=_numbers, default=(), help="only these steps, such as 3,7: to find the guilty")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no new seed after that; default: one seed")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
