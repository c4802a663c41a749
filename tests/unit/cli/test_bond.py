# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath bond`: keys, invitations, status, and how its processes are started (tests/bond runs them)."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from netpath.bonding import Bonding
from netpath.cli import bond as command
from netpath.cli import bond_keys
from netpath.config.bond import loads_bonds
from tests.unit.cli import replies
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_tracker import FakeTracker

GOLDEN = Path(__file__).parent / "golden"
PATH: dict[str, Any] = {
    "number": 0, "link": "dsl", "device": "eth1", "address": "192.0.2.7:9001", "state": "up", "since": 1699999400.0,
    "rtt": 21.44, "variance": 1.2, "loss_out": 0.0, "loss_in": 1.25, "rate": 6250000, "capacity": 6300000,
    "tx_rate": 125000, "rx_rate": 2500000, "share": 62.5, "mtu": 1472, "queue": 3.1,
}  # fmt: skip
DOWN = {**PATH, "number": 1, "link": "lte", "device": "wwan0", "address": None, "state": "down", "rtt": None,
        "capacity": None, "tx_rate": 0, "rx_rate": 0, "share": 0.0}  # fmt: skip
PEER: dict[str, Any] = {
    "name": "server", "public_key": "k" * 43 + "=", "state": "up", "since": 1699999410.0, "problem": None,
    "cipher": "aes-256-gcm", "addresses": ["10.99.0.1", "2001:db8::1"], "rx_bytes": 5_000_000_000, "tx_bytes": 123456,
    "rx_packets": 4, "tx_packets": 5, "dropped": 6, "given_up": 7, "recovered": 8, "repairs_sent": 9, "sent_again": 10,
    "headless": 0, "faulty": 0, "paths": [PATH, DOWN],
}  # fmt: skip
CLIENT: dict[str, Any] = {
    "running": True, "role": "client", "name": "home", "device": "tun-bond", "since": 1699996410.0, "problem": None,
    "public_key": "o" * 43 + "=", "mtu": 1400, "mode": "aggregate", "fec": {"mode": "adaptive", "group": 10,
    "repairs": 3}, "port": None, "unknown": 0, "refused": 0, "rejected": 0, "strangers": 0, "peers": [PEER],
}  # fmt: skip
SERVER: dict[str, Any] = {
    **CLIENT, "role": "server", "name": "far", "device": "tun-far", "port": 9001, "unknown": 31,
    "refused": 2, "rejected": 12, "strangers": 3,
    "problem": "the key of cabin does not fit", "fec": {"mode": "off", "group": 10, "repairs": 0},
    "peers": [{**PEER, "name": "cabin", "headless": 5, "faulty": 1, "state": "connecting", "cipher": None,
               "problem": "it has never answered", "paths": []}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1700000010.0)


@pytest.fixture(autouse=True)
def keys(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETPATH_KEYS_DIR", str(instance / "keys"))
    return instance / "keys"


@pytest.fixture
def home(instance: Path) -> Iterator[FakeTracker]:
    with FakeTracker(instance / "netpath-bond-home.sock", {"bond": CLIENT}) as fake:
        yield fake


@pytest.fixture
def far(instance: Path) -> Iterator[FakeTracker]:
    with FakeTracker(instance / "netpath-bond-far.sock", {"bond": SERVER}) as fake:
        yield fake


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# -- keys -----------------------------------------------------------------------------------------------------------


def test_a_key_its_public_one_and_a_preshared_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    private = run("bond", "genkey").out
    assert len(base64.b64decode(private)) == 32
    assert run("bond", "genkey").out != private
    assert len(base64.b64decode(run("bond", "genpsk").out)) == 32
    typed(monkeypatch, private)
    # RFC 7748, 6.1: the public key is X25519 of the private one and the base point, 9.
    point = X25519PublicKey.from_public_bytes(bytes([9, *bytes(31)]))
    expected = X25519PrivateKey.from_private_bytes(base64.b64decode(private)).exchange(point)
    result = run("bond", "pubkey")
    assert (result.code, base64.b64decode(result.out)) == (0, expected)
    typed(monkeypatch, private)
    assert json.loads(run("bond", "pubkey", "--json").out) == {"public_key": base64.b64encode(expected).decode()}


def test_a_shortened_key_is_refused_without_quoting_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    private = run("bond", "genkey").out
    typed(monkeypatch, private[:-4])
    result = run("bond", "pubkey")
    assert (result.code, result.out) == (1, "")
    assert "not a whole key: 41 characters instead of 44" in result.err
    assert private[:10] not in result.err


def test_a_key_is_kept_for_a_bond_once(run: Run, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = json.loads(run("bond", "genkey", "home", "--json").out)
    file = keys / "home.key"
    assert first == {"name": "home", "public_key": first["public_key"], "file": str(file), "made": True}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    assert json.loads(run("bond", "genkey", "home", "--json").out) == {**first, "made": False}
    assert file.read_text() == kept
    typed(monkeypatch, kept)
    assert run("bond", "pubkey").out.strip() == first["public_key"]
    assert kept.strip() not in run("bond", "genkey", "home").out


def test_a_key_in_the_configuration_is_the_bonds(run: Run, instance: Path, keys: Path) -> None:
    private = base64.b64encode(bytes(range(32))).decode()
    (instance / "netpath.conf").write_text(f"config bond 'home'\n\toption private_key '{private}'\n")
    found = json.loads(run("bond", "genkey", "home", "--json").out)
    assert (found["file"], found["made"]) == (None, False)
    assert not keys.exists()
    (instance / "netpath.conf").write_text(f"config bond 'home'\n\toption private_key '{private[1:]}'\n")
    broken = run("bond", "genkey", "home")
    assert (broken.code, private[1:] in broken.err) == (1, False)


@pytest.mark.parametrize("name", ["../x", "-x", "a b", "x" * 65, ""])
def test_no_key_for_what_is_no_name(name: str, run: Run, keys: Path) -> None:
    result = run("bond", "genkey", name, "--json")
    assert (result.code, keys.exists()) == (2, False)


@pytest.mark.parametrize("what", ["genkey", "genpsk"])
def test_a_key_in_a_new_file(what: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    assert run("bond", what, "--output", str(path)).code == 0
    kept = path.read_text()
    assert (len(kept), stat.S_IMODE(path.stat().st_mode)) == (45, 0o600)
    again = run("bond", what, "--output", str(path))
    assert again.code == (0 if what == "genkey" else 1)
    assert path.read_text() == kept
    assert kept.strip() not in again.out + again.err


def test_without_cryptography_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bond_keys, "find_spec", lambda name: None if name == "cryptography" else object())
    for argv in (["pubkey"], ["client"], ["server", "far"], ["invite", "cabin"], ["status"], ["genkey", "home"]):
        result = run("bond", *argv)
        assert (result.code, "apk add netpath-bond" in result.err) == (1, True), argv
    assert run("bond", "genkey").code == 0


# -- invitations ----------------------------------------------------------------------------------------------------


def written(instance: Path, more: str = "") -> str:
    private = base64.b64encode(bytes(range(32))).decode()
    text = f"config bond 'far'\n\toption role 'server'\n\toption private_key '{private}'\n" + more
    (instance / "netpath.conf").write_text(text)
    return text


@pytest.mark.parametrize("form", ["uci", "toml"])
def test_an_invitation_fits_on_both_ends(form: str, run: Run, instance: Path) -> None:
    written(instance, "\toption obfuscate '1'\n\toption port '7000'\n\tlist address '2001:db8:99::1/64'\n")
    reply = json.loads(run("bond", "invite", "cabin", "--server", "192.0.2.1:7000", "--json").out)
    (client,) = _bonding(reply["client"][form], form).clients
    assert (client.name, client.servers, client.automatic) == ("far", (("192.0.2.1", 7000),), True)
    text = {"uci": (instance / "netpath.conf").read_text(),
            "toml": "[bonds.far]\nrole = 'server'\nport = 7000\naddress = '2001:db8:99::1/64'\n"
                    f"private_key = '{base64.b64encode(bytes(range(32))).decode()}'\n"}[form]  # fmt: skip
    (server,) = _bonding(text + reply["server"][form], form).servers
    (peer,) = server.clients
    assert (peer.name, peer.addresses) == ("cabin", ("2001:db8:99::2/64",))
    assert peer.preshared_key == client.preshared_key
    assert peer.preshared_key is not None
    assert peer.public_key == bond_keys.public_of(client.private_key)
    assert client.server_key == bond_keys.public_of(server.private_key)
    assert client.transport.obfuscate


def _bonding(text: str, form: str) -> Bonding:
    loaded = loads_bonds(text, format=form)
    assert loaded.bonding is not None, [str(p) for p in loaded.problems]
    assert loaded.problems == ()
    return loaded.bonding


def test_each_client_gets_the_next_address_and_keys_of_its_own(run: Run, instance: Path) -> None:
    text = written(instance)
    seen = set()
    for number in (2, 3, 4):
        reply = json.loads(run("bond", "invite", f"c{number}", "--json").out)
        assert reply["addresses"] == [f"10.99.0.{number}/24"]
        seen.add(reply["public_key"])
        text += reply["server"]["uci"]
        (instance / "netpath.conf").write_text(text)
    assert len(seen) == 3
    full = text.replace("role 'server'", "role 'server'\n\toption address '10.99.0.1/29'")
    for number in (5, 6):
        (instance / "netpath.conf").write_text(full)
        full += json.loads(run("bond", "invite", f"c{number}", "--json").out)["server"]["uci"]
    (instance / "netpath.conf").write_text(full)
    assert "no free address" in run("bond", "invite", "c7").err
    assert "has a client c2 already" in run("bond", "invite", "c2").err


def test_the_text_of_an_invitation(run: Run, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(instance)
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(100, 100 + count)))
    result = run("bond", "invite", "cabin", "--server", "vps.example.com")
    assert (result.code, result.err) == (0, "")
    assert result.out == (GOLDEN / "bond-invite.txt").read_text(encoding="utf-8")


def test_a_client_that_made_its_own_key_is_asked_for_no_other(run: Run, instance: Path) -> None:
    written(instance)
    public = base64.b64encode(bytes(range(50, 82))).decode()
    reply = json.loads(run("bond", "invite", "cabin", "--public-key", public, "--json").out)
    assert reply["public_key"] == public
    assert "private_key" not in json.dumps(reply)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("invite",), 2, "needs a name"),
        (("invite", "a b"), 2, "not a usable name"),
        (("invite", "cabin", "--server", "a b"), 2, "neither a host name nor an address"),
        (("invite", "cabin", "--public-key", "short"), 1, "--public-key: not a whole key"),
        (("invite", "cabin", "--bond", "nowhere"), 1, "there is no bond nowhere"),
    ],
)
def test_invitations_that_make_no_sense(argv: tuple[str, ...], code: int, said: str, run: Run, instance: Path) -> None:
    written(instance)
    result = run("bond", *argv)
    assert (result.code, said in result.err) == (code, True), result.err


