# SPDX-License-Identifier: GPL-2.0-or-later
"""What NetPath thinks: `explain`, `diag`, `check`, `internal`, `version`; and how problems are printed.

These work without a tracker as far as they can: that is when they are needed most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netpath.cli.client import Reply
from netpath.cli.context import Context
from netpath.cli.errors import NOT_RUNNING, OK, PROBLEM, NotRunningError, UsageError
from netpath.cli.text import Style, clean_reply, mapping, percent, rows, show, state_colour, words

DSCP_MAX, PORT_MAX = 63, 65535


def explain(context: Context) -> int:
    """Where a packet would go and why."""
    request = explain_request(context)
    try:
        reply = context.ask("explain", **request)
    except NotRunningError:
        context.note("the tracker is not running; every interface that is up counts as usable")
        reply = context.local("explain", **request)
    return context.answer(reply, render_explain)


def explain_request(context: Context) -> Reply:
    """The packet as the options and the positional short form describe it. Raises UsageError."""
    options = context.options
    packet = {
        "src": options.src or options.source,
        "dst": options.dst or options.destination,
        "proto": options.proto or options.protocol or "tcp",
        "sport": _figure("--sport", options.sport, PORT_MAX),
        "dport": _figure("--dport", options.dport or options.port, PORT_MAX),
        "iface": options.iface,
        "mac": options.mac,
        "dscp": _figure("--dscp", options.dscp, DSCP_MAX),
    }
    if not packet["src"] or not packet["dst"]:
        raise UsageError(
            "explain needs source and destination; example: netpath explain 192.0.2.7 198.51.100.1 tcp 443"
        )
    return packet


def _figure(option: str, text: str | None, largest: int) -> int:
    """A number from 0 to `largest`, decimal or 0x; 0 when not given."""
    try:
        value = int(text or "0", 0)
    except ValueError:
        value = -1
    if not 0 <= value <= largest:
        raise UsageError(f"{option} {text!r}: give a number from 0 to {largest}")
    return value


def diag(context: Context) -> int:
    """What is wrong and what to do; PROBLEM when something is."""
    running = True
    try:
        reply = context.ask("diag")
    except NotRunningError as error:
        running = False
        context.note(str(error))
        reply = context.local("diag")
    context.answer(reply, render_diag)
    if not running:
        return NOT_RUNNING
    return PROBLEM if any(check.get("status") == "error" for check in rows(reply.get("checks"))) else OK


def check(context: Context) -> int:
    """All problems of a configuration file; PROBLEM when one is an error."""
    named = context.options.file
    path = Path(named).absolute() if named else context.where.config
    reply = context.local("check", file=str(path))
    problems = rows(reply.get("problems"))
    if context.json:
        context.print_json(reply)
    else:
        context.lines(render_problems(clean_reply(reply), context.style))
        if not problems:
            context.done(f"{path}: no problems found")
    return PROBLEM if has_error(problems) else OK


def internal(context: Context) -> int:
    """Everything that a bug report needs."""
    try:
        reply = context.ask("internal", family=context.options.family)
    except NotRunningError as error:
        context.note(str(error))
        reply = context.local("internal", family=context.options.family)
    if context.json:
        context.print_json(reply)
    else:
        context.lines(render_internal(clean_reply(reply, keep="\n\t"), context.style))
    return OK


def version(context: Context) -> int:
    """Versions of the running tracker; without one, of what is installed."""
    from netpath import __version__

    try:
        reply = context.ask("version")
    except NotRunningError:
        reply = {"version": __version__, **_platform()}
    if reply.get("version") != __version__:
        context.note(
            f"this command is {__version__}, the tracker another version; `netpath restart` brings the new one"
        )
    return context.answer(reply, render_version)


def _platform() -> dict[str, str]:
    import os
    import sys

    return {"python": sys.version.split()[0], "kernel": os.uname().release}


def has_error(problems: list[dict[str, Any]]) -> bool:
    """True unless all are warnings."""
    return any(problem.get("severity") != "warning" for problem in problems)


def render_problems(reply: Reply, style: Style) -> Iterator[str]:
    """One line a problem, like a compiler's, and its fix below it."""
    for problem in rows(reply.get("problems")):
        severity = show(problem.get("severity"))
        place = show(problem.get("file")) + (f":{show(problem['line'])}" if problem.get("line") else "")
        subject = _subject(problem)
        message = show(problem.get("message"))
        yield f"{place}: {style.paint(severity, state_colour(severity))}: {f'{subject}: ' if subject else ''}{message}"
        if problem.get("fix"):
            yield f"  fix: {show(problem['fix'])}"


def _subject(problem: dict[str, Any]) -> str:
    """Section, option and value, as far as the problem has them."""
    section, option, value = (problem.get(key) for key in ("section", "option", "value"))
    setting = [f"option {show(option)}"] * bool(option) + [f"'{show(value)}'"] * (value not in (None, ""))
    return ", ".join([show(section)] * bool(section) + [" ".join(setting)] * bool(setting))


def render_explain(reply: Reply, style: Style) -> Iterator[str]:
    for key in ("rule", "policy", "uplink", "device", "gateway"):
        yield f"{key:<8} {style.paint(show(reply.get(key)), 'bold')}"
    shares = rows(reply.get("shares"))
    if shares:
        parts = [f"{show(share.get('interface'))} {percent(share.get('percent'))}" for share in shares]
        yield f"{'shares':<8} {', '.join(parts)}"
    why = words(reply.get("why"))
    if why:
        yield "why:"
        yield from (f" {sentence}" for sentence in why)
    rejected = rows(reply.get("rejected"))
    if rejected:
        yield "rules that do not match:"
        yield from (f" {show(each.get('rule'))}: {show(each.get('criterion'))}" for each in rejected)


def render_diag(reply: Reply, style: Style) -> Iterator[str]:
    found = rows(reply.get("checks"))
    width = max((len(show(each.get("topic"))) for each in found), default=0)
    for each in found:
        word = show(each.get("status"))
        topic, message = show(each.get("topic")), show(each.get("message"))
        yield f"{style.paint(f'{word:<7}', state_colour(word))}  {topic:<{width}}  {message}"
        if each.get("remedy"):
            yield f"{'':<7}  {'':<{width}}  -> {show(each['remedy'])}"
    if not found:
        yield "Nothing to report."


def render_internal(reply: Reply, style: Style) -> Iterator[str]:
    """Each part of the dump under its name; texts as they are, the rest as JSON."""
    first = True
    for title, part in reply.items():
        if not first:
            yield ""
        first = False
        yield style.paint(f"{title}:", "bold")
        yield from _dump(part)


def _dump(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield from (f" {line}" for line in part.split("\n"))
    elif isinstance(part, list):
        for each in part:
            yield from _dump(each) if isinstance(each, str) else (f" {json.dumps(each)}",)
    elif isinstance(part, dict):
        for key, value in part.items():
            if isinstance(value, list | dict) or (isinstance(value, str) and "\n" in value):
                yield f" {key}:"
                yield from (f" {line}" for line in _dump(value))
            else:
                yield f" {key}: {show(value)}"
    else:
        yield f" {show(part)}"


def render_version(reply: Reply, style: Style) -> Iterator[str]:
    del style
    yield f"netpath {show(reply.get('version'))}"
    yield from (f"{key} {show(mapping(reply).get(key))}" for key in ("python", "kernel", "nftables") if reply.get(key))
