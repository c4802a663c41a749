# SPDX-License-Identifier: GPL-2.0-or-later
"""The page Bonding in a browser, before a fake of the bond: what a user sees of links that work, fail and recover, of a
server with many clients, and of a bond that is not there or talks nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from netpath.lab.namespace import wait_until
from netpath.lab.web import READER
from tests.luci.fake_bond import KEYS, FakeBond, down, path, peer
from tests.luci.places import FITS, HOSTILE, NONE, NOTICES, PHONE, Place, StandIn

pytestmark = pytest.mark.lab

PAGE = "admin/network/netpath/bonding/live"


@pytest.fixture
def bond(place: Place) -> Iterator[FakeBond]:
    """Where LuCI itself may make a difference."""
    with FakeBond(place.bonds) as fake:
        yield fake


@pytest.fixture
def fake(standin: StandIn) -> Iterator[FakeBond]:
    """On the stand-in alone."""
    with FakeBond(standin.bonds) as listening:
        yield listening
    standin.browser.problems()


def card(label: str, state: str = "") -> str:
    return f'[data-path="{label}"]' + (f'[data-state="{state}"]' if state else "")


def bar(place: Place, label: str) -> str:
    """Width of a path's bar, as it is asked for."""
    return str(place.browser.evaluate(f"document.querySelector('{card(label)} .np-bar span').style.width"))


def test_a_link_fails_and_recovers_and_shares_move(standin: StandIn, fake: FakeBond) -> None:
    fibre, cable = path(0, "fibre", share=80.0), path(1, "cable", share=20.0, loss_out=2.5, capacity=None)
    fake.paths(fibre, cable)
    standin.visit(PAGE)
    standin.browser.wait_for('[data-bond="home"][data-state="up"]', "vps.example.com")
    standin.browser.wait_for(f"{card('fibre', 'up')} [data-share]", "80 % of what is sent")
    assert bar(standin, "fibre") == "80%"
    assert "not measured yet" in standin.browser.text(card("cable"))
    for figure, text in (("rtt", "21.4 ms"), ("loss_out", "0 %"), ("loss_in", "0.40 %"), ("tx", "2 Mbit/s"),
                         ("rx", "40 Mbit/s"), ("queue", "3.20 ms")):  # fmt: skip
        assert standin.browser.text(f"{card('fibre')} [data-figure={figure}]") == text
    assert "1452 B" in standin.browser.text(card("fibre"))
    standin.browser.wait_for("[data-speed=rx]", "↓ 80 Mbit/s")
    for counter, text in (("repairs_sent", "4321"), ("recovered", "812"), ("sent_again", "17"), ("given_up", "3"),
                          ("headless", "21"), ("faulty", "5")):  # fmt: skip
        assert text in standin.browser.text(f"[data-counter={counter}]")
    standin.browser.evaluate("window.stillThere = true")
    fake.paths({**fibre, **down()}, {**cable, "share": 100.0})
    standin.browser.wait_for(card("fibre", "down"), "100 %")
    standin.browser.wait_for("[data-part=summary]", "1 of 2 paths work. Down: fibre")
    standin.browser.wait_for(f"{card('cable', 'up')} [data-share]", "100 %")
    fake.reply["peers"][0].update(state="down", problem=f"no path is left {HOSTILE}")
    standin.browser.wait_for('[data-bond="home"][data-state="down"] [data-reason]', "no path is left <img")
    fake.whole()
    standin.browser.wait_for(card("fibre", "up"), "50 %")
    standin.browser.wait_for("[data-part=summary]", "2 of 2 paths work.")
    assert standin.browser.evaluate("window.stillThere") is True
    assert standin.browser.evaluate("window.hurt") is None
    # The graph is of this page's own series: seconds, each path a line, down to zero and up again.
    line = """document.querySelector('[data-chart=traffic] [data-line="fibre"]').getAttribute('d').split('L').length"""
    standin.browser.wait(f"{line} > 3")
    assert standin.browser.problems() == []