def test_an_invitation_needs_one_server(run: Run, instance: Path) -> None:
    (instance / "netpath.conf").write_text("")
    assert "no bond of role server" in run("bond", "invite", "cabin").err
    text = written(instance)
    other = text.replace("'far'", "'near'") + "\toption device 'tun-near'\n\toption port '7000'\n"
    (instance / "netpath.conf").write_text(text + other)
    assert "say which server with --bond: far, near" in run("bond", "invite", "cabin").err
    assert run("bond", "invite", "cabin", "--bond", "near").code == 0


# -- status ---------------------------------------------------------------------------------------------------------


def test_status_of_all(home: FakeTracker, far: FakeTracker, run: Run) -> None:
    result = run("bond", "status")
    assert (result.code, result.out) == (0, (GOLDEN / "bond-status.txt").read_text(encoding="utf-8"))
    assert json.loads(run("bond", "status", "--json").out) == {"bonds": {"far": SERVER, "home": CLIENT}}


def test_status_of_one(home: FakeTracker, far: FakeTracker, run: Run) -> None:
    assert json.loads(run("bond", "status", "home", "--json").out) == CLIENT
    out = run("bond", "status", "home").out
    assert "Bond home" in out
    assert "Bond far" not in out
    assert home.requests == [{"cmd": "bond"}] * 2


