# SPDX-License-Identifier: GPL-2.0-or-later
"""Full load and reload of 1,000 rules."""

from __future__ import annotations

import json
import threading
import time

from bench import configurations, frames, wire
from bench.figure import Figure
from netpath.lab import Lab, LabError

RULES = 1000
START, RELOAD = 1.0, 0.3
"""Seconds."""
LONGEST = 60.0
"""Seconds that a start may take: 10,000 rules on a busy machine."""
PORT = 9
"""Discarded by the providers: these packets only have to leave the router."""
PAUSE = 0.002
AT_ONCE = 10
"""New flows every PAUSE seconds, and as many packets of flows that last."""
COUNTERS = """
table inet bench {
  counter steered { }
  counter unsteered { }
  chain out { type filter hook postrouting priority 0;
    oifname "wan" udp dport 9 counter name unsteered
    oifname "wan2" udp dport 9 counter name steered
  }
}
"""


def measure(quick: bool) -> list[Figure]:
    """Main prefers `wan`, the only policy uses `wan2`: where a packet leaves tells whether it was steered."""
    with Lab(2) as lab:
        text = configuration(lab)
        starts = [start(lab, text) for _ in range(3 if quick else 6)][1:]
        lab.start_netpath(text)
        replies = [reload(lab) for _ in range(3 if quick else 10)]
        restored = [_restored(lab) for _ in range(3 if quick else 10)]
        unsteered, steered = _under_traffic(lab, 3 if quick else 10)
    note = f"the first run, which may compile bytecode, is left out; {RULES} rules, both families"
    return [
        Figure("full load, 2 uplinks, 1000 rules: start to packets steered", "s", tuple(starts), START, note=note),
        Figure("reload of the same: request to reply", "s", tuple(replies), RELOAD),
        Figure("table deleted by somebody else: until new flows are steered again", "s", tuple(restored)),
        Figure(
            "packets unsteered during reloads under traffic",
            "",
            (float(unsteered),),
            0.0,
            note=f"of {steered + unsteered}, half of them the first of a new flow, during as many reloads",
        ),
    ]


def configuration(lab: Lab, count: int = RULES) -> str:
    """So many rules and a policy that uses `wan2` only."""
    rules = configurations.rules(count, "second")
    members = [f"{uplink.interface(family)}_m1_w1" for uplink in lab.uplinks[1:2] for family in uplink.families]
    extra = configurations.policies(["second"], members)
    return lab.config(options=configurations.UNTRACKED, rules=rules, extra=extra)


def start(lab: Lab, text: str) -> float:
    """Seconds from executing `netpath run` to the sending of the first new flow that it steers; then stop it."""
    # A flow that took the port of one from before the start would be that connection, which keeps its way.
    lab.router.run(["conntrack", "-F"])
    with lab.pulse(interval=0.002, timeout=0.5, concurrency=1000, count=int(LONGEST / 0.002)) as pulse:
        pulse.wait(lambda record: record.outcome == "wan")
        began = time.monotonic()
        process = lab.start_netpath(text)
        first = pulse.wait(lambda record: record.outcome == "wan2", since=began, timeout=LONGEST)
    process.stop()
    if process.wait():
        raise LabError(f"NetPath did not stop properly:\n{process.output()}")
    return first.sent - began


def reload(lab: Lab) -> float:
    """Seconds of one reload of an unchanged file."""
    began = time.monotonic()
    reply = lab.call({"cmd": "reload"})
    if "error" in reply:
        raise LabError(f"reload: {reply['error']}")
    return time.monotonic() - began


def _restored(lab: Lab) -> float:
    """Seconds from the deletion of our table to the last new flow that went unsteered."""
    with lab.pulse(interval=0.002, timeout=0.5, concurrency=1000) as pulse:
        pulse.wait(lambda record: record.outcome == "wan2")
        began = time.monotonic()
        lab.router.nft("delete table inet netpath\n")
        back = pulse.wait(lambda record: record.outcome == "wan2", since=began + 0.02)
        settled = pulse.wait(lambda record: record.outcome == "wan2", since=back.sent + 0.5)
        strays = [r.sent for r in pulse.records() if began < r.sent < settled.sent and r.outcome == "wan"]
    return max(strays, default=began) - began


def _under_traffic(lab: Lab, reloads: int) -> tuple[int, int]:
    """How many packets left by `wan`, and how many by `wan2` as they should, during so many reloads."""
    for isp in lab.isps.values():
        isp.nft(f"add rule inet isp origin udp dport {PORT} drop\n")
    sender = _Sender(lab)
    sender.settle()
    lab.router.nft(COUNTERS)
    with sender:
        for _ in range(reloads):
            reload(lab)
    return _packets(lab, "unsteered"), _packets(lab, "steered")


def _packets(lab: Lab, counter: str) -> int:
    listed = json.loads(lab.router.run(["nft", "-j", "list", "counter", "inet", "bench", counter]))
    return int(listed["nftables"][1]["counter"]["packets"])


class _Sender:
    """Sends packets of new and of lasting flows from a LAN client all the while, in a thread."""

    def __init__(self, lab: Lab) -> None:
        path = wire.outward(lab)
        self._lasting = frames.batch(path, [(port, PORT) for port in range(1100, 1100 + AT_ONCE)])
        self._fresh = frames.batch(path, [(port, PORT) for port in range(2000, 62000)])
        self._socket = lab.lan.inside(lambda: frames.packet_socket("eth0"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def settle(self) -> None:
        """Open the lasting flows."""
        self._lasting.send(self._socket)

    def _run(self) -> None:
        at = 0
        while not self._stop.wait(PAUSE):
            self._fresh.send(self._socket, at, AT_ONCE)
            self._lasting.send(self._socket)
            at = (at + AT_ONCE) % len(self._fresh)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
