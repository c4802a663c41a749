# SPDX-License-Identifier: GPL-2.0-or-later
"""From a failure to new flows on another uplink, with a new flow from the LAN every 2 ms."""

from __future__ import annotations

import array
import fcntl
import random
import socket
import struct
import time
from collections.abc import Callable

from bench import configurations
from bench.figure import Figure
from netpath.lab import SERVERS, Lab, Record, Traffic, UplinkSpec
from netpath.lab.layout import CUSTOMER
from netpath.lab.uci import section

CARRIER, SILENT = 30.0, 450.0
"""Milliseconds."""
DEFAULTS = 6.0
"""Seconds."""
PULSE = 0.002
GIVE_UP = 0.5
"""Seconds until a client counts a flow as lost."""
QUIET = 1.2
"""The kernel bunches link events of one second: longer pauses are the ordinary case."""
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
CALM_SECONDS = 6.0
PHASES = 5.0
"""The default interval: cuts are spread over one."""


def carrier(quick: bool) -> list[Figure]:
    """The provider's end of the cable goes down."""
    with Lab(2) as lab:
        values = pulls(lab, lab.config(mode="failover"), 4 if quick else 12)
    note = "from before the call that takes the carrier to the sending of the first new flow that the other one answers"
    return [Figure("carrier loss to new flows on the other uplink", "ms", values, CARRIER, note=note)]


def silent(quick: bool) -> list[Figure]:
    """Everything is dropped behind the cable; interval 100 ms, down 3, two targets."""
    with Lab(2) as lab:
        text = lab.config(mode="failover")
        values = _failures(lab, text, 5 if quick else 16, lambda: lab.cut("wan"), lambda: lab.restore("wan"))
    note = "from the call that cuts, so the 10 ms that this takes are included; cuts at random phases"
    return [Figure("silent loss, interval 100 ms, down 3, to new flows on the other", "ms", values, SILENT, note=note)]


def defaults(quick: bool) -> list[Figure]:
    """As `silent`, with nothing configured but targets: many uplinks are cut in one lab, each with its own client."""
    each = 4 if quick else 10
    with Lab([UplinkSpec("spare", ipv6=False), *_specs(2 * each)], clients=2 * each) as lab:
        lab.start_netpath(_default_configuration(lab, each))
        lab.wait_states({uplink.name: "online" for uplink in lab.uplinks}, 30.0)
        clients = lab.clients_of()
        with lab.pulse(interval=PULSE, timeout=GIVE_UP, concurrency=2000, src=clients) as pulse:
            time.sleep(CALM_SECONDS)
            cuts = _cut_all(lab, each)
            time.sleep(1.2 * DEFAULTS)  # looking for it all the time would take a processor
            values = [_until_spare(pulse, cut, client, len(clients)) for client, cut in enumerate(cuts)]
    note = "cuts spread over all phases of the 5 s interval; judged by the worst"
    title = "silent loss with the shipped defaults, {} per uplink"
    return [
        Figure(title.format("one target"), "s", tuple(values[:each]), DEFAULTS, worst=True, note=note),
        Figure(title.format("two targets"), "s", tuple(values[each:]), DEFAULTS, worst=True),
    ]


def pulls(lab: Lab, text: str, times: int) -> tuple[float, ...]:
    """Milliseconds of each loss of carrier, with a daemon that this starts and leaves running."""
    return _failures(lab, text, times, lambda: pull(lab), lambda: lab.carrier("wan", True))


def _failures(
    lab: Lab, text: str, times: int, fail: Callable[[], object], mend: Callable[[], object]
) -> tuple[float, ...]:
    """Milliseconds of each failure of `wan`, which the policy of configuration `text` prefers to `wan2`."""
    lab.start_netpath(text)
    found = []
    for _ in range(times):
        lab.wait_status(wan="online", wan2="online")
        time.sleep(QUIET + random.uniform(0, 0.1))
        with lab.pulse(interval=PULSE, timeout=GIVE_UP, concurrency=1000) as pulse:
            pulse.wait(lambda record: record.outcome == "wan")
            moment = time.monotonic()
            fail()
            first = pulse.wait(lambda record: record.outcome == "wan2", since=moment)
        found.append((first.sent - moment) * 1000)
        mend()
        for command in ("disable", "enable"):  # by hand: else the third drop in 5 minutes keeps it out for a minute
            lab.call({"cmd": command, "interface": "wan"})
    return tuple(found)


def pull(lab: Lab) -> None:
    """What `lab.carrier("wan", False)` does, without the time to start a program and to see it done."""

    def down() -> None:
        with socket.socket() as sock:
            request = array.array("B", struct.pack("16sH22x", CUSTOMER.encode(), 0))
            fcntl.ioctl(sock, SIOCGIFFLAGS, request)
            (flags,) = struct.unpack_from("H", request, 16)
            struct.pack_into("H", request, 16, flags & ~IFF_UP)
            fcntl.ioctl(sock, SIOCSIFFLAGS, request)

    lab.isps[lab.uplink("wan").number].inside(down)


def _specs(count: int) -> list[UplinkSpec]:
    return [UplinkSpec(f"wan{number}", ipv6=False) for number in range(1, count + 1)]


def _default_configuration(lab: Lab, each: int) -> str:
    """Client n uses wan n while it works and `spare` else. Uplinks up to `each` have one target, the others two."""
    parts = [configurations.member("spare_m2", "spare", 2)]
    for uplink, client in zip(lab.uplinks, ["", *lab.clients_of()], strict=True):
        targets = SERVERS["ipv4"][: 1 if 1 < uplink.number <= each + 1 else 2]
        parts.append(section("interface", uplink.name, {"ifname": uplink.name, "track_targets": targets}))
        if client:
            name = uplink.name
            parts.append(configurations.member(f"{name}_m1", name))
            parts.append(configurations.policies([f"prefer_{name}"], [f"{name}_m1", "spare_m2"]))
            parts.append(section("rule", f"client_{name}", {"src_ip": client, "policy": f"prefer_{name}"}))
    return "\n".join(parts)


def _cut_all(lab: Lab, each: int) -> list[float]:
    """Cut every uplink but the spare one, each in its part of an interval, in a random order; when each was cut."""
    order = [*random.sample(range(each), each), *random.sample(range(each), each)]
    began, cuts = time.monotonic(), [0.0] * len(order)
    dues = [began + PHASES * (step + random.random()) / each for step in order]
    for client in sorted(range(len(order)), key=dues.__getitem__):
        time.sleep(max(0.0, dues[client] - time.monotonic()))
        cuts[client] = time.monotonic()
        lab.cut(lab.uplinks[1 + client].number)
    return cuts


def _until_spare(pulse: Traffic, cut: float, client: int, clients: int) -> float:
    """Seconds from the cut of an uplink to the first new flow of its client (0, 1, ...) on the spare one."""

    def moved(record: Record) -> bool:
        return record.seq % clients == client and record.outcome == "spare"

    return pulse.wait(moved, since=cut, timeout=30.0).sent - cut
