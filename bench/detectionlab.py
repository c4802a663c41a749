# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the study of detection may be believed: the daemon itself, on real packets that the kernel drops at random.

`python -m bench.detectionlab [--quick]`, as root. One lab, one daemon, two groups of uplinks. What is compared: how
often uplinks that lose packets are taken for dead, and how soon those that are cut are noticed. The simulation gets as
many uplinks and as much time.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from statistics import median

from bench import configurations
from bench.detection import WARM, outage
from bench.detectionseries import Link, Series
from bench.detectiontracker import NetPath
from netpath.lab import SERVERS, Lab, LabError, UplinkSpec
from netpath.lab.daemon import Events
from netpath.lab.uci import section

HASTY = {"interval": "100ms", "down": "3", "timeout": "100ms"}
"""Wrong often enough to be counted within a minute, and not so often that the damping of flaps is all that is seen."""
LOSS, MINUTE = 0.2, 60.0
NEAR = Link(base=0.0005, jitter=0.0, loss=LOSS)
"""The lab's wires are short."""
CALM = 10.0
INTERVAL = 5.0
SIMULATIONS = 40
"""As many times as the lab are simulated, for what chance does."""


def measure(quick: bool) -> str:
    """A table in Markdown. Raises LabError where the lab cannot be built."""
    each = 3 if quick else 10
    print("detection: the daemon itself in the lab ...", file=sys.stderr, flush=True)
    alarms, times = _lab(each)
    expected = sorted(_hasty(each, 100 * number) for number in range(SIMULATIONS))
    rng = random.Random(1)
    found = [outage(NetPath(1), NEAR, number, WARM + rng.uniform(0, INTERVAL)) for number in range(SIMULATIONS * 5)]
    simulated = sorted(noticed for noticed, _ in filter(None, found))
    low, high = expected[1], expected[-2]
    return "\n".join(
        [
            "| what | the daemon in the lab | simulated |",
            "| --- | --- | --- |",
            f"| false alarms of {each} uplinks within a minute, 20 % lost, interval 100ms, timeout 100ms, down 3 "
            f"| {alarms} | {median(expected):g} ({low}-{high} in 95 % of the runs) |",
            f"| seconds to detect a cut, as shipped, 20 % lost: median (least-most of {len(times)}) "
            f"| {_extent(times)} | {_extent(simulated)} of {len(simulated)} |",
            "",
        ]
    )


def _extent(times: Sequence[float]) -> str:
    return f"{median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def _hasty(uplinks: int, seed: int) -> int:
    """False alarms in the simulation."""
    watcher = NetPath(1, HASTY)
    return sum(
        not usable for number in range(uplinks) for _, usable in watcher.watch(Series(NEAR, seed + number), MINUTE)
    )


def _lab(each: int) -> tuple[int, list[float]]:
    """(false alarms of the hasty uplinks, seconds to notice of the others)."""
    with Lab([UplinkSpec(f"wan{number}", ipv6=False) for number in range(1, 2 * each + 1)]) as lab:
        names = [uplink.name for uplink in lab.uplinks]
        hasty, shipped = names[:each], names[each:]
        lab.start_netpath(_configuration(names, hasty))
        lab.wait_states(dict.fromkeys(names, "online"), 30.0)
        time.sleep(CALM)  # the round-trip times are learnt
        with lab.events() as events:
            for name in names:
                lab.loss(name, 100 * LOSS)
            _listen(events, MINUTE)
            cuts = {}
            for name in shipped:
                _listen(events, random.uniform(0, 2 * INTERVAL / each))
                cuts[name] = time.time()
                lab.cut(name)
            _listen(events, 2 * INTERVAL)
            used = ("online", "disconnecting")
            offline = [event for event in events.seen if event.get("from") in used and event.get("to") == "offline"]
    # The losses began one uplink after the other; each has its own minute from the first event on, near enough.
    alarms = sum(event["interface"] in hasty and event["time"] <= min(cuts.values()) for event in offline)
    noticed = [
        min(event["time"] for event in offline if event["interface"] == name and event["time"] >= cut) - cut
        for name, cut in cuts.items()
    ]
    return alarms, noticed


def _listen(events: Events, seconds: float) -> None:
    """Keep what is told meanwhile; a listener who does not listen is dropped."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with suppress(LabError):  # nothing more came
            events.seen.append(events.receive(left))


def _configuration(names: Sequence[str], hasty: Sequence[str]) -> str:
    parts = [configurations.member(f"{name}_m1", name) for name in names]
    parts.append(configurations.policies(["all"], [f"{name}_m1" for name in names]))
    parts.append(section("rule", "everything", {"policy": "all"}))
    for name in names:
        options = HASTY if name in hasty else {}
        parts.append(section("interface", name, {"ifname": name, "track_targets": SERVERS["ipv4"][:1], **options}))
    return "\n".join(parts)


if __name__ == "__main__":
    print(measure("--quick" in sys.argv))
