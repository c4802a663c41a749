# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements and happenings: `metrics`, `history`, `events`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netpath.cli.client import Client, Reply
from netpath.cli.context import Context, accepted, given
from netpath.cli.errors import PROBLEM, UsageError
from netpath.cli.text import (
    Style,
    count,
    mapping,
    milliseconds,
    number,
    percent,
    rate,
    rows,
    show,
    size,
    sparkline,
    state_colour,
    when,
)
from netpath.cli.text import table as aligned

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EPOCH_FROM = 10**9
"""A plain --since number from here on is an epoch time, below it a number of seconds ago."""
SPARK_WIDTH = 60
COLUMN_FORMS = {"rx_rate": rate, "tx_rate": rate, "latency": milliseconds, "loss": percent}

CELLS: dict[str, Callable[[Reply], str]] = {
    "status": lambda row: show(row.get("status")),
    ">latency": lambda row: milliseconds(row.get("latency")),
    ">jitter": lambda row: milliseconds(row.get("jitter")),
    ">loss": lambda row: percent(row.get("loss")),
    ">rx": lambda row: rate(row.get("rx_rate")),
    ">tx": lambda row: rate(row.get("tx_rate")),
    ">received": lambda row: size(row.get("rx_bytes")),
    ">sent": lambda row: size(row.get("tx_bytes")),
    ">connections": lambda row: count(row.get("connections")),
}
"""Head of a column of the interfaces' table -> its text; `status` stays first."""


def metrics(context: Context) -> int:
    return context.answer(context.ask("metrics"), render_metrics)


def history(context: Context) -> int:
    reply = context.ask(
        "history",
        interface=context.options.interface,
        since=since(context.options.since),
        coarse=context.options.coarse or None,
    )
    name = context.options.interface
    if name and name not in mapping(reply.get("interfaces")):
        context.note(f"no history of an interface {name!r}; `netpath interfaces` lists them")
        return PROBLEM
    return context.answer(reply, render_samples if name else render_history)


def events(context: Context) -> int:
    """Past events; with --follow also each new one until Ctrl-C."""
    wanted: dict[str, Any] = {"since": since(context.options.since), "after": _seq(context.options.after)}
    if not context.options.follow:
        return context.answer(context.ask("events", **wanted), render_events)
    with Client(context.where.socket) as client:
        stream = client.follow({"cmd": "events", "follow": True, **given(wanted)})
        for event in rows(accepted(next(stream)).get("events")):
            _one_event(context, event)
        for event in stream:
            _one_event(context, event)
    context.note("the tracker closed the connection")
    return PROBLEM


def _one_event(context: Context, event: Reply) -> None:
    """Print an event at once, whoever reads the other end."""
    context.answer(event, lambda clean, style: [event_line(clean, style)])
    context.out.flush()


