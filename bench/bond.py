# SPDX-License-Identifier: GPL-2.0-or-later
"""The bond: what one TCP stream gets over links of given speeds, and what the loss of a link costs."""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import stream
from bench.bondsite import INNER_CLIENT, INNER_SERVER, Site
from bench.figure import Figure
from bench.stream import WARM_UP

RATES: Sequence[tuple[str, tuple[int, ...], float]] = (
    ("2x100", (100, 100), 183.0),
    ("100+20", (100, 20), 108.0),
    ("5x100", (100,) * 5, 455.0),
    ("2x1000", (1000, 1000), 1500.0),
    ("one unlimited link", (0,), 2000.0),
)
"""Links in Mbit/s, and the least that one stream is to get."""
_COUNTER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 5002))
sock.settimeout(3)
print("ready", flush=True)
seen = set()
try:
    while True:
        seen.add(int.from_bytes(sock.recv(100)[:4], "big"))
except TimeoutError:
    print(len(seen), flush=True)
"""
_TICKER = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for number in range(int(sys.argv[2])):
    sock.sendto(number.to_bytes(4, "big") + bytes(96), (sys.argv[1], 5002))
    time.sleep(max(0, begin + number / 1000 - time.monotonic()))
"""


def measure(quick: bool) -> list[Figure]:
    """Speeds of one stream (cubic), a cut in mid-transfer, redundant mode, and idling."""
    seconds, runs = (5.0, 1) if quick else (10.0, 3)
    rows = []
    for name, rates, least in RATES:
        speeds = tuple(_speed(rates, seconds, {"fec": "off"}) for _ in range(runs))
        what = f"bond over {name}: one TCP stream"
        rows.append(Figure(what, "Mbit/s", speeds, least, at_least=True, note="cubic; payload, after 3 s"))
    fixed = tuple(_speed((0,), seconds, {"fec": "fixed"}) for _ in range(runs))
    rows.append(Figure("the same unlimited, repairs 10+3", "Mbit/s", fixed, 1300.0, at_least=True))
    lossy = tuple(_speed((100, 100), seconds, {"fec": "adaptive"}, loss=5) for _ in range(runs))
    rows.append(Figure("bond over 2x100 with 5 % loss: one TCP stream", "Mbit/s", lossy, 110.0, at_least=True))
    beside = tuple(each for _ in range(runs) for each in _beside(seconds))
    rows.append(Figure("a ping every 50 ms beside a TCP stream that fills 2x100", "ms", beside))
    gaps = tuple(_gap(seconds) for _ in range(runs))
    rows.append(Figure("a link of 2x100 cut silently: longest pause of a stream", "s", gaps, 0.5))
    lost = tuple(_lost(quick) for _ in range(runs))
    rows.append(Figure("the same in redundant mode: packets lost, of 1000 a second", "", lost, 0.0, worst=True))
    rows.append(Figure("idle client with 5 links", "% of a core", (_idle(10.0 if quick else 30.0),), 1.0))
    return rows


def _speed(rates: Sequence[int], seconds: float, options: dict[str, str], *, loss: int = 0) -> float:
    """Mbit/s of payload, after the warm-up."""
    with Site(rates, options, loss=loss) as site:
        return stream.speed(site, INNER_SERVER, seconds)


def _gap(seconds: float) -> float:
    """The longest time without a byte after one of two links went silent."""
    with Site((100, 100), {"fec": "off"}) as site:
        log = stream.run(site, INNER_SERVER, WARM_UP + seconds, lambda: site.cut(0))
    after = [at for at, _ in log if at >= log[0][0] + WARM_UP - 0.5]
    return max(later - at for at, later in itertools.pairwise(after))


def _beside(seconds: float) -> tuple[float, ...]:
    """Milliseconds of each answer."""
    with Site((100, 100), {"fec": "off"}) as site:
        count = str(int((seconds - 1) * 20))
        ping = ["ping", "-i", "0.05", "-c", count, "-W", "2", "-I", INNER_CLIENT, INNER_SERVER]
        told: list[str] = []
        stream.run(site, INNER_SERVER, WARM_UP + seconds, lambda: told.append(site.near.run(ping, check=False)))
    return tuple(float(each) for each in re.findall(r"time=([0-9.]+)", told[0]))


def _lost(quick: bool) -> float:
    """Packets that did not arrive while a link was cut."""
    count = 4000 if quick else 8000
    with Site((100, 100), {"mode": "redundant"}) as site:
        counter = site.far.popen([sys.executable, "-c", _COUNTER, INNER_SERVER], name="counter")
        counter.wait_for("ready")
        ticker = site.near.popen([sys.executable, "-c", _TICKER, INNER_SERVER, str(count)], name="ticker")
        time.sleep(count / 2000)
        site.cut(0)
        ticker.wait(60)
        counter.wait(30)
        return float(count - int(counter.out.read_text().splitlines()[-1]))


def _idle(seconds: float) -> float:
    """Percent of a core that a client with nothing to do takes."""
    with Site((100,) * 5) as site:
        site.near.run(["ping", "-c", "1", "-I", INNER_CLIENT, INNER_SERVER])
        before = _processor_time(site.client)
        time.sleep(seconds)
        return 100 * (_processor_time(site.client) - before) / seconds


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