def test_status_without_a_bond(run: Run) -> None:
    for argv in (["bond", "status"], ["bond", "status", "home"]):
        result = run(*argv)
        assert (result.code, result.out, "not running" in result.err or "no bond is running" in result.err) == (
            3,
            "",
            True,
        )


def test_status_of_everything_ends_with_the_bonds(
    tracker: FakeTracker, home: FakeTracker, far: FakeTracker, run: Run
) -> None:
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    without = (GOLDEN / "status.txt").read_text(encoding="utf-8")
    result = run("status")
    assert result.out.removeprefix(without) == (GOLDEN / "status-bonds.txt").read_text(encoding="utf-8")


def test_a_bond_that_hangs_or_is_gone_keeps_nobody_waiting(
    tracker: FakeTracker, home: FakeTracker, instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BRIEF_TIME", 0.05)
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as dead:
        silent.bind(str(instance / "netpath-bond-silent.sock"))
        silent.listen()
        dead.bind(str(instance / "netpath-bond-dead.sock"))
        out = run("status").out
    assert "no answer within" in out
    assert "the bond dead is not running" in out
    assert " home is up by 1 of 2 paths" in out


def test_no_text_of_a_peer_commands_the_terminal(tracker: FakeTracker, home: FakeTracker, run: Run) -> None:
    evil = "\x1b[2J\u202eevil\n"
    tracker.replies = {"status": replies.STATUS, "policies": replies.POLICIES, "rules": replies.RULES}
    path = dict.fromkeys(PATH, evil)
    home.replies["bond"] = {**dict.fromkeys(CLIENT, evil), "peers": [{**dict.fromkeys(PEER, evil), "paths": [path]}]}
    for argv in (["bond", "status"], ["bond", "status", "home"], ["status"]):
        out = run(*argv).out
        assert "evil" in out
        assert not any(c in out for c in "\x1b\u202e")


def test_figures_of_any_kind_are_shown(home: FakeTracker, run: Run) -> None:
    kinds: tuple[Any, ...] = (None, "x", [], {}, 1e300, -5, True)
    for odd in kinds:
        peer = {**dict.fromkeys(PEER, odd), "paths": [dict.fromkeys(PATH, odd), odd]}
        for reply in ({**dict.fromkeys(CLIENT, odd), "peers": [peer, odd]}, dict.fromkeys(CLIENT, odd), {}):
            home.replies["bond"] = reply
            assert run("bond", "status", "home").code in (0, 1)


# -- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["client"], ("client", None, {"wait": False, "use_syslog": False, "use_stderr": True})),
        (["server", "far", "--syslog"], ("server", "far", {"wait": False, "use_syslog": True, "use_stderr": True})),
        (
            ["client", "home", "--wait", "--syslog-only"],
            ("client", "home", {"wait": True, "use_syslog": True, "use_stderr": False}),
        ),
    ],
)
def test_a_process_gets_its_role_its_name_and_its_log(
    argv: list[str], expected: tuple[Any, ...], run: Run, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def main(where: Any, *words: Any, **options: Any) -> int:
        asked.append((where.config, *words, options))
        return 7

    stand_in = ModuleType("netpath.bond.main")
    stand_in.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "netpath.bond.main", stand_in)
    assert run("bond", *argv).code == 7
    assert asked == [(instance / "netpath.conf", *expected)]
