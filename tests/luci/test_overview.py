# SPDX-License-Identifier: GPL-2.0-or-later
"""The overview in a browser, before a real tracker: what a user sees, and what happens when something is broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netpath.lab.namespace import wait_until
from netpath.lab.web import READER
from tests.luci.places import OVERVIEW, Place, wait_status

pytestmark = pytest.mark.lab

SAMPLES = 12
"""Far more than the page asks for by itself before its first graph is looked at: one a second."""
MISSED = 3
"""Samples that a busy machine takes so late that the page counts them as one with the next."""
LATENCY = 3
"""Column of a row of `history`."""


def card(name: str, *, state: str = "") -> str:
    return f'.np-card[data-interface="{name}"]' + (f'[data-state="{state}"]' if state else "")


def value(chart: str, name: str) -> str:
    return f'[data-chart="{chart}"] [data-value="{name}"] b'


@contextmanager
def broken(place: Place) -> Iterator[None]:
    """`first` cut; mended at the end."""
    place.cut()
    try:
        yield
    finally:
        place.mend()
        wait_status(place, **{place.first: "online"})


def test_a_card_for_each_interface_says_how_it_is(place: Place) -> None:
    place.visit(OVERVIEW)
    row = place.ask("status")["interfaces"][place.first]
    place.browser.wait_for(card(place.first, state="online"), "online")
    text = place.browser.text(card(place.first))
    for wanted in (row["device"], row["gateway"], row["addresses"][0], row["track_ip"][0]["ip"], "60 %"):
        assert wanted in text, (wanted, text)
    place.browser.wait(
        f"/^[0-9.]+ ms$/.test(document.querySelector('{card(place.first)} [data-figure=latency]').textContent)"
    )
    names = place.browser.evaluate("[...document.querySelectorAll('.np-card')].map(e => e.dataset.interface)")
    assert set(names) == set(place.ask("status")["interfaces"])
    place.browser.wait_for('.np-box[data-box="all"]', "all")
    assert place.browser.count(f'[data-link="all>{place.first}"]') == 1
    assert place.browser.problems() == []


def test_graphs_have_the_trackers_history_at_once(place: Place) -> None:
    def known() -> int:
        rows = place.ask("history", {"interface": place.first})["interfaces"][place.first]
        return sum(row[LATENCY] is not None for row in rows)

    # A history that is full does not grow any more; one from before may have gaps where an uplink was cut.
    place.stop()
    place.start()
    wait_until(lambda: known() > SAMPLES + MISSED, 40, "the tracker to have a history")
    place.visit(OVERVIEW)
    place.browser.wait_for('[data-chart="latency"] svg path')
    line = f'[data-chart="latency"] [data-line="{place.first}"]'
    drawn = f"document.querySelector('{line}').getAttribute('d').split(/[ML]/).length - 1"
    points = place.browser.evaluate(drawn)
    assert points > SAMPLES
    place.browser.wait(f"{drawn} > {points} + 1")  # and polls go on from there


def test_a_cut_uplink_turns_card_graph_and_picture(place: Place) -> None:
    place.visit(OVERVIEW)
    place.browser.wait_for(card(place.first, state="online"))
    with broken(place):
        place.browser.wait_for(card(place.first, state="offline"), "offline")
        place.browser.wait(f"parseFloat(document.querySelector('{value('loss', place.first)}').textContent) > 20")
        place.browser.wait_for(f'.np-box[data-box="{place.first}"]', "offline")
        place.browser.wait(
            f"""document.querySelector('[data-link="all>{place.first}"]').textContent.endsWith(': 0 %')"""
        )
        place.browser.wait(
            f"""document.querySelector('[data-link="all>{place.second}"]').textContent.endsWith(': 100 %')"""
        )
        place.browser.wait_for(".np-events li", f"{place.first} is offline")
        assert "1 of 2" in place.browser.text(".np-summary") or "2 of 4" in place.browser.text(".np-summary")
    place.browser.wait_for(card(place.first, state="online"), "online")
    place.browser.wait(f"""document.querySelector('[data-link="all>{place.first}"]').textContent.endsWith(': 60 %')""")
    assert place.browser.problems() == []


def test_a_stopped_tracker_is_said_and_its_return_seen_without_loading_the_page_again(place: Place) -> None:
    place.visit(OVERVIEW)
    place.browser.wait_for(card(place.first, state="online"))
    place.browser.evaluate("window.stillThere = true")
    place.stop()
    try:
        place.browser.wait_for(".alert-message", "NetPath is stopped")
        assert "/etc/init.d/netpath start" in place.browser.text("[data-part=notices]")
        place.browser.wait_for(f"{card(place.first)}.np-stale")
        assert place.browser.count(f"{card(place.first)} button:disabled") == 1
    finally:
        place.start()
    place.browser.wait("!document.querySelector('.alert-message.warning') && !document.querySelector('.np-stale')")
    place.browser.wait_for(card(place.first, state="online"))
    assert place.browser.evaluate("window.stillThere") is True
    assert place.browser.problems() == []


def test_switching_off_asks_first(place: Place) -> None:
    place.visit(OVERVIEW)
    switch = f"{card(place.first)} [data-order=disable]"
    place.browser.wait_for(switch)
    place.browser.focus(switch)
    place.browser.press("Enter")
    place.browser.wait_for(".modal", "Policy all sends 60 %")
    place.browser.press("Escape")
    place.browser.wait("!document.querySelector('[data-answer=yes]')?.checkVisibility({ visibilityProperty: true })")
    assert place.ask("status")["interfaces"][place.first]["status"] == "online"
    place.browser.click(switch)
    place.browser.wait_for("[data-answer=yes]")
    place.browser.click("[data-answer=yes]")
    try:
        place.browser.wait_for(card(place.first, state="disabled"), "switched off")
        wait_status(place, **{place.first: "disabled"})
        place.browser.click(f"{card(place.first)} [data-order=enable]")
        place.browser.wait_for(card(place.first, state="online"))
    finally:
        place.ask("enable", {"interface": place.first})
        wait_status(place, **{place.first: "online"})
    assert place.browser.problems() == []


def test_who_may_only_read_sees_everything_and_no_buttons(place: Place) -> None:
    place.visit(OVERVIEW, user=READER)
    place.browser.wait_for(card(place.first, state="online"))
    place.browser.wait_for("[data-part=notices]", "read-only")
    assert place.browser.count("[data-order]") == 0
    place.browser.wait_for('[data-chart="throughput"] [data-line]')
    assert place.browser.problems() == []


def test_figures_by_pointer_and_keyboard(place: Place) -> None:
    place.visit(OVERVIEW)
    chart = '[data-chart="latency"]'
    place.browser.wait_for(f"{chart} path")
    assert place.browser.text(f"{chart} .np-when") == "now"
    place.browser.focus(f"{chart} svg")
    place.browser.press("ArrowLeft")
    place.browser.wait(f"""document.querySelector('{chart} .np-when').textContent != 'now'""")
    assert place.browser.count(f"{chart} .np-cross") == 1
    place.browser.press("Escape")
    place.browser.wait(f"""document.querySelector('{chart} .np-when').textContent == 'now'""")
    place.browser.hover(f"{chart} svg")
    place.browser.wait(f"""document.querySelector('{chart} .np-when').textContent != 'now'""")
    place.browser.click(f'[data-legend="{place.first}"]')
    place.browser.wait(f"""!document.querySelector('{chart} [data-line="{place.first}"]')""")


def test_the_widget_on_the_status_page(place: Place) -> None:
    place.visit("admin/status/overview")
    place.browser.wait_for(f'.np-widget [data-interface="{place.first}"]', "online")
    place.stop()
    try:
        place.browser.wait_for(".np-widget", "NetPath is stopped")
    finally:
        place.start()
    place.browser.wait_for(f'.np-widget [data-interface="{place.first}"]', "online")
