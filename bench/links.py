# SPDX-License-Identifier: GPL-2.0-or-later
"""Two machines with any number of links of given speeds between them, and nothing over these yet."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netpath.lab.namespace import Namespace, Unavailable, add, remove, run, stop_all

SERVER = "203.0.113.1"
"""Of the far end, reached by every link."""
_OFFLOADS = ("tso", "gso", "tx-udp-segmentation")
"""What would pass a rate's limit as packets of 64 KiB."""
_count = itertools.count()


class Links:
    """`rates` in Mbit/s, one for each link, 0: unlimited. `near` and `far` are the two ends."""

    def __init__(self, rates: Sequence[int], *, loss: int = 0) -> None:
        """`loss`: percent of what arrives, both ways."""
        if shutil.which("ethtool") is None:
            raise Unavailable("ethtool is not installed")
        self.rates, self.loss = rates, loss
        self.directory = Path(tempfile.mkdtemp(prefix=f"netpath-lab-{os.getpid()}-bond-"))
        names = [f"np-{os.getpid()}-{next(_count)}-{role}" for role in ("near", "far")]
        self._names = names
        self.near, self.far = (Namespace(n, n.rpartition("-")[2], self.directory, []) for n in names)

    def __enter__(self) -> Self:
        add(self._names)
        try:
            self._wire()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def start(self) -> None:
        """What runs over the links is started; nothing here."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Everything of it goes."""
        stop_all([*self.near.processes, *self.far.processes])
        remove(self._names)
        shutil.rmtree(self.directory, ignore_errors=True)

    def cut(self, link: int) -> None:
        """Nothing goes by this link any more, and nobody is told."""
        rule = f'iifname "{self.device(link)}" drop'
        for end in (self.near, self.far):
            end.nft(f"table inet cut {{ chain in {{ type filter hook prerouting priority -500; {rule}; }}; }}\n")

    @staticmethod
    def address(link: int, *, far: bool = False) -> str:
        """Of one end of a link, the near one unless told."""
        return f"198.51.100.{link * 8 + (1 if far else 2)}"

    @staticmethod
    def device(link: int) -> str:
        """Name of a link's device, the same at both ends."""
        return f"w{link}"

    def _wire(self) -> None:
        for end in (self.near, self.far):
            end.sysctl({"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0})
            end.run(["ip", "link", "set", "lo", "up"])
        self.far.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"])
        for n, rate in enumerate(self.rates):
            device = self.device(n)
            ends = ("netns", self.near.name, "type", "veth", "peer", "name", device, "netns", self.far.name)
            run(["ip", "link", "add", device, *ends])
            for end in (self.near, self.far):
                own = self.address(n, far=end is self.far)
                end.run(["ip", "address", "add", f"{own}/29", "dev", device])
                end.run(["ip", "link", "set", device, "up"])
                self._limit(end, device, rate)
            via = ("via", self.address(n, far=True), "dev", device, "metric", str(n + 1))
            self.near.run(["ip", "route", "add", SERVER, *via])
        if self.loss:
            drop = f'iifname "w*" numgen random mod 100 < {self.loss} drop'
            for end in (self.near, self.far):
                end.nft(f"table inet loss {{ chain in {{ type filter hook prerouting priority -500; {drop}; }}; }}\n")

    def _limit(self, end: Namespace, device: str, rate: int) -> None:
        if not rate:
            end.run(["ethtool", "-K", device, "gro", "on", "rx-udp-gro-forwarding", "on"], check=False)
            return
        # What arrives is put together again, as every driver of a network card has the kernel do; but not before each
        # packet had its chance to be lost.
        offloads = {**dict.fromkeys(_OFFLOADS, "off"), "gro": "off" if self.loss else "on"}
        end.run(["ethtool", "-K", device, *itertools.chain(*offloads.items())])
        # What passes between two ticks of the kernel, and 50 ms of queue, as an access line has.
        burst = max(32_000, rate * 125_000 // 250)
        limit = ("rate", f"{rate}mbit", "burst", str(burst), "latency", "50ms")
        end.run(["tc", "qdisc", "add", "dev", device, "root", "tbf", *limit])