def _seq(text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UsageError(f"--after {text!r}: give the number of an event (seq), 0 or more")
    return None if text is None else int(text)


def since(text: str | None) -> float | None:
    """An epoch time in s from `10m`, `2h`, `1d`, seconds ago, an epoch time, or an ISO date. Raises UsageError."""
    if text is None:
        return None
    factor = UNITS.get(text[-1:], 1)
    digits = text[:-1] if text[-1:] in UNITS else text
    if digits.isascii() and digits.isdigit() and len(digits) < 12:
        value = int(digits)
        return float(value) if value >= EPOCH_FROM and digits == text else time.time() - value * factor
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        message = f"--since {text!r}: give 90s, 10m, 2h, 1d, an epoch time or a date such as 2026-01-31T12:00"
        raise UsageError(message) from None


def render_metrics(reply: Reply, style: Style) -> Iterator[str]:
    found = mapping(reply.get("interfaces"))
    if not found:
        yield "No interfaces are configured."
        return
    yield from metrics_table(found, style)
    body = [_target(name, target) for name, row in found.items() for target in rows(mapping(row).get("targets"))]
    if body:
        yield ""
        yield from aligned(("interface", "target", ">latency", ">jitter", ">loss", ">sent", ">lost"), body, style)


def metrics_table(
    interfaces: Reply, style: Style, columns: Sequence[str] = tuple(CELLS), extra: Mapping[str, str] | None = None
) -> list[str]:
    """One line an interface. `extra` (interface -> text) becomes a last column, "traffic"."""
    body = []
    for name, row in interfaces.items():
        cells = [CELLS[column](mapping(row)) for column in columns]
        body.append([name, *cells, *([extra.get(name, "")] if extra is not None else [])])
    return aligned(["interface", *columns, *(["traffic"] if extra is not None else [])], body, style, status=1)


def _target(name: str, row: Reply) -> tuple[str, ...]:
    measured = (milliseconds(row.get("latency")), milliseconds(row.get("jitter")), percent(row.get("loss")))
    return name, show(row.get("target")), *measured, count(row.get("sent")), count(row.get("lost"))


def render_history(reply: Reply, style: Style) -> Iterator[str]:
    """Each interface's columns as a line of blocks with their average and maximum."""
    found = mapping(reply.get("interfaces"))
    interval = number(reply.get("interval"))
    for name, samples in found.items():
        table = [s for s in samples if isinstance(s, list)] if isinstance(samples, list) else []
        yield f"{name}: {len(table)} sample{'' if len(table) == 1 else 's'}" + (
            f", one every {interval:g} s" if interval else ""
        )
        for index, column in enumerate(_columns(reply)):
            if column in COLUMN_FORMS:
                yield f" {column:<8} {_summary(_values(table, index), column, style)}".rstrip()
    if not found:
        yield "There is no history yet."


def _summary(values: list[float | None], column: str, style: Style) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "not measured"
    form = COLUMN_FORMS[column]
    line = sparkline(values[-SPARK_WIDTH:], style.blocks)
    return f"{line}  average {form(sum(known) / len(known))}, maximum {form(max(known))}"


def render_samples(reply: Reply, style: Style) -> Iterator[str]:
    """Every sample of the interfaces in the reply."""
    columns = _columns(reply)
    body = []
    for samples in mapping(reply.get("interfaces")).values():
        for sample in samples if isinstance(samples, list) else []:
            if isinstance(sample, list):
                padded = sample + [None] * (len(columns) - len(sample))
                body.append([_sample_cell(column, value) for column, value in zip(columns, padded, strict=False)])
    yield from aligned([column if column == "time" else f">{column}" for column in columns], body, style)


def _sample_cell(column: str, value: Any) -> str:
    return when(value) if column == "time" else COLUMN_FORMS.get(column, show)(value)


def _columns(reply: Reply) -> list[str]:
    columns = reply.get("columns")
    return [show(column) for column in columns] if isinstance(columns, list) else []


def _values(table: list[list[Any]], index: int) -> list[float | None]:
    return [number(sample[index]) if index < len(sample) else None for sample in table]


def render_events(reply: Reply, style: Style) -> Iterator[str]:
    found = rows(reply.get("events"))
    yield from (event_line(event, style) for event in found)
    if not found:
        yield "No events."


def event_line(event: Reply, style: Style) -> str:
    """Time, then a sentence for interfaces, else the kind and what it carries."""
    stamp = style.paint(when(event.get("time")), "dim")
    kind = event.get("kind")
    if kind == "interface":
        change = f"{show(event.get('from'))} -> {style.paint(show(event.get('to')), state_colour(event.get('to')))}"
        reason = f": {show(event['reason'])}" if event.get("reason") else ""
        return f"{stamp}  {show(event.get('interface'))} {change}{reason}"
    if kind == "member":
        change = f"{show(event.get('from'))} -> {show(event.get('to'))}"
        until = f" until {when(event['until'])}" if number(event.get("until")) is not None else ""
        reason = f": {show(event['reason'])}" if event.get("reason") else ""
        return f"{stamp}  member {show(event.get('member'))} ({show(event.get('interface'))}) {change}{until}{reason}"
    known = ("seq", "time", "kind", "message")
    details = [f"{key}={show(value)}" for key, value in event.items() if key not in known and value not in (None, [])]
    message = [show(event["message"])] if event.get("message") else []
    return f"{stamp}  {show(kind)}: {', '.join(message + details)}".rstrip(": ")
