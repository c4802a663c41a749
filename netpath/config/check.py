# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong or unwise in a configuration whose single values are all right, and beside other programs' marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netpath.config.build import Draft
from netpath.config.coverage import unreachable
from netpath.config.parse import Report
from netpath.config.problems import WARNING, Problem
from netpath.config.schema import SPECIAL_POLICIES
from netpath.config.values import MAX_DEVICE, ROUTING_TABLES, address_number
from netpath.model import Config, Interface, Nat6, Schedule, TrackMethod
from netpath.steering.schedule import window_text

_MOST_INTERFACES = 252
"""However wide the mask; see netpath.steering.marks."""
_SPECIAL_MARKS = 4
"""Values of the mask that are no interface: 0 (unmarked) and the top three."""
_FEWEST_BITS = 3
_MAX_LOOKUPS = 98
"""Between the priorities of the main lookup and of the interfaces' own rules."""
_FIRST_TABLE = 1000
_ALL_BITS = 0xFFFFFFFF


def check(draft: Draft, report: Report) -> None:
    """Adds to the report what is wrong between options and sections."""
    _mask(draft, report)
    _lookups(draft, report)
    for interface, _ in draft.interfaces.values():
        _tracking(interface, draft, report)
        _quality(interface, draft, report)
        _translation(interface, draft, report)
    _shared_devices(draft, report)
    _orphan_members(draft, report)
    _schedules(draft, report)
    _dead_policies(draft, report)
    _all_by_quota(draft, report)
    _rules(draft, report)
    _unreachable_rules(draft, report)


def mask_fault(mask: int) -> str | None:
    """Why the mask cannot be used, None when it can."""
    lowest = mask & -mask
    if mask == 0 or (mask + lowest) & mask:
        return "the bits of the mask are not one run"
    if mask.bit_count() < _FEWEST_BITS:
        return f"the mask has {mask.bit_count()} bits and needs at least {_FEWEST_BITS}"
    return None


def mask_for(interfaces: int, avoid: int = 0) -> int | None:
    """A mask of at least 6 bits that holds so many interfaces and none of the bits to avoid, if there is one."""
    if interfaces > _MOST_INTERFACES:
        return None
    bits = max(6, (interfaces + _SPECIAL_MARKS - 1).bit_length())
    for shift in (8, *range(32 - bits, -1, -1)):
        mask: int = ((1 << bits) - 1) << shift
        if mask <= 0xFFFFFFFF and not mask & avoid:
            return mask
    return None


def _mask(draft: Draft, report: Report) -> None:
    settings, section = draft.globals
    count = len(draft.interfaces)
    better = mask_for(count)
    fix = f"use at most {_MOST_INTERFACES} interfaces" if better is None else f"write option mark_mask '0x{better:X}'"
    fault = mask_fault(settings.mark_mask)
    capacity = min((1 << settings.mark_mask.bit_count()) - _SPECIAL_MARKS, _MOST_INTERFACES)
    if fault is None and capacity < count:
        fault = f"the mask holds {capacity} interfaces, there are {count}"
    if fault is not None:
        report.error(section, "mark_mask", fault, fix)


def _lookups(draft: Draft, report: Report) -> None:
    settings, section = draft.globals
    capacity = min((1 << settings.mark_mask.bit_count()) - _SPECIAL_MARKS, _MOST_INTERFACES)
    for table in settings.rt_table_lookup:
        item = str(table)
        if _FIRST_TABLE < table <= _FIRST_TABLE + capacity:
            report.error(section, "rt_table_lookup", f"table {item} is one of NetPath's own", "remove it", item=item)
        elif table == ROUTING_TABLES["main"]:
            report.warning(section, "rt_table_lookup", "main is always looked up", "remove it")
    if len(settings.rt_table_lookup) > _MAX_LOOKUPS:
        report.error(section, "rt_table_lookup", "too many tables", f"use at most {_MAX_LOOKUPS}")


