# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath watch`: a table that is drawn again each second on a terminal; printed once anywhere else."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from netpath.cli.client import Client, Reply
from netpath.cli.context import Context
from netpath.cli.errors import OK, CommandError, NotRunningError
from netpath.cli.figures import metrics_table
from netpath.cli.text import Style, clean, clean_reply, mapping, number, sparkline, when

PERIOD = 1.0
SAMPLES = 20
"""Seconds of traffic in a sparkline."""
COLUMNS = ("status", ">latency", ">jitter", ">loss", ">rx", ">tx", ">connections")
ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Alternate screen, no cursor, no wrapping of lines that are too wide."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

Traffic = dict[str, deque[float | None]]


def watch(context: Context) -> int:
    """Live on a terminal; else one table, as `metrics` gives it."""
    reply = context.ask("metrics")
    terminal = context.out.isatty() and sys.stdin.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if context.json or not terminal:
        return context.answer(reply, lambda clean, style: frame(clean, remember({}, clean), style))
    with _screen(context):
        _loop(context)
    return OK


def remember(traffic: Traffic, reply: Reply) -> Traffic:
    """Add one reading of each interface, both directions together, to `traffic`; forget what is configured no more."""
    found = mapping(reply.get("interfaces"))
    for name in [name for name in traffic if name not in found]:
        del traffic[name]
    for name, row in found.items():
        rates = [number(mapping(row).get(key)) for key in ("rx_rate", "tx_rate")]
        known = [rate for rate in rates if rate is not None]
        traffic.setdefault(name, deque(maxlen=SAMPLES)).append(sum(known) if known else None)
    return traffic


def frame(reply: Reply, traffic: Traffic, style: Style) -> list[str]:
    """The lines of one picture."""
    interfaces = mapping(reply.get("interfaces"))
    title = style.paint("NetPath", "bold") + f"  {when(reply.get('time'))}"
    if not interfaces:
        return [title, "", "No interfaces are configured."]
    sparks = {name: sparkline(list(traffic.get(name, ())), style.blocks) for name in interfaces}
    return [title, "", *metrics_table(interfaces, style, COLUMNS, sparks)]


def _loop(context: Context) -> None:
    """Draw until q or Ctrl-C; a tracker that goes away is waited for."""
    traffic: Traffic = {}
    client: Client | None = None
    while True:
        try:
            client = client or Client(context.where.socket)
            reply = clean_reply(client.call({"cmd": "metrics"}))
            lines = frame(reply, remember(traffic, reply), context.style)
        except NotRunningError as error:
            lines = [clean(str(error)), "", "waiting for it; q ends this"]
        except CommandError as error:
            client = None
            lines = [clean(str(error)), "", "trying again; q ends this"]
        _draw(context, lines)
        if _quit_within(PERIOD):
            return


def _draw(context: Context, lines: list[str]) -> None:
    """Overwrite in place; clearing first would flicker."""
    height = os.get_terminal_size(context.out.fileno()).lines
    shown = [*lines, "", "q ends this"][: max(1, height - 1)]
    context.out.write(HOME + "".join(f"{line}{CLEAR_LINE}\r\n" for line in shown) + CLEAR_BELOW)
    context.out.flush()


def _quit_within(seconds: float) -> bool:
    """Wait; True as soon as q (or the end of input) comes."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            key = os.read(sys.stdin.fileno(), 1)
            if key in (b"", b"q", b"Q"):
                return True
    return False


@contextmanager
def _screen(context: Context) -> Iterator[None]:
    """The alternate screen with unbuffered keys; everything is put back, whatever happens."""
    before = termios.tcgetattr(sys.stdin)
    context.out.write(ENTER)
    try:
        tty.setcbreak(sys.stdin)
        yield
    except KeyboardInterrupt:
        context.out.flush()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        context.out.write(LEAVE)
        context.out.flush()
