# SPDX-License-Identifier: GPL-2.0-or-later
"""How things stand: `status`, `interfaces`, `policies`, `rules`, `connected`. mwan3's sentences, figures added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netpath.cli import bond
from netpath.cli.client import Client, Reply
from netpath.cli.context import Context, accepted
from netpath.cli.errors import OK
from netpath.cli.monitor import brief
from netpath.cli.text import (
    Style,
    clean_reply,
    clock,
    count,
    mapping,
    milliseconds,
    number,
    percent,
    rows,
    show,
    size,
    when,
    words,
)
from netpath.cli.text import table as aligned

FAMILIES = ("ipv4", "ipv6")
PAGE = 1000
"""Rules asked for at once; keeps a reply far below the socket's limit."""
STATUS_RULES = 100
"""Rules that `status` shows; `rules` shows all."""


def status(context: Context) -> int:
    """Interfaces, policies, connected networks and rules, in mwan3's order."""
    with Client(context.where.socket) as client:
        reply = accepted(client.call({"cmd": "status"}))
        if context.json:
            context.print_json(reply)
            return OK
        policies = accepted(client.call({"cmd": "policies"}))
        rules = client.call({"cmd": "rules", "offset": 0, "limit": STATUS_RULES})
    context.lines(render_status(clean_reply(reply), clean_reply(policies), clean_reply(rules), context.style))
    context.lines(brief(context.where.monitor_socket, context.style))
    context.lines(bond.brief(context.where, context.style))
    return OK


def interfaces(context: Context) -> int:
    return context.answer(context.ask("interfaces"), render_interfaces)


def policies(context: Context) -> int:
    return context.answer(context.ask("policies"), render_policies)


def rules(context: Context) -> int:
    return context.answer(_all_rules(context), render_rules)


def connected(context: Context) -> int:
    return context.answer(context.ask("connected"), render_connected)


def _all_rules(context: Context) -> Reply:
    """Every rule, page by page."""
    reply = context.ask("rules", offset=0, limit=PAGE)
    found = rows(reply.get("rules"))
    total = number(reply.get("total")) or 0
    while len(found) < total:
        page = rows(context.ask("rules", offset=len(found), limit=PAGE).get("rules"))
        if not page:
            break
        found += page
    return {**reply, "rules": found}


def render_status(reply: Reply, policies: Reply, rules: Reply, style: Style) -> Iterator[str]:
    if reply.get("problem"):
        yield style.paint("Nothing is steered: ", "red") + show(reply["problem"])
        yield ""
    yield "Interface status:"
    found = mapping(reply.get("interfaces"))
    for name, row in found.items():
        yield interface_line(name, mapping(row), style)
    if not found:
        yield " none configured"
    for family in FAMILIES:
        yield ""
        yield from _active(policies, family)
    yield from _limited_members(mapping(reply.get("members")), style)
    yield ""
    yield from render_connected(mapping(reply.get("connected")), style)
    yield ""
    if "error" in rules:
        yield f"Active user rules: cannot be shown: {show(rules['error'])}"
    else:
        yield from render_rules(rules, style)


def interface_line(name: str, row: Reply, style: Style) -> str:
    """mwan3's sentence about one interface, with device, latency, loss or the reason behind it."""
    state = row.get("status")
    extras = [show(row["device"])] if row.get("device") else []
    if _carries(row):
        times = f" {clock(row.get('online'))}, uptime {clock(row.get('uptime'))}"
        extras += _quality(row)
    else:
        times = f" {clock(row.get('offline'))}" if number(row.get("offline")) else ""
        extras += [show(row["reason"])] if row.get("reason") not in (None, "", state) else []
    tracking = f"tracking is {show(row.get('tracking'))}"
    tail = f" ({', '.join(extras)})" if extras else ""
    return f" interface {name} is {style.state(state)}{times} and {tracking}{tail}"


def _carries(row: Reply) -> bool:
    """True for a status in which policies use the interface."""
    return row.get("status") in ("online", "disconnecting")


def _quality(row: Reply) -> list[str]:
    """Latency and loss, where measured."""
    known = number(row.get("latency")) is not None
    lost = number(row.get("packetloss")) is not None
    return [milliseconds(row.get("latency"))] * known + [f"{percent(row.get('packetloss'))} loss"] * lost


def render_interfaces(reply: Reply, style: Style) -> Iterator[str]:
    yield "Interface status:"
    found = rows(reply.get("interfaces"))
    for row in found:
        yield interface_line(show(row.get("name")), row, style)
        yield (
            f"  {show(row.get('family'))}, gateway {show(row.get('gateway'))}, addresses {show(row.get('addresses'))}, "
            f"id {show(row.get('id'))}"
        )
        yield (
            f"  latency {milliseconds(row.get('latency'))}, jitter {milliseconds(row.get('jitter'))}, "
            f"loss {percent(row.get('packetloss'))}, score {show(row.get('score'))}, lost {show(row.get('lost'))}"
        )
        if row.get("reason") and _carries(row):
            yield f"  reason: {show(row['reason'])}"
        for target in rows(row.get("track_ip")):
            # mwan3's rows have latency 0 for a target that does not answer.
            latency = f"{milliseconds(target['latency'])}, " if target.get("latency") else ""
            yield (
                f"  target {show(target.get('ip'))} is {style.state(target.get('status'))}, "
                f"{latency}{percent(target.get('packetloss'))} loss"
            )
    if not found:
        yield " none configured"