def test_a_bond_that_stops_stays_in_sight_and_is_found_again(standin: StandIn, fake: FakeBond) -> None:
    standin.visit(PAGE)
    standin.browser.wait_for(card("fibre", "up"))
    fake.stop()
    standin.browser.wait_for(NOTICES, "netpath-bond")
    standin.browser.wait_for(NOTICES, "This is what was last known.")
    standin.browser.wait_for(f"{card('fibre')}.np-stale", f"{NONE} of what is sent")
    fake.start()
    standin.browser.wait_for(f"{card('fibre', 'up')}:not(.np-stale)", "50 %")
    standin.browser.wait("!document.querySelector('.alert-message')")
    assert standin.browser.problems() == []


def test_what_to_do_without_a_bond(standin: StandIn) -> None:
    standin.visit(PAGE)
    standin.browser.wait_for(NOTICES, "Bonding is not installed.")
    standin.browser.wait_for(f"{NOTICES} code", "netpath-bond")
    assert not standin.browser.evaluate("document.querySelector('[data-chart]').checkVisibility()")
    with FakeBond(standin.bonds) as fake:
        # It is found without loading the page again.
        standin.browser.wait_for('[data-bond="home"]')
        fake.reply = {"running": False, "installed": True, "error": "it has ended", "remedy": "/etc/init.d/x start"}
        standin.browser.wait_for(NOTICES, "The bond home does not run.")
        standin.browser.wait_for(f"{NOTICES} code", "/etc/init.d/x start")
        standin.browser.wait_for(f'{NOTICES} a[href$="bonding/settings"]', "Settings")
    assert standin.browser.problems() == []


def test_several_bonds_are_chosen_by_name(standin: StandIn, fake: FakeBond) -> None:
    with FakeBond(standin.bonds, "office") as other:
        other.reply["device"] = "bond9"
        standin.visit(PAGE)
        standin.browser.wait_for('[data-bond="home"]')
        asked = other.asked
        standin.browser.evaluate(
            "(s => { s.value = 'office'; s.dispatchEvent(new Event('change')) })"
            "(document.querySelector('[data-choice=bond]'))"
        )
        standin.browser.wait_for('[data-bond="office"]', "bond9")
        assert other.asked > asked
    assert standin.browser.problems() == []


ODD: list[bytes] = [
    b'{"running": "yes"}',
    json.dumps(
        {"running": True, "role": ["x"], "name": {}, "fec": "much", "since": "ever", "mtu": -1, "public_key": 7,
         "peers": [None, 7, {"name": HOSTILE, "paths": [None, {"share": "all", "rtt": {}, "state": [], "link": 5}]}],
         "mode": {"a": 1}}
    ).encode(),
    b'{"running": true, "role": "server", "peers": "many"}',
]  # fmt: skip


def test_nonsense_breaks_nothing(standin: StandIn, fake: FakeBond) -> None:
    fake.raw = ODD[0] + b"\n"
    standin.visit(PAGE)
    standin.browser.wait_for(NOTICES, "an answer that this page does not understand")
    for odd in ODD[1:]:
        fake.raw = odd + b"\n"
        # The second question comes after the first one's answer was shown.
        wanted = fake.asked + 2
        wait_until(lambda to=wanted: fake.asked >= to, 20, "the page to ask")  # type: ignore[misc]
    fake.raw = None
    standin.browser.wait_for(card("fibre", "up"))
    assert standin.browser.count("[data-path]") == 2
    assert standin.browser.evaluate("window.hurt") is None
    assert standin.browser.problems() == []


def serve(fake: FakeBond) -> None:
    """A server with 40 clients, one of a hostile name, some of them down."""
    clients = [
        peer(
            f"branch-{n}" if n else HOSTILE,
            [path(k, None, device=None, address=f"198.51.100.{n}:{4000 + k}") for k in range(2)],
            **({"state": "down", "problem": "not heard of"} if n % 9 == 4 else {}),
        )
        for n in range(40)
    ]
    fake.reply.update(role="server", port=9001, rejected=1234, strangers=12, unknown=321, refused=45, peers=clients)


