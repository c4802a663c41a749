# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong with an uplink, at will. Each method takes the uplink's number or name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from netpath.lab import layout
from netpath.lab.layout import CUSTOMER, SLOW
from netpath.lab.namespace import LabError, Namespace, Process, Unavailable, wait_until
from netpath.lab.plan import GUEST, LAN, Uplink
from netpath.lab.world import World


@dataclass(slots=True)
class _Condition:
    """What is wrong with one uplink, and which of its two addresses and gateways are in use, by family."""

    cut: bool = False
    gateway_alive: bool = False
    loss: float = 0.0
    delay: Process | None = None
    address: dict[str, int] = field(default_factory=lambda: {"ipv4": 0, "ipv6": 0})
    gateway: dict[str, int] = field(default_factory=lambda: {"ipv4": 0, "ipv6": 0})


class FaultyWorld(World):
    """A world whose uplinks can be broken and mended."""

    _conditions: dict[int, _Condition]
    _muted: set[str]

    def _build(self) -> None:
        self._conditions = {uplink.number: _Condition() for uplink in self.uplinks}
        self._muted = set()
        super()._build()

    def _of(self, which: int | str) -> tuple[Uplink, _Condition]:
        uplink = self.uplink(which)
        return uplink, self._conditions[uplink.number]

    def cut(self, which: int | str, *, gateway_alive: bool = False) -> None:
        """Drop everything silently, both ways; the carrier stays. With `gateway_alive` the provider's gateway still
        answers ping and ARP, and only what is behind it is gone. In force when this returns."""
        uplink, condition = self._of(which)
        condition.cut, condition.gateway_alive = True, gateway_alive
        self._load(uplink, condition)

    def uncut(self, which: int | str) -> None:
        """End a cut; loss and latency stay."""
        uplink, condition = self._of(which)
        condition.cut = False
        self._load(uplink, condition)

    def loss(self, which: int | str, percent: float) -> None:
        """Let that share of round trips fail, at random."""
        if not 0 <= percent <= 100:
            raise LabError(f"loss of {percent} %: 0 to 100")
        uplink, condition = self._of(which)
        condition.loss = percent
        self._load(uplink, condition)

    def latency(self, which: int | str, ms: float, jitter: float = 0.0) -> None:
        """Add `ms` (give or take `jitter`) milliseconds to each round trip to a server; 0: no more.

        Done in user space (`netpath.lab.delay`), so it works on kernels without netem; not for high rates.
        The gateway itself still answers at once. Raises Unavailable where the kernel has no TUN devices.
        """
        uplink, condition = self._of(which)
        isp = self.isps[uplink.number]
        if condition.delay:
            isp.nft(layout.slow_switch(False))
            condition.delay.stop()  # it hands back what it still holds
            condition.delay = None
            self._slow_rule(isp, "del")
        if ms <= 0:
            return
        if not Path("/dev/net/tun").exists():
            raise Unavailable("this kernel has no TUN devices (/dev/net/tun): latency cannot be added")
        condition.delay = self.python(isp, "delay", SLOW, str(ms), str(jitter))
        condition.delay.wait_for("ready")
        isp.ip(layout.slow_routes())
        self._slow_rule(isp, "add")
        isp.nft(layout.slow_switch(True))

    def restore(self, which: int | str) -> None:
        """End cut, loss and latency."""
        self.loss(which, 0)
        self.uncut(which)
        self.latency(which, 0)

    def carrier(self, which: int | str, up: bool) -> None:
        """Take the router's carrier away, or give it back; returns when the router's device shows it."""
        uplink, _ = self._of(which)
        isp = self.isps[uplink.number]
        if up:
            isp.ip("".join(f"{line}\n" for line in self._customer_side(uplink)))
        else:
            isp.ip(f"link set {CUSTOMER} down\n")
        wait_until(lambda: self.has_carrier(which) == up, 5.0, f"carrier of {uplink.name} to change")

    def has_carrier(self, which: int | str) -> bool:
        """Whether the router's device is operational, as the kernel has announced it."""
        return " state UP " in self.router.run(["ip", "-o", "link", "show", "dev", self.uplink(which).name])

    def flap(self, which: int | str, times: int) -> None:
        """Lose and regain the carrier `times` times, as fast as the kernel announces it; it is up at the end."""
        for _ in range(times):
            self.carrier(which, False)
            self.carrier(which, True)

    def ifdown(self, which: int | str) -> None:
        """What netifd does when an interface goes down: default routes and addresses away, device down."""
        uplink, _ = self._of(which)
        lines = [f"addr flush dev {uplink.name} scope global", f"link set dev {uplink.name} down"]
        self.router.ip("".join(f"{line}\n" for line in lines))

    def ifup(self, which: int | str) -> None:
        """What netifd does when an interface comes up: device, addresses, default routes in the main table."""
        uplink, condition = self._of(which)
        lines = [f"link set dev {uplink.name} up"]
        for family in uplink.families:
            address = uplink.addresses(family)[condition.address[family]]
            gateway = uplink.gateways(family)[condition.gateway[family]]
            lines += layout.router_uplink(uplink, family, address, gateway)
        self.router.ip("".join(f"{line}\n" for line in lines))

    def change_address(self, which: int | str, family: str = "ipv4") -> str:
        """Swap the router's address for the other one of the subnet, as a renewed lease does; returns the new one."""
        uplink, condition = self._of(which)
        old = uplink.addresses(family)[condition.address[family]]
        condition.address[family] = self._other(uplink.addresses(family), condition.address[family])
        self.router.ip(f"addr del {old}/{uplink.length(family)} dev {uplink.name}\n")
        self.ifup(which)
        return self.address(which, family)

    def change_gateway(self, which: int | str, family: str = "ipv4") -> str:
        """Let the provider use the other gateway address, and the router's main table follow; returns the new one."""
        uplink, condition = self._of(which)
        old = uplink.gateways(family)[condition.gateway[family]]
        condition.gateway[family] = self._other(uplink.gateways(family), condition.gateway[family])
        length = uplink.length(family)
        lines = [f"addr del {old}/{length} dev {CUSTOMER}", *self._customer_side(uplink)]
        self.isps[uplink.number].ip("".join(f"{line}\n" for line in lines))
        self.ifup(which)
        return self.gateway(which, family)

    def address(self, which: int | str, family: str = "ipv4") -> str:
        """The router's address of this uplink now."""
        uplink, condition = self._of(which)
        return uplink.addresses(family)[condition.address[family]]

    def gateway(self, which: int | str, family: str = "ipv4") -> str:
        """The provider's gateway of this uplink now."""
        uplink, condition = self._of(which)
        return uplink.gateways(family)[condition.gateway[family]]

    def mute(self, *addresses: str) -> None:
        """Server addresses that no longer answer anything, by whatever uplink; replaces the former list."""
        self._muted = set(addresses)
        self.internet.nft(layout.muted(sorted(self._muted)))

    def spoofed(self, which: int | str) -> int:
        """Packets that came to this provider with a source address that is not of its customer; it dropped them."""
        uplink, _ = self._of(which)
        words = self.isps[uplink.number].run(["nft", "list", "counter", "inet", "isp", "spoofed"]).split()
        return int(words[words.index("packets") + 1])

    def _other(self, pair: tuple[str, ...], used: int) -> int:
        if len(pair) == 1:
            raise Unavailable("with more than 30 uplinks the subnets hold one address a side")
        return 1 - used

    def _slow_rule(self, isp: Namespace, verb: str) -> None:
        for family in ("ipv4", "ipv6"):
            isp.ip(layout.slow_rule(verb), family)

    def _load(self, uplink: Uplink, condition: _Condition) -> None:
        self.isps[uplink.number].nft(
            layout.fault_rules(cut=condition.cut, gateway_alive=condition.gateway_alive, loss=condition.loss)
        )

    def _customer_side(self, uplink: Uplink) -> list[str]:
        gateways = [self.gateway(uplink.number, family) for family in ("ipv4", "ipv6")]
        lans = [LAN, *([GUEST] if self.guest else [])] if not self.nat66 else []
        return layout.customer_side(uplink, gateways[0], gateways[1], lans)
