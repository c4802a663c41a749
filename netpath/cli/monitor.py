# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath monitor`: the monitor in the foreground, and what it says of itself."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netpath.cli.client import Reply, call
from netpath.cli.context import Context, accepted
from netpath.cli.dotenv import DotenvError, parse
from netpath.cli.errors import NOT_RUNNING, CommandError, NotRunningError, UsageError
from netpath.cli.text import Style, clean_reply, clock, count, mapping, number, percent, rate, rows, show, when, words
from netpath.cli.text import table as aligned
from netpath.owners import weakness

if TYPE_CHECKING:
    from netpath.config.monitor import Given

SETTINGS = {
    "clash_url": "CLASH_URL",
    "listen_port": "LISTEN_PORT",
    "luci_url": "LUCI_URL",
    "luci_username": "LUCI_USERNAME",
    "luci_password": "LUCI_PASSWORD",
}
"""Option of section monitor, and of the command line -> environment variable: those of the Network Monitor."""
SECRET = ("clash_url", "luci_password")
"""What must not stay in the list of processes; the token is in the address."""
REPLY_TIME = 5.0
BRIEF_TIME = 1.0
"""Seconds that `status` waits for the monitor: its own answer is the tracker's."""


class MonitorNotRunningError(CommandError):
    """Nobody listens on the monitor's socket."""

    code = NOT_RUNNING


def monitor(context: Context) -> int:
    return status(context) if context.options.action == "status" else run(context)


def run(context: Context) -> int:
    """The monitor in the foreground. The command line goes before the environment, and that before `.env`."""
    _need_package()
    options = {name: value for name in SETTINGS if (value := getattr(context.options, name)) is not None}
    given = settings(options, os.environ, _dotenv(Path(".env")))
    _check(given)
    if any(name in options for name in SECRET):
        _hide(context, options)
    from netpath.monitor.main import main

    only = context.options.syslog_only
    return main(context.where, given, use_syslog=context.options.syslog or only, use_stderr=not only)


def settings(options: Mapping[str, str], environ: Mapping[str, str], dotenv: Mapping[str, str]) -> list[Given]:
    """What was set outside of the configuration, each with where it comes from. An empty variable sets nothing."""
    from netpath.config.monitor import Given

    found = []
    for option, variable in SETTINGS.items():
        if option in options:
            found.append(Given(option, options[option], f"--{option.replace('_', '-')}"))
        elif environ.get(variable):
            found.append(Given(option, environ[variable], f"{variable} in the environment"))
        elif dotenv.get(variable):
            found.append(Given(option, dotenv[variable], f"{variable} in .env"))
    return found


def _check(given: list[Given]) -> None:
    """Raises UsageError for a value that is none, without quoting it."""
    from netpath.config.schema_monitor import MONITOR
    from netpath.config.values import BadValueError

    for each in given:
        option = MONITOR.by_name[each.option]
        try:
            option.kind.item(each.value.strip(), option)
        except BadValueError as bad:
            raise UsageError(f"{each.origin}: {bad.message}; {bad.fix}") from None


def _dotenv(path: Path) -> dict[str, str]:
    """The file's variables; none where there is no such file. Raises CommandError also for one of another user, who
    would say where passwords go."""
    try:
        text = path.read_text(encoding="utf-8")
        if weak := weakness(path):
            raise CommandError(f"{path.absolute()} is not read: {weak}, or start this in another directory")
        return parse(text)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, DotenvError) as error:
        raise CommandError(f"{path.absolute()}: {error}; correct or remove the file") from None


def _hide(context: Context, options: Mapping[str, str]) -> None:
    """Become the same command with these options in the environment, which only root and the user can read."""
    from netpath.cli.service import tracker_environment

    if "luci_password" in options:
        context.note("every user could see the password on the command line for a moment: use LUCI_PASSWORD or .env")
    environment = tracker_environment(context.where) | {SETTINGS[name]: value for name, value in options.items()}
    environment["NETPATH_MONITOR_SOCKET"] = str(context.where.monitor_socket)
    logging = [f"--{each}" for each in ("syslog", "syslog-only") if getattr(context.options, each.replace("-", "_"))]
    for stream in (context.out, context.err):
        stream.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-s", "-m", "netpath", "monitor", "run", *logging], environment)


def _need_package() -> None:
    """Raises CommandError where the sub-package is not installed."""
    if find_spec("netpath.monitor") is None:
        raise CommandError("the monitor is not installed: apk add netpath-monitor, or opkg install netpath-monitor")


def status(context: Context) -> int:
    """Sources, clients and exporters with their health."""
    path = context.where.monitor_socket
    try:
        reply = accepted(call(path, {"cmd": "monitor"}, REPLY_TIME))
    except NotRunningError:
        _need_package()
        text = f"the monitor is not running (nothing answers on {path}); start it with `netpath monitor`"
        raise MonitorNotRunningError(f"{text} or /etc/init.d/netpath-monitor") from None
    return context.answer(reply, render_monitor)