def test_a_server_has_a_table_of_its_clients(place: Place, bond: FakeBond) -> None:
    serve(bond)
    place.visit(PAGE, user=READER, width=PHONE, dark=True)
    place.browser.wait("document.querySelectorAll('[data-client]').length == 40")
    place.browser.wait(FITS)
    assert "36 of 40" in place.browser.text("[data-bond]")
    assert "1234, 12 of them of unknown keys" in place.browser.text("[data-bond]")
    assert "321 that belong to nothing here, 45 that are not authentic" in place.browser.text("[data-bond]")
    assert "not heard of" in place.browser.text('[data-client="branch-4"][data-state="down"]')
    assert place.browser.count("[data-path]") == 0, "nobody reads 80 cards"
    place.browser.wait_for('[data-chart] [data-value="all"]', "All clients")
    place.browser.click('[data-choose="branch-2"]')
    place.browser.wait_for('[data-path="198.51.100.2:4001"]')
    assert place.browser.count("[data-path]") == 2
    place.browser.click("[data-action=all]")
    place.browser.wait("!document.querySelector('[data-path]')")
    assert place.browser.evaluate("window.hurt") is None
    assert place.browser.problems() == []


def test_many_paths_are_short_until_asked(standin: StandIn, fake: FakeBond) -> None:
    fake.paths(*[path(n, f"link{n // 8}", **(down() if n == 5 else {})) for n in range(40)])
    standin.visit(PAGE, width=PHONE)
    standin.browser.wait("document.querySelectorAll('[data-path]').length == 40")
    assert standin.browser.count("[data-value]") == 5, "a line for each link"
    details = f"document.querySelector('{card('link0 #1')} .np-details').checkVisibility()"
    standin.browser.wait(f"!{details}")
    standin.browser.click("[data-action=details]")
    standin.browser.wait(details)
    standin.browser.wait(FITS)
    assert standin.browser.problems() == []


def test_set_up_text_for_the_server_is_copied(place: Place, bond: FakeBond) -> None:
    place.visit(PAGE)
    place.browser.wait_for("[data-action=keys]")
    # Without a clipboard for scripts a selected text field is copied: what was selected then?
    place.browser.evaluate(
        "(document.addEventListener('copy', () => window.copied = document.activeElement.value ?? ''), "
        "Object.defineProperty(window, 'isSecureContext', { value: false }), true)"
    )
    place.browser.click("[data-action=keys]")
    place.browser.wait_for("[data-key=public]", KEYS["own"])
    assert KEYS["own"] in place.browser.text("[data-setup=start] pre")
    place.browser.click("[data-setup=start] [data-action=copy]")
    place.browser.wait(f"window.copied?.includes({json.dumps(KEYS['own'])}) && window.copied.includes('bond-server')")
    place.browser.press("Escape")
    place.browser.wait("document.activeElement?.dataset.action == 'keys'")
    assert place.browser.problems() == []


def test_keys_are_made_in_place_and_the_private_one_stays_there(standin: StandIn, fake: FakeBond) -> None:
    fake.reply["public_key"] = None
    standin.visit(PAGE, user=READER)
    standin.browser.click("[data-action=keys]")
    standin.browser.wait_for("[data-part=keys]", "read-only")
    assert standin.browser.count("[data-action=genkey]") == 0
    standin.visit(PAGE)
    standin.browser.evaluate(
        "(fetched => window.fetch = async (...given) => { const reply = await fetched(...given);"
        "window.heard = (window.heard ?? '') + await reply.clone().text(); return reply })(window.fetch)"
    )
    for _ in range(2):  # a key that is there stays
        standin.browser.click("[data-action=keys]")
        if standin.browser.count("[data-action=genkey]"):
            standin.browser.click("[data-action=genkey]")
        standin.browser.wait("document.querySelector('[data-key=public]')?.textContent.length == 44")
        public = standin.browser.text("[data-key=public]")
        assert public in standin.browser.text("[data-setup=start] pre")
        standin.browser.press("Escape")
    file = standin.bonds / "home.key"
    private = file.read_text().strip()
    file.unlink()
    assert len(private) == 44
    assert private != public
    heard = standin.browser.evaluate("window.heard + document.documentElement.outerHTML")
    assert public in heard
    assert private not in heard, "the private key never leaves the router"
    assert standin.browser.problems() == []
