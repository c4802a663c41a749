# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends as people start them: keys and invitation by `netpath bond`, and ChainLightning's file; real packets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.nsbox import Box, run
from tests.unit.config.test_config_bond import SEED

ROOT = Path(__file__).parents[2]
LINKS = "config bond_link 'a'\n\toption interface 'v1'\nconfig bond_link 'b'\n\toption source '192.0.2.33'\n"
SERVER = "config bond 'far'\n\toption role 'server'\n"


class End:
    """One end's machine: its namespace, its files, its commands."""

    def __init__(self, box: Box, place: Path) -> None:
        self.box, self.place = box, place
        self.config, self.log = place / "netpath", place / "log"
        self.process: subprocess.Popen[bytes] | None = None
        place.mkdir()

    def environment(self) -> dict[str, str]:
        names = {
            "CONFIG": self.config,
            "SOCKET": self.place / "s",
            "STATE_DIR": self.place / "d",
            "KEYS_DIR": self.place,
        }
        return {**os.environ, "PYTHONPATH": str(ROOT), **{f"NETPATH_{name}": str(path) for name, path in names.items()}}

    def argv(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.box.name}", sys.executable, "-m", "netpath", "bond", *words]

    def bond(self, *words: str, text: str = "") -> str:
        done = subprocess.run(
            self.argv(*words), env=self.environment(), input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv(*words), env=self.environment(), stderr=log)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def wait(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 15
        while not true():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"in vain: {what}\n{self.log.read_text()}"
            time.sleep(0.05)

    def says(self, text: str) -> None:
        self.wait(lambda: self.log.exists() and text in self.log.read_text(), text)

    def status(self, name: str) -> dict[str, Any]:
        done = subprocess.run(
            self.argv("status", name, "--json"), env=self.environment(), capture_output=True, text=True, check=False
        )
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    def kill(self) -> None:
        """If it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_up(self, name: str, paths: int) -> None:
        def up() -> bool:
            peers = self.status(name).get("peers", [])
            return [path["state"] for peer in peers for path in peer["paths"]] == ["up"] * paths

        self.wait(up, f"{paths} paths of {name}")


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[End, End]]:
    """A client and a server with two lines between them."""
    with Box("home") as home, Box("far") as far:
        home.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        far.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        for number, net in ((1, 16), (2, 32)):
            run("ip", "link", "add", f"v{number}", "netns", home.name, "type", "veth", "peer", f"v{number}",
                "netns", far.name)  # fmt: skip
            for box, host in ((home, 1), (far, 2)):
                box.ip("address", "add", f"192.0.2.{net + host}/28", "dev", f"v{number}")
                box.ip("link", "set", f"v{number}", "up")
        far.ip("address", "add", "203.0.113.7/32", "dev", "lo")
        home.ip("route", "add", "203.0.113.7", "nexthop", "via", "192.0.2.18", "nexthop", "via", "192.0.2.34")
        both = End(home, tmp_path / "home"), End(far, tmp_path / "far")
        try:
            yield both
        finally:
            for end in both:
                end.kill()


def connect(home: End, far: End) -> None:
    """Keys and configuration of both, both started; the server has let the client in."""
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    invitation = json.loads(far.bond("invite", "cabin", "--server", "203.0.113.7", "--json"))
    far.config.write_text(SERVER + invitation["server"]["uci"])
    home.config.write_text(invitation["client"]["uci"] + LINKS)
    far.start("server")
    home.start("client")
    home.is_up("far", 2)


def forwarding(end: End) -> str:
    return end.box.run("cat", "/proc/sys/net/ipv4/ip_forward").strip()


def test_from_keys_to_ping_and_nothing_is_left(ends: tuple[End, End]) -> None:
    home, far = ends
    connect(home, far)
    home.box.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "10.99.0.1")
    far.box.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "10.99.0.2")
    assert "netpath_bond_far" in far.box.tables()
    assert forwarding(far) == "1"
    # A firewall's restart.
    far.box.run("nft", "flush", "ruleset")
    far.wait(lambda: "netpath_bond_far" in far.box.tables(), "its table again")
    # What somebody takes from the device comes back.
    home.box.ip("address", "flush", "dev", "tun-bond")
    home.wait(lambda: "10.99.0.2" in home.box.ip("-4", "address", "show", "dev", "tun-bond"), "its address again")
    assert (home.stop(), far.stop()) == (0, 0)
    assert (far.box.tables(), forwarding(far)) == ("", "0")
    assert "tun-bond" not in home.box.ip("link")


def changed(text: str, option: str, value: str) -> str:
    """A configuration with another value of an option."""
    return re.sub(rf"(option {option} )'[^']*'", rf"\1'{value}'", text)


@pytest.mark.parametrize("wrong", ["server_key", "preshared_key", "private_key"])
def test_wrong_keys_are_told_at_both_ends(ends: tuple[End, End], wrong: str) -> None:
    """As a user sees it: `netpath bond status`, and the server's log."""
    home, far = ends
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    invitation = json.loads(far.bond("invite", "cabin", "--server", "203.0.113.7", "--json"))
    far.config.write_text(SERVER + invitation["server"]["uci"])
    other = home.bond("genkey").strip()
    public = home.bond("pubkey", text=other).strip()
    text = invitation["client"]["uci"] + LINKS
    assert f"option {wrong} " in text
    home.config.write_text(changed(text, wrong, public if wrong == "server_key" else other))
    far.start("server")
    home.start("client")

    for end in ends:
        end.wait(lambda end=end: end.status("far").get("running"), "it to answer")  # type: ignore[misc]

    def shown(end: End, words: str) -> None:
        end.wait(lambda: words in " ".join(end.bond("status", "far").split()), words)

    if wrong == "preshared_key":
        shown(home, "preshared_key here and the one that the server has")
        shown(far, "preshared_key differs at its end")
    elif wrong == "server_key":
        shown(home, f"server_key {public} is not its public key")
    else:
        shown(home, f"it has no client with our public key {public}")
        shown(far, f"an authentic client with the public key {public}")
    home.config.write_text(text)
    home.stop()
    home.start("client")
    home.is_up("far", 2)


def test_a_firewall_in_the_way_is_in_the_status_until_it_is_mended(ends: tuple[End, End]) -> None:
    _, far = ends
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    far.box.nft("table inet mine { chain f { type filter hook forward priority 0; policy drop;\n}\n}\n")
    far.start("server")
    far.says("listens on")
    far.wait(lambda: "insert rule inet mine f" in (far.status("far")["problem"] or ""), "what to do, in the status")
    assert "insert rule inet mine f" in far.bond("status", "far")
    far.box.nft("insert rule inet mine f iifname tun-bond accept\n")
    far.wait(lambda: far.status("far")["problem"] is None, "it to be over")


def test_the_seeds_own_file_with_keys_added(ends: tuple[End, End]) -> None:
    home, far = ends
    keys = {end: end.bond("genkey").strip() for end in ends}
    public = {end: end.bond("pubkey", text=key).strip() for end, key in keys.items()}
    text = SEED.replace("192.0.2.1", "192.0.2.17").replace('"192.0.2.2"', '"192.0.2.33"')
    text = text.replace('    "192.0.2.3",   # IP of your third WAN interface\n', "")
    home.config = home.place / "config.toml"
    far.config = far.place / "config.toml"
    home.config.write_text(text.replace("KEYS", f'private_key = "{keys[home]}"\nserver_key = "{public[far]}"'))
    far.config.write_text(text.replace("KEYS", f'private_key = "{keys[far]}"\nclients = ["{public[home]}"]'))
    far.start("server")
    home.start("client")
    home.is_up("bond", 4)
    home.box.run("ping", "-c", "1", "-W", "2", "-I", "tun-bond", "10.99.0.1")
    assert home.status("bond")["fec"] == {"mode": "fixed", "group": 10, "repairs": 3}


def test_a_bad_configuration_is_waited_for_or_ends_it(ends: tuple[End, End]) -> None:
    _, far = ends
    far.config.write_text(SERVER)
    far.start("server")
    assert far.process is not None
    assert far.process.wait(10) == 1
    assert "there is no private_key" in far.log.read_text()
    far.start("server", "far", "--wait")
    far.says("waiting for a reload")
    far.bond("genkey", "far")
    process = far.process
    assert process is not None
    # However many, and however early: none of them kills.
    for _ in range(5):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    far.says("listens on UDP port 9001")
    assert process.poll() is None


def test_a_second_process_of_a_bond_is_refused(ends: tuple[End, End]) -> None:
    _, far = ends
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    far.start("server")
    far.says("listens on")
    second = subprocess.run(
        far.argv("server"), env=far.environment(), capture_output=True, text=True, check=False, timeout=20
    )
    assert (second.returncode, "the bond far runs already" in second.stderr) == (1, True)


def test_a_reload_lets_a_new_client_in_and_a_bad_one_changes_nothing(ends: tuple[End, End]) -> None:
    home, far = ends
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    far.start("server")
    far.says("listens on")
    invitation = json.loads(far.bond("invite", "cabin", "--server", "203.0.113.7", "--json"))
    assert far.process is not None
    far.config.write_text(SERVER + invitation["server"]["uci"].replace("10.99.0.2", "10.99.0.1"))
    far.process.send_signal(signal.SIGHUP)
    far.says("goes on with what it has")
    far.config.write_text(SERVER + invitation["server"]["uci"])
    far.process.send_signal(signal.SIGHUP)
    home.config.write_text(invitation["client"]["uci"] + LINKS)
    home.start("client")
    home.is_up("far", 2)