def brief(path: Path, style: Style) -> Iterator[str]:
    """Some lines for `netpath status`; none where no monitor runs."""
    try:
        reply = clean_reply(call(path, {"cmd": "monitor"}, BRIEF_TIME))
    except NotRunningError:
        return
    except CommandError as error:
        reply = {"error": str(error)}
    yield ""
    yield "Monitor:"
    if reply.get("error") or reply.get("problem"):
        yield " " + style.paint(show(reply.get("error") or reply.get("problem")), "red")
    speeds = mapping(reply.get("speeds"))
    for what in ("direct", "proxy", "wan"):
        up, down = speeds.get(f"{what}_up"), speeds.get(f"{what}_down")
        if number(up) is not None or number(down) is not None:
            yield f" {what}: {rate(up)} up, {rate(down)} down"
    for name, row in _everything(reply):
        reason = f" ({show(row['reason'])})" if row.get("reason") and row.get("status") != "healthy" else ""
        yield f" {name} is {_painted(row, style)}{reason}"


def _everything(reply: Reply) -> Iterator[tuple[str, Reply]]:
    """Every part with what it is called."""
    for row in rows(reply.get("sources")):
        yield f"source {show(row.get('name'))}", row
    for key, name in (("server", "UDP server"), ("metrics", "metrics"), ("broker", "MQTT")):
        if reply.get(key):
            yield name, mapping(reply[key])
    for row in rows(reply.get("notify")):
        yield f"notify {show(row.get('name'))}", row


def _painted(row: Reply, style: Style) -> str:
    colours = {"healthy": "green", "starting": "yellow", "idle": "dim"}
    return style.paint(show(row.get("status")), colours.get(str(row.get("status")), "red"))


def render_monitor(reply: Reply, style: Style) -> Iterator[str]:
    since = number(reply.get("since"))
    yield f"The monitor runs for {clock(None if since is None else time.time() - since)}."
    if reply.get("problem"):
        yield style.paint("Problem: ", "red") + show(reply["problem"])
    yield ""
    speeds = mapping(reply.get("speeds"))
    body = [(f" {each}", rate(speeds.get(f"{each}_up")), rate(speeds.get(f"{each}_down"))) for each in _TRAFFIC]
    yield from aligned((" speed", ">up", ">down"), body, style)
    yield ""
    yield "Sources:"
    sources = rows(reply.get("sources"))
    for row in sources:
        yield from _source(row, style)
    if not sources:
        yield " none"
    if reply.get("server"):
        yield ""
        yield from _server(mapping(reply["server"]), style)
    exporters = [*_exporters(reply)]
    if exporters:
        yield ""
        yield "Exporters and messages:"
    for title, row, figures in exporters:
        yield f" {title} is {_painted(row, style)}{_target(row)}: {figures}"
        yield from _failures(row)


_TRAFFIC = ("direct", "proxy", "wan")


def _source(row: Reply, style: Style) -> Iterator[str]:
    speeds = mapping(row.get("speeds"))
    figures = [
        f"{each} {rate(speeds.get(f'{each}_up'))} up, {rate(speeds.get(f'{each}_down'))} down"
        for each in _TRAFFIC
        if number(speeds.get(f"{each}_up")) is not None
    ]
    if number(row.get("connections")) is not None:
        figures.append(f"{count(row['connections'])} connections")
    yield f" {show(row.get('name'))} ({show(row.get('type'))}) is {_painted(row, style)}{_target(row)}"
    if figures:
        yield f"  {'; '.join(figures)}"
    for name, each in mapping(row.get("interfaces")).items():
        found = mapping(each)
        yield f"  {name}: {rate(found.get('up'))} up, {rate(found.get('down'))} down"
    yield from _failures(row)


def _target(row: Reply) -> str:
    return f" ({show(row['target'])})" if row.get("target") else ""


def _failures(row: Reply) -> Iterator[str]:
    """Health in figures, and the last failure if there was one."""
    yield (
        f"  healthy {percent(row.get('uptime'))} of the time, {count(row.get('attempts'))} attempts, "
        f"{count(row.get('failures'))} failures, last success {when(row.get('last_success'))}"
    )
    if row.get("reason"):
        again = number(row.get("next_attempt"))
        soon = f"; next attempt in {again:.0f} s" if again is not None else ""
        yield f"  last failure {when(row.get('last_failure'))}: {show(row['reason'])}{soon}"


def _server(row: Reply, style: Style) -> Iterator[str]:
    clients = rows(row.get("clients"))
    where = f"port {count(row.get('port'))} of {', '.join(words(row.get('addresses')))}"
    yield (
        f"UDP server is {_painted(row, style)}: {where}, "
        f"{len(clients)} of {count(row.get('limit'))} clients, {count(row.get('refused'))} refused"
    )
    yield from _failures(row)
    head = ("  client", ">port", "since", "last heard", ">datagrams")
    body = [
        (f"  {show(each.get('address'))}", count(each.get("port")), when(each.get("since")), when(each.get("last")),
         count(each.get("sent")))
        for each in clients
    ]  # fmt: skip
    if body:
        yield from aligned(head, body, style)


def _exporters(reply: Reply) -> Iterator[tuple[str, Reply, str]]:
    """Title, row and figures of each."""
    metrics, broker = mapping(reply.get("metrics")), mapping(reply.get("broker"))
    if metrics:
        where = f"port {count(metrics.get('port'))} of {', '.join(words(metrics.get('addresses')))}"
        yield "metrics", metrics, f"{where}, {count(metrics.get('scrapes'))} scrapes"
    if broker:
        yield "MQTT", broker, f"{count(broker.get('published'))} published"
    for row in rows(reply.get("notify")):
        figures: list[Any] = [f"{count(row.get(key))} {key}" for key in ("sent", "held", "dropped")]
        yield f"notify {show(row.get('name'))} ({show(row.get('type'))})", row, ", ".join(figures)
