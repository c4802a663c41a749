# SPDX-License-Identifier: GPL-2.0-or-later
"""`ubus call netpath status` beside a plugin that does nothing, with a live tracker behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from bench.figure import Figure
from netpath.lab import Lab
from netpath.lab.namespace import Unavailable
from netpath.lab.rpcd import PLUGIN, Rpcd

BUDGET = 1.5
INTERPRETER = "/usr/bin/python3"
BARE = f"""#!{INTERPRETER} -ISsE
print('{{"status":{{}}}}')
"""
"""The least that rpcd takes: the same object for `list` and for each call."""
CALLS = 5
"""Of each kind in a row."""
LOOP = """
import json, os, sys, time
commands, rounds, calls = json.loads(sys.argv[1])
nothing = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
found = [[] for _ in commands]
for _ in range(rounds):
    for times, argv in zip(found, commands):
        for _ in range(calls):
            began = time.monotonic()
            os.waitpid(os.posix_spawnp(argv[0], argv, os.environ, file_actions=nothing), 0)
            times.append(time.monotonic() - began)
print(json.dumps(found))
"""
"""Times each command, turn by turn, from a process beside it: entering the root from outside would count too."""


def measure(quick: bool) -> list[Figure]:
    """Through the real rpcd where NETPATH_OPENWRT_ROOT names a root, else the plugins as processes."""
    rounds = 8 if quick else 40
    with Lab(2) as lab:
        lab.start_netpath(lab.config())
        lab.wait_status(wan="online", wan2="online")
        try:
            with Rpcd(lab.socket, {"bare": BARE}) as rpcd:
                prefix, ubus = rpcd.inside(), ["ubus", "-s", str(rpcd.socket), "call"]
                commands = [[*ubus, name, "status"] for name in ("bare", "netpath")]
                bare, ours = times([*prefix, INTERPRETER], rpcd.environment(), commands, rounds)
            how = "`ubus call` through OpenWrt's ubusd and rpcd"
        except Unavailable as why:
            plugin = lab.directory / "bare"
            plugin.write_text(BARE)
            plugin.chmod(0o755)
            environment = {**os.environ, "NETPATH_SOCKET": str(lab.socket)}
            commands = [[str(plugin), "call", "status"], [str(PLUGIN), "call", "status"]]
            bare, ours = times([sys.executable], environment, commands, rounds)
            how = f"the plugins as processes, without rpcd ({why})"
    note = f"{how}; each value is {CALLS} calls beside {CALLS} of a plugin that only prints an empty object"
    ratios = tuple(_median(ours, at) / _median(bare, at) for at in range(rounds))
    return [
        Figure("`ubus call netpath status`", "x an empty plugin", ratios, BUDGET, note=note),
        Figure("the same", "ms", tuple(1000 * _median(ours, at) for at in range(rounds))),
    ]


def _median(times: list[float], at: int) -> float:
    return sorted(times[at * CALLS : (at + 1) * CALLS])[CALLS // 2]


def times(prefix: list[str], environment: dict[str, str], commands: list[list[str]], rounds: int) -> list[list[float]]:
    """Seconds of each run of each command."""
    argv = [*prefix, "-c", LOOP, json.dumps([commands, rounds, CALLS])]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    found: list[list[float]] = json.loads(done.stdout)
    return found