def _active(reply: Reply, family: str) -> Iterator[str]:
    """What each policy does with new flows of one family now."""
    yield f"Current {family} policies:"
    if family not in words(reply.get("families", ["ipv4", "ipv6"])):
        yield f" none: no uplink has {family}, so it is left to the main table"
        return
    found = rows(reply.get("policies"))
    for policy in found:
        yield f"{show(policy.get('name'))}:"
        active = [m for m in rows(policy.get("members")) if number(m.get(family))]
        for member in active:
            yield f" {show(member.get('interface'))} ({percent(member.get(family))})"
        if not active:
            yield f" {show(policy.get('last_resort'))}"
    if not found:
        yield " none configured"


def _limited_members(members: dict[str, Any], style: Style) -> Iterator[str]:
    """Members with a schedule or a quota, for `status`; no line where there are none."""
    if members:
        yield ""
        yield "Members with a schedule or quota:"
    for name, each in members.items():
        row = mapping(each)
        yield f" {name} ({show(row.get('interface'))}) is {_limits(row, style)}"


def _limits(member: Reply, style: Style) -> str:
    """Open or closed, until when and why, its window, and how much of its quota was used."""
    closed = member.get("open") is False
    words = style.paint("closed", "yellow") if closed else style.paint("open", "green")
    if number(member.get("until")) is not None:
        words += f" until {when(member['until'])}"
    parts = [words]
    if member.get("reason"):
        parts.append(show(member["reason"]))
    elif member.get("window"):
        parts.append(f"window {show(member['window'])}")
    quota = mapping(member.get("quota"))
    if quota:
        used = f"{size(quota.get('used'))} of {size(quota.get('limit'))} used"
        renewed = f", next month begins {when(quota['resets'])}" if number(quota.get("resets")) is not None else ""
        parts.append(used + renewed)
    return ", ".join(parts)


def render_policies(reply: Reply, style: Style) -> Iterator[str]:
    """Every member of every policy, also those that wait."""
    first = True
    for policy in rows(reply.get("policies")):
        if not first:
            yield ""
        first = False
        yield f"{show(policy.get('name'))}: {show(policy.get('mode'))}, last resort {show(policy.get('last_resort'))}"
        head = ("  member", "interface", "status", ">metric", ">weight", ">ipv4", ">ipv6")
        members = rows(policy.get("members"))
        yield from aligned(head, [_member(m) for m in members], style, status=2)
        yield from (f"  {show(m.get('name'))} is {_limits(m, style)}" for m in members if _is_limited(m))
    if first:
        yield "No policies are configured."


def _is_limited(member: Reply) -> bool:
    return bool(member.get("window") or member.get("quota"))


def _member(member: Reply) -> tuple[str, ...]:
    plain = tuple(show(member.get(key)) for key in ("name", "interface", "status", "metric", "weight"))
    return (f"  {plain[0]}", *plain[1:], *(percent(member.get(family)) for family in FAMILIES))


def render_connected(reply: Reply, style: Style) -> Iterator[str]:
    del style
    for index, family in enumerate(FAMILIES):
        if index:
            yield ""
        yield f"Directly connected {family} networks:"
        yield from (f" {prefix}" for prefix in words(reply.get(family)) or ["none"])
    if reply.get("truncated"):
        yield " (shortened: there are more)"


def render_rules(reply: Reply, style: Style) -> Iterator[str]:
    """Rules in match order with their hits; at the end what no rule matched."""
    yield "Active user rules (the first match decides):"
    found = rows(reply.get("rules"))
    fallback = mapping(reply.get("default"))
    body = [_rule(rule) for rule in found]
    if fallback:
        body.append((*_hits(fallback), "-", "-", "what no rule matches", "default", ""))
    if body:
        head = (">packets", ">bytes", "rule", "family", "match", "policy", "")
        yield from (f" {line}" for line in aligned(head, body, style))
    else:
        yield " none"
    missing = (number(reply.get("total")) or 0) - len(found)
    if missing > 0:
        yield f" and {missing:.0f} more; `netpath rules` shows them all"


def _rule(rule: Reply) -> tuple[str, ...]:
    plain = tuple(show(rule.get(key)) for key in ("name", "family", "match", "policy"))
    return (*_hits(rule), *plain, "sticky" if rule.get("sticky") else "")


def _hits(row: dict[str, Any]) -> tuple[str, str]:
    return count(row.get("packets")), size(row.get("bytes"))
