# SPDX-License-Identifier: GPL-2.0-or-later
"""The page Monitor in a browser, before a fake of the monitor: what a user sees of sources that work, fail and recover,
and of a monitor that is not there or talks nonsense.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netpath.lab.namespace import wait_until
from netpath.lab.web import READER
from tests.luci.fake_monitor import NOTHING, FakeMonitor, failing, health, source
from tests.luci.places import FITS, HOSTILE, NONE, NOTICES, PHONE, Place, RealLuci, StandIn

pytestmark = pytest.mark.lab

PAGE = "admin/network/netpath/monitor/live"


@pytest.fixture
def monitor(place: Place) -> Iterator[FakeMonitor]:
    """Where LuCI itself may make a difference."""
    with FakeMonitor(place.monitor) as fake:
        yield fake


@pytest.fixture
def fake(standin: StandIn) -> Iterator[FakeMonitor]:
    """On the stand-in alone."""
    with FakeMonitor(standin.monitor) as listening:
        yield listening
    standin.browser.problems()


def wait_asked(fake: FakeMonitor, times: int) -> None:
    """Until the page has asked so many times more."""
    wanted = len(fake.asked) + times
    wait_until(lambda: len(fake.asked) >= wanted, 20, "the page to ask")


def card(name: str, status: str = "") -> str:
    return f'[data-source="{name}"]' + (f'[data-status="{status}"]' if status else "")


def tile(way: str) -> str:
    return f'[data-way="{way}"]'


def drawn(place: Place, line: str) -> str:
    """What a browser says of a line of the graph: its path."""
    return f"""document.querySelector('[data-chart="traffic"] [data-line="{line}"]').getAttribute('d')"""


@contextmanager
def hidden(place: Place) -> Iterator[None]:
    """The page in the background."""
    place.browser.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
    yield
    place.browser.evaluate("delete document.hidden")


def test_figures_and_graph_at_once_and_live(place: Place, monitor: FakeMonitor) -> None:
    for row in monitor.rows[200:400]:
        row[3] = row[4] = None
    place.visit(PAGE)
    place.browser.wait_for(tile("wan"), "↓ 20 Mbit/s")
    place.browser.wait_for(tile("wan"), "↑ 24 kbit/s")
    place.browser.wait_for(tile("direct"), "↓ 1 Mbit/s")
    place.browser.wait_for('[data-chart="traffic"] [data-line="wan"]')
    # Ten minutes by seconds; where nobody had a figure of the proxy there is a gap, not a line at zero.
    assert place.browser.evaluate(drawn(place, "wan") + ".split(/[ML]/).length") > 590
    assert place.browser.evaluate(drawn(place, "proxy") + ".split('M').length - 1") == 2
    assert place.browser.evaluate(drawn(place, "wan") + ".split('M').length - 1") == 1
    monitor.reply["speeds"] = {**NOTHING, "wan_up": 0, "wan_down": 12_500_000}
    place.browser.wait_for(tile("wan"), "↓ 100 Mbit/s")
    place.browser.wait_for(tile("wan"), "↑ 0 bit/s")
    place.browser.wait_for(tile("proxy"), f"↓ {NONE}")
    place.browser.wait_for('[data-value="proxy"]', f"↓ {NONE} ↑ {NONE}")
    assert not place.browser.evaluate("document.querySelector('[data-action=details]').checkVisibility()")
    asked = monitor.asked[-1]
    assert asked["history"] is True
    assert time.time() - asked["since"] < 60, "what is known is not asked for again"
    assert place.browser.problems() == []


def test_a_source_that_fails_and_recovers(standin: StandIn, fake: FakeMonitor) -> None:
    fake.reply["broker"] = {"target": "mqtt://192.0.2.9:1883", **health(), "published": 5}
    standin.visit(PAGE)
    standin.browser.wait_for(card("proxy", "healthy"), "99.9 % of the time")
    assert "ws://192.0.2.1:9090/connections" in standin.browser.text(card("proxy"))
    fake.reply["sources"][0] = source("proxy", **failing(f"{HOSTILE}; mend the option url"))
    fake.reply["broker"].update(health("failing", "the broker refuses the password", 3))
    standin.browser.wait_for(card("proxy", "failing"), "<img src=x")
    text = standin.browser.text(card("proxy"))
    for words in ("3 min ago", "Failures in a row\n7", "in 5 s", f"↓ {NONE} ↑ {NONE}"):
        assert words in text, (words, text)
    standin.browser.wait_for("[data-service=broker][data-status=failing]", "the broker refuses the password")
    standin.browser.wait_for("[data-part=summary]", "1 of 2")
    standin.browser.click("[data-part=summary] [data-to=proxy]")
    assert standin.browser.evaluate("document.activeElement.dataset.source") == "proxy"
    fake.reply["sources"][0] = source("proxy", **failing("no more", "given up"))
    standin.browser.wait_for(card("proxy", "given up"), "none until NetPath is reloaded")
    fake.reply["sources"][0] = source("proxy")
    standin.browser.wait_for(card("proxy", "healthy"), "↓ 10 Mbit/s")
    assert standin.browser.count("[data-source] [data-reason]") == 0
    assert standin.browser.evaluate("window.hurt") is None
    assert standin.browser.problems() == []


def test_a_monitor_that_ends_and_comes_back(standin: StandIn, fake: FakeMonitor) -> None:
    standin.visit(PAGE)
    standin.browser.wait_for(card("proxy", "healthy"))
    standin.browser.evaluate("window.stillThere = true")
    fake.stop()
    standin.browser.wait_for(NOTICES, "This is what was last known.")
    standin.browser.wait_for(f"{card('proxy')}.np-stale")
    assert f"↓ {NONE}" in standin.browser.text(tile("wan")), "old figures are not shown as present ones"
    fake.start()
    standin.browser.wait_for(tile("wan"), "↓ 20 Mbit/s")
    standin.browser.wait("!document.querySelector('.np-stale') && !document.querySelector('.alert-message')")
    assert standin.browser.evaluate("window.stillThere") is True
    assert standin.browser.problems() == []


def test_what_to_do_without_a_monitor(place: Place, monitor: FakeMonitor) -> None:
    monitor.reply = {"running": False, "error": "it is not there", "remedy": "", "installed": False}
    place.visit(PAGE)
    place.browser.wait_for(NOTICES, "Install the package netpath-monitor")
    assert place.browser.count('a[href*="package-manager?query=netpath-monitor"]') == isinstance(place, RealLuci)
    place.browser.wait("!document.querySelector('.np-tiles').checkVisibility()")
    monitor.reply.update(installed=True, remedy="/etc/init.d/netpath start", error="nobody listens")
    place.browser.wait_for(f"{NOTICES} code", "/etc/init.d/netpath start")
    place.browser.wait_for(f'{NOTICES} a[href$="monitor/settings"]', "Settings")
    monitor.whole()
    monitor.reply.update(sources=[], speeds=NOTHING, problem="it is switched off")
    place.browser.wait_for(NOTICES, "it is switched off")
    place.browser.wait_for("[data-part=summary]", "No source is configured yet")
    place.browser.wait_for("[data-part=nothing]", "None is configured")
    assert place.browser.problems() == []


ODD: list[bytes] = [
    b'{"running": "yes"}',
    json.dumps(
        {"running": True, "sources": [None, 7, {"name": {"a": 1}, "status": [], "speeds": "fast", "interfaces": 3}],
         "speeds": {"wan_up": "1e9", "wan_down": -5}, "server": {"addresses": 5, "clients": [[], {"address": HOSTILE}]},
         "metrics": {}, "broker": {"target": {"a": 1}, "published": "many", "reason": 5, "status": "failing"},
         "history": {"columns": ["wan_up"], "rows": [[1], "x", None]}}
    ).encode(),
]  # fmt: skip


def test_nonsense_breaks_nothing(standin: StandIn, fake: FakeMonitor) -> None:
    fake.raw = ODD[0] + b"\n"
    standin.visit(PAGE)
    standin.browser.wait_for(NOTICES, "an answer that this page does not understand")
    for odd in ODD[1:]:
        fake.raw = odd + b"\n"
        # The second question comes after the first one's answer was shown.
        wait_asked(fake, 2)
    assert f"↓ {NONE}" in standin.browser.text(tile("wan"))
    fake.raw = None
    standin.browser.wait_for(card("proxy", "healthy"))
    standin.browser.wait_for(tile("wan"), "↓ 20 Mbit/s")
    assert standin.browser.count("[data-source]") == 2
    assert standin.browser.evaluate("window.hurt") is None
    assert standin.browser.problems() == []


def many() -> dict[str, Any]:
    """Of everything as much as there can be, under the worst of names."""
    name = "n" * 60
    clients = [
        {"address": f"2001:db8:ffff:ffff:ffff:ffff:ffff:{n:x}", "port": 65535, "since": 0, "last": 0, "sent": 2**53}
        for n in range(32)
    ]
    rows = [{"name": f"{name}{n}", "type": "webhook", "target": "https://" + "h" * 200, **health("failing", HOSTILE, 9),
             "sent": 1, "held": 99, "dropped": 10**9} for n in range(8)]  # fmt: skip
    return {
        "sources": [source(f"{name}{n}", **(failing(HOSTILE) if n % 7 == 0 else {})) for n in range(40)],
        "server": {"addresses": ["::"], "port": 17890, **health(), "limit": 32, "refused": 10**9, "clients": clients},
        "metrics": {"addresses": ["127.0.0.1", "::1"], "port": 9919, **health("starting"), "scrapes": 0},
        "notify": rows,
    }


def test_many_of_everything_fits_a_phone(place: Place, monitor: FakeMonitor) -> None:
    monitor.reply.update(many())
    place.visit(PAGE, user=READER, width=PHONE, dark=True)
    place.browser.wait("document.querySelectorAll('[data-source]').length == 40")
    assert place.browser.count("[data-client]") == 32
    assert place.browser.count("[data-service=notify]") == 8
    place.browser.wait(FITS)
    # Those that work are short until their details are asked for.
    working = f"{card('n' * 60 + '1', 'healthy')} .np-details"
    place.browser.wait(f"!document.querySelector('{working}').checkVisibility()")
    place.browser.click("[data-action=details]")
    place.browser.wait_for(working, "Last success")
    assert place.browser.evaluate("window.hurt") is None
    assert place.browser.problems() == []


def test_in_the_background_it_asks_nothing(standin: StandIn, fake: FakeMonitor) -> None:
    standin.visit(PAGE)
    standin.browser.wait_for(card("proxy", "healthy"))
    with hidden(standin):
        # A question that is under way when the page goes out of sight is answered; from the next poll on there is none.
        polls = "new Promise(done => setTimeout(done, {}))"
        standin.browser.evaluate(polls.format(1100))
        asked = len(fake.asked)
        standin.browser.evaluate(polls.format(1500))
        assert len(fake.asked) == asked
    wait_asked(fake, 1)
    assert fake.asked[-1]["since"] <= fake.rows[-3][0], "what it has missed comes with the next answer"