def _tracking(interface: Interface, draft: Draft, report: Report) -> None:
    section = draft.interfaces[interface.name][1]
    tracking = interface.tracking
    if tracking.method is TrackMethod.NONE or "track_targets" in section.broken:
        return
    if not tracking.targets and tracking.method is not TrackMethod.ARPING:
        report.warning(
            section,
            None,
            "there is no track_targets, so the interface counts as online while its device is up",
            "add list track_targets 'ADDRESS', or option track_method 'none' if that is meant",
        )
    elif tracking.reliability > len(tracking.targets):
        message = f"more than its {len(tracking.targets)} track_targets, so all of them must answer"
        report.warning(section, "reliability", message, f"use at most {len(tracking.targets)}, or add targets")
    if tracking.method is not TrackMethod.HTTPING:
        for target in tracking.targets:
            if _is_name(target):
                message = "a name has to be resolved before it can be probed, so DNS trouble looks like a dead uplink"
                report.warning(section, "track_targets", message, "write its address", item=target)


def _is_name(target: str) -> bool:
    host = target.partition(":")[0] if target.count(":") == 1 else target.strip("[]").partition("]")[0]
    return address_number(host) is None


def _quality(interface: Interface, draft: Draft, report: Report) -> None:
    section = draft.interfaces[interface.name][1]
    quality = interface.tracking.quality
    if quality is None:
        return
    for what, recovery, failure in (
        ("latency", quality.recovery_latency, quality.failure_latency),
        ("loss", quality.recovery_loss, quality.failure_loss),
        ("jitter", quality.recovery_jitter, quality.failure_jitter),
    ):
        if recovery is not None and failure is not None and recovery > failure:
            message = f"above failure_{what} ({failure:g}), so the interface can recover and fail at once"
            report.warning(section, f"recovery_{what}", message, f"use at most {failure:g}")


def _translation(interface: Interface, draft: Draft, report: Report) -> None:
    section = draft.interfaces[interface.name][1]
    if interface.nat6_from and interface.nat6 is not Nat6.PREFIX:
        report.warning(section, "nat6_from", f"has no effect with nat6 {interface.nat6}", "write option nat6 'prefix'")
    for other, _ in draft.interfaces.values():
        if other.name != interface.name:
            for prefix in set(other.nat6_prefix).intersection(interface.nat6_prefix):
                message = f"interface {other.name} has this prefix too, but only one uplink's provider routes it"
                report.warning(section, "nat6_prefix", message, "remove it from one of the two", item=prefix)


def _shared_devices(draft: Draft, report: Report) -> None:
    first: dict[tuple[str, str], str] = {}
    for interface, section in draft.interfaces.values():
        if interface.device is None or not interface.enabled:
            continue
        other = first.setdefault((interface.device, interface.family), interface.name)
        if other != interface.name:
            message = f"interface {other} uses this device for {interface.family} too"
            report.warning(section, "ifname", message, "give each uplink its own device, or disable one")


def _orphan_members(draft: Draft, report: Report) -> None:
    used = {member.name for policy, _ in draft.policies.values() for member in policy.members}
    for name, (_, section) in draft.members.items():
        if name not in used:
            report.warning(section, None, "no policy uses this member", "add it to a policy or remove it")


def _dead_policies(draft: Draft, report: Report) -> None:
    for policy, section in draft.policies.values():
        last_resort = policy.last_resort.value
        if not policy.members:
            if not section.entries.get("members"):
                message = f"has no members, so every flow gets its last_resort, {last_resort}"
                report.warning(section, None, message, "add list members 'NAME'")
        elif not any(draft.interfaces[member.interface][0].enabled for member in policy.members):
            message = f"the interfaces of all members are disabled, so every flow gets its last_resort, {last_resort}"
            report.warning(section, "members", message, "enable one of the interfaces")


def _schedules(draft: Draft, report: Report) -> None:
    for member, section in draft.members.values():
        for begin, end in member.schedule.windows if member.schedule else ():
            if begin == end:
                message = "begins and ends at the same time, so it never opens"
                fix = "write 00:00-24:00 for the whole day"
                report.warning(section, "time", message, fix, item=window_text(Schedule(((begin, end),), ())))
        if member.quota is None and "quota_reset" in section.entries and "quota" not in section.broken:
            report.warning(section, "quota_reset", "has no effect without a quota", "add option quota '10G'")


def _all_by_quota(draft: Draft, report: Report) -> None:
    """Policies whose last member of a family is one with a quota."""
    for policy, section in draft.policies.values():
        for family in ("ipv4", "ipv6"):
            of_family = [m for m in policy.members if _serves(draft.interfaces[m.interface][0], family)]
            if of_family and all(m.quota for m in of_family):
                last_resort = policy.last_resort.value
                message = f"every {family} member has a quota: once used up, new flows get last_resort, {last_resort}"
                report.warning(section, "members", message, "add a member without a quota if that is not meant")


