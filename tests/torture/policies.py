# SPDX-License-Identifier: GPL-2.0-or-later
"""What is configured in the tortured lab, and so which uplink may carry what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from netpath.lab import SERVERS, Uplink, UplinkSpec
from netpath.lab.plan import DNS_PORT, HTTP_PORT
from netpath.lab.uci import Value, section

MAIN = "main"
"""Has the best default route of the main table and is in no policy: what nobody steers leaves here."""
STEERED = ("wan", "wan2", "wan3")
SPECS = (UplinkSpec("wan"), UplinkSpec("wan2"), UplinkSpec("wan3"), UplinkSpec(MAIN, metric=1))

REMOVED, REORDERED, REWEIGHTED, BROKEN = "removed", "reordered", "reweighted", "broken"
"""What can be different about the configuration; several at once."""
OPTIONAL = "wan3"
"""The uplink that REMOVED takes out."""
TABLE, MASK = "netpath", 0x3F00
REST = 5009
"""A port that only the last rule knows."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One rule and its policy: packets to `port` may leave by `members` only."""

    name: str
    port: int
    members: tuple[str, ...]
    mode: str = "balanced"
    last_resort: str = "unreachable"
    sticky: bool = False

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset(self.members) | ({MAIN} if self.last_resort == "default" else frozenset())


TRUTHS = (
    Truth("shared", 5000, ("wan", "wan2")),
    Truth("single", 5001, ("wan",)),
    Truth("backup", 5002, ("wan2", "wan3"), mode="failover", last_resort="blackhole"),
    Truth("homes", 5003, ("wan", "wan2", "wan3"), mode="hash"),
    Truth("stay", 5004, ("wan", "wan3"), sticky=True),
    Truth("open", 5005, ("wan2",), last_resort="default"),
    Truth("names", DNS_PORT, ("wan3", "wan2"), mode="failover"),
    Truth("bulk", HTTP_PORT, ("wan", "wan2"), mode="weighted"),
    Truth("rest", REST, ("wan", "wan2", "wan3"), mode="random"),
)
ALLOWED = {truth.port: truth.allowed for truth in TRUTHS}
TRACKING: dict[str, Value] = {
    "track_method": "ping",
    "interval": "200ms",
    "failure_interval": "100ms",
    "recovery_interval": "100ms",
    "down": 3,
    "up": 2,
}


def text(uplinks: Iterable[Uplink], variant: Collection[str] = ()) -> str:
    """The configuration with everything of `variant` different about it."""
    if BROKEN in variant:
        return "config interface 'wan'\n\toption interval 'soon'\n"
    present = [u for u in uplinks if not (REMOVED in variant and u.name == OPTIONAL)]
    if REORDERED in variant:
        present.reverse()
    weight = 3 if REWEIGHTED in variant else 1
    parts = [section("globals", "globals", {"enabled": 1, "mark_mask": hex(MASK), "nft_table": TABLE})]
    for uplink in present:
        for family in uplink.families:
            name = uplink.interface(family)
            options: dict[str, Value] = {
                "enabled": 1,
                "ifname": uplink.name,
                "family": family,
                "track_targets": SERVERS[family][:2],
            }
            parts.append(section("interface", name, {**options, **TRACKING}))
            for metric in range(1, 4):
                member: dict[str, Value] = {
                    "interface": name,
                    "metric": metric,
                    "weight": weight if uplink.name == "wan2" else 1,
                }
                parts.append(section("member", f"{name}_m{metric}", member))
    names = {uplink.name for uplink in present}
    for truth in TRUTHS:
        members = _members(truth, [m for m in truth.members if m in names])
        policy: dict[str, Value] = {"members": members, "mode": truth.mode, "last_resort": truth.last_resort}
        parts.append(section("policy", f"p_{truth.name}", policy))
    for truth in TRUTHS:
        where: dict[str, str | int] = {} if truth.port == REST else {"proto": "tcp udp", "dest_port": truth.port}
        parts.append(section("rule", truth.name, {**where, "sticky": int(truth.sticky), "policy": f"p_{truth.name}"}))
    return "\n".join(parts)


def _members(truth: Truth, present: Sequence[str]) -> list[str]:
    """Both families of each; in mode failover their order is what counts."""
    return [f"{name}{suffix}_m1" for name in present for suffix in ("", "_6")]
