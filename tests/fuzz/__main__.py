# SPDX-License-Identifier: GPL-2.0-or-later
"""`make fuzz`: coverage-guided runs of the targets by atheris (docs/testing.md, "Fuzzing").

What is new to the coverage is kept in build/fuzz/TARGET from run to run, what fails in build/fuzz/TARGET-crash-*.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

from tests.fuzz.targets import CORPUS, TARGETS, seeds, target

HERE = Path(__file__).parent
WORK = Path("build/fuzz")
LONGEST = 4096
"""Bytes of an input."""
HANG = 20
"""Seconds after which one input counts as a hang."""
MEMORY = 1024
"""MiB."""
MADE_WRONG = {
    "netpath.config.uci": "next_statement",
    "netpath.kernel.netlink": "parts",
    "netpath.monitor.websocket": "_message",
}
"""Module -> its function that atheris 2.3.0 makes nonsense of (a `with` out of nowhere, a loop that misses its end)."""
_RUNS = re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE)


def main() -> int:
    """0 when nothing was found."""
    options = _options()
    names = options.target if options.target != ["all"] else list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"no target {unknown[0]!r}; there are all, {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if len(names) == 1:
        _fuzz(names[0], options.seconds, options.input)
    found = [name for name in names if not _found_nothing(name, options.seconds)]
    print(f"{len(names)} targets, findings in: {', '.join(found) or 'none'}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="+", help="targets, one after the other, or all")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--input", nargs="+", type=Path, default=[], help="only these files, each once")
    return parser.parse_args()


def _found_nothing(name: str, seconds: int) -> bool:
    """A process of its own: libFuzzer ends the one that it is in."""
    argv = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    runs = _RUNS.search(done.stderr)
    ended = f", ended with {done.returncode}" if done.returncode else ""
    print(f"{name}: {runs[1] if runs else '?'} executions{ended}", flush=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        print("\n".join(line for line in lines if not line.startswith(("INFO: Instr", "#", '"')))[-6000:], flush=True)
    return done.returncode == 0


def _fuzz(name: str, seconds: int, inputs: list[Path]) -> NoReturn:
    """libFuzzer ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed here: `make fuzz` installs it, where it has a wheel (requirements-fuzz.txt)")
    with atheris.instrument_imports(
        include=["netpath", "tomllib"], exclude=[*MADE_WRONG], enable_loader_override=False
    ):
        found = target(name)
    _instrument(atheris)
    kept = WORK / name
    kept.mkdir(parents=True, exist_ok=True)
    words = WORK / f"{name}.dict"
    words.write_text(_dictionary(name), encoding="ascii")
    argv = [sys.argv[0], f"-max_len={LONGEST}", f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}"]
    argv += [f"-artifact_prefix={WORK}/{name}-"]
    if words.stat().st_size:  # libFuzzer does not take an empty one
        argv.append(f"-dict={words}")
    if inputs:
        argv += map(str, inputs)
    else:
        argv += [f"-max_total_time={seconds}", "-print_final_stats=1", str(kept), str(CORPUS / name)]
    atheris.Setup(argv, found)
    atheris.Fuzz()
    raise AssertionError("libFuzzer has come back")


def _instrument(atheris: Any) -> None:
    """The rest of those modules."""
    for module, wrong in MADE_WRONG.items():
        if module not in sys.modules:
            continue
        inside = vars(sys.modules[module])
        for owner in (inside, *(vars(each) for each in inside.values() if isinstance(each, type))):
            for name, member in owner.items():
                if isinstance(member, FunctionType) and member.__module__ == module and name != wrong:
                    atheris.instrument_func(member)


def _dictionary(name: str) -> str:
    """Words that chance would take long to find: those of the seeds, and for configurations those of the schema."""
    words: set[bytes] = set()
    for seed in seeds(name):
        words |= set(re.findall(rb"[A-Za-z_][A-Za-z0-9_.-]{2,30}", seed.read_bytes()))
    if name in ("load_uci", "load_toml", "mwan3", "bond_config"):
        from netpath.config.schema import SECTIONS

        words |= {option.encode() for kind in SECTIONS.values() for option in kind.by_name}
    return "".join(f'"{word.decode()}"\n' for word in sorted(words))


if __name__ == "__main__":
    os.chdir(HERE.parents[1])
    sys.exit(main())