def _serves(interface: Interface, family: str) -> bool:
    return interface.enabled and interface.family == family


def _rules(draft: Draft, report: Report) -> None:
    for rule, section in draft.rules.values():
        if rule.sticky and rule.policy in SPECIAL_POLICIES:
            message = f"has no effect, policy {rule.policy} chooses no uplink"
            report.warning(section, "sticky", message, "remove it, or name a policy section")
        if rule.logging and not draft.globals[0].logging:
            report.warning(section, "logging", "has no effect while logging is off in globals", "turn it on in globals")
        for name in (*rule.src_iface.any_of, *rule.src_iface.none_of):
            if len(name) > MAX_DEVICE and name not in draft.interfaces:
                message = "too long for a device, so it must be an interface that the system knows by this name"
                report.warning(section, "src_iface", message, "check the name", item=name)
        _icmp_family(rule.name, draft, report)


def _icmp_family(name: str, draft: Draft, report: Report) -> None:
    rule, section = draft.rules[name]
    for family, number, wrong, right in (("ipv6", 1, "icmp", "icmpv6"), ("ipv4", 58, "icmpv6", "icmp")):
        if rule.family == family and rule.proto.any_of == ((number, number),):
            message = f"{wrong} does not exist on {family}, so the rule never matches"
            report.warning(section, "proto", message, f"write {right}")


def _unreachable_rules(draft: Draft, report: Report) -> None:
    for rule, cover in unreachable([rule for rule, _ in draft.rules.values()]):
        section, other = draft.rules[rule.name][1], draft.rules[cover.name][1]
        where = f" (line {other.line})" if other.line else ""
        message = f"never matches: rule {cover.name}{where} takes all its traffic before"
        report.warning(section, None, message, f"move it above {cover.name}, or remove it")


@dataclass(frozen=True, slots=True)
class ForeignMark:
    """A mark that an ip rule or an nft rule of somebody else compares or sets."""

    owner: str
    """The program, "" when it is not known (see `guess_owner`)."""
    mark: int
    mask: int
    """0xFFFFFFFF where the rule names no mask."""
    where: str
    """How a person finds it: "ip rule 5210", "nft table inet fw4"."""


def guess_owner(mark: int, mask: int, priority: int | None = None) -> str:
    """The program that is known for such marks, "" if none comes to mind. `priority` is that of an ip rule."""
    if mask == 0x00FF0000 and mark & ~0x000C0000 == 0 and mark:
        return "Tailscale"  # 0x40000 from the tunnel, 0x80000 past it
    if mask == 0x00FF0000:
        return "pbr"
    if mask == 0x3F00 and priority is not None and 1001 <= priority <= 3999:
        return "mwan3"
    return ""


def mark_clashes(config: Config, foreign: Sequence[ForeignMark], file: str = "") -> tuple[Problem, ...]:
    """A warning for each foreign mark that shares bits with mark_mask; `foreign` has been read from the kernel."""
    ours = config.globals.mark_mask
    taken = 0
    for other in foreign:
        taken |= other.mark if other.mask == _ALL_BITS else other.mask
    free = mask_for(len(config.interfaces), avoid=taken)
    return tuple(_clash(other, ours, free, file) for other in dict.fromkeys(foreign) if _clashes(other, ours))


def _clashes(other: ForeignMark, ours: int) -> bool:
    # A rule without a mask compares our bits too; it stops matching as soon as one of them is set.
    return other.mask & ours != 0


def _clash(other: ForeignMark, ours: int, free: int | None, file: str) -> Problem:
    owner = other.owner or guess_owner(other.mark, other.mask) or "another program"
    message = f"{owner} uses mark 0x{other.mark:x}/0x{other.mask:x} ({other.where}), which shares bits with it"
    if owner == "mwan3":
        fix = "stop and disable mwan3, NetPath takes its place"
    elif other.mask == _ALL_BITS and not other.mark & ours:
        fix = f"give that rule a mask, such as 0x{other.mark:x}/0x{_ALL_BITS & ~ours:x}"
    elif free is not None:
        fix = f"write option mark_mask '0x{free:X}'"
    else:
        fix = "choose a mark_mask that shares no bit with it"
    return Problem(WARNING, file, None, "globals", "mark_mask", f"0x{ours:X}", message, fix)
