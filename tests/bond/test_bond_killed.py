# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bond leaves on its machine when it is killed, and who removes it; real processes, nft and sysctls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bond.test_bond_command import LINKS, SERVER, End, ends, forwarding

__all__ = ["ends"]

SECOND = SERVER.replace("'far'", "'second'") + "\toption device 'tun-two'\n\toption port '7001'\n"
SECOND += "\tlist address '10.98.0.1/24'\n"


def machine(end: End) -> dict[str, str]:
    """All that a bond might change: tables, sysctls, devices, addresses, rules and routes. IPv6 makes its own."""
    asked = {
        "tables": ("nft", "list", "ruleset"),
        "sysctls": ("sysctl", "-a", "-r", r"^net\.ipv[46]\."),
        "devices": ("sysctl", "-N", "-a", "-r", r"^net\.ipv4\.conf\..*\.forwarding"),
        "addresses": ("ip", "-o", "-4", "address"),
        "rules": ("ip", "rule"),
        "rules of IPv6": ("ip", "-6", "rule"),
        "routes": ("ip", "route", "show", "table", "all"),
    }
    told = {name: end.box.run(*argv).splitlines() for name, argv in asked.items()}
    return {
        name: "\n".join(line for line in lines if not re.search("fe80:|ff00:", line)) for name, lines in told.items()
    }


def files(end: End) -> set[str]:
    """Of running bonds: sockets, locks and state."""
    ours = [path for path in (*end.place.iterdir(), *(end.place / "d").glob("*")) if path.is_file() or path.is_socket()]
    return (
        {path.name for path in ours}
        - {"netpath", "log", "forward.lock"}
        - {path.name for path in ours if path.suffix == ".key"}
    )


def kill(end: End) -> None:
    assert end.process is not None
    end.process.kill()
    end.process.wait()


def serve(far: End, text: str = SERVER, name: str = "far") -> None:
    far.config.write_text(text)
    far.bond("genkey", name)
    far.start("server", name)
    far.wait(lambda: f"netpath_bond_{name}" in far.box.tables() and forwarding(far) == "1", "its table")


def netpath(end: End, *words: str) -> str:
    argv = ["nsenter", f"--net=/run/netns/{end.box.name}", sys.executable, "-m", "netpath", *words]
    done = subprocess.run(argv, env=end.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gone(end: End, before: dict[str, str], device: str = "tun-bond") -> None:
    """The kernel takes a killed process's device a moment later."""
    deadline = time.monotonic() + 10
    while device in end.box.ip("link"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    after = machine(end)
    for name, text in before.items():
        assert after[name] == text, name


def test_all_that_killed_ends_leave_is_removed(ends: tuple[End, End]) -> None:
    """A server that forwards and masquerades, a client that masquerades: with a connection, networks, and traffic."""
    home, far = ends
    before = {end: machine(end) for end in ends}
    serve(far)
    invitation = json.loads(far.bond("invite", "cabin", "--server", "203.0.113.7", "--json"))
    client = invitation["client"]["uci"]
    client = client.replace("option role 'client'\n", "option role 'client'\n\toption masquerade '1'\n")
    home.config.write_text(client + LINKS)
    far.stop()
    far.config.write_text(SERVER + invitation["server"]["uci"] + "\tlist networks '192.168.77.0/24'\n")
    far.start("server")
    home.start("client")
    home.is_up("far", 2)
    home.box.run("ping", "-c", "1", "-W", "2", "10.99.0.1")
    assert "192.168.77.0/24 dev tun-bond" in far.box.ip("route")
    for end in ends:
        kill(end)
        assert {"netpath-bond-far.sock", "netpath-bond-far.lock", "forward-far.json"} <= {*files(end)}
        assert "netpath_bond_far" in end.box.tables()
    assert forwarding(far) == "1"
    for end in ends:
        assert "what killed bonds had left: far" in end.bond("clean")
        gone(end, before[end])
        assert files(end) == set()
        assert "no killed bond" in end.bond("clean")


def test_an_orderly_end_leaves_no_file(ends: tuple[End, End]) -> None:
    _, far = ends
    before = machine(far)
    serve(far)
    assert far.stop() == 0
    gone(far, before)
    assert files(far) == set()


def by_stop(end: End) -> Callable[[], None] | None:
    assert "what killed bonds had left: far" in netpath(end, "stop")
    return None


def by_another_bond(end: End) -> Callable[[], None] | None:
    serve(end, SECOND, "second")
    assert "removed what the bond far had left when it was killed" in end.log.read_text()
    assert "netpath_bond_far" not in end.box.tables()
    assert "forward-far.json" not in files(end)
    return lambda: (end.stop(), None)[1]


@pytest.mark.parametrize("by", [by_stop, by_another_bond])
def test_a_killed_bond_whose_section_is_gone(
    ends: tuple[End, End], by: Callable[[End], Callable[[], None] | None]
) -> None:
    """And nothing of others: a table that is like ours but for its mark stays, and so does its counter."""
    _, far = ends
    far.box.nft("table inet netpath_bond_other {\nchain clients {\ncounter\n}\n}\n")
    before = machine(far)
    serve(far)
    kill(far)
    far.config.write_text("")
    end = by(far)
    if end is not None:
        end()
    gone(far, before)


def test_a_living_bond_is_left_alone_and_goes_on_forwarding(ends: tuple[End, End]) -> None:
    """The killed one had switched forwarding on, the living one needs it: it stays on until that ends."""
    _, far = ends
    before = machine(far)
    serve(far)
    second = End(far.box, far.place / "more")
    second.place, second.log = far.place, far.place / "log"
    serve(second, SERVER + SECOND, "second")
    kill(far)
    living = far.box.run("nft", "list", "table", "inet", "netpath_bond_second")
    assert netpath(far, "bond", "clean").split()[-1] == "far"
    assert far.box.run("nft", "list", "table", "inet", "netpath_bond_second") == living
    assert "netpath_bond_far" not in far.box.tables()
    assert forwarding(far) == "1"
    assert second.status("second")["running"]
    assert {name for name in files(far) if "far" in name} == set()
    assert "no killed bond" in far.bond("clean")
    assert second.stop() == 0
    gone(far, before, "tun-two")


def test_a_bond_that_is_started_while_its_remains_are_removed_is_not_refused(ends: tuple[End, End]) -> None:
    _, far = ends
    serve(far)
    for _ in range(3):
        kill(far)
        with subprocess.Popen(far.argv("clean"), env=far.environment(), stdout=subprocess.DEVNULL) as clearing:
            far.start("server", "far")
            far.wait(lambda: far.status("far").get("running"), "it to answer")
            assert clearing.wait(20) == 0
        far.wait(lambda: "netpath_bond_far" in far.box.tables() and forwarding(far) == "1", "its table")
    assert far.stop() == 0


def test_what_cannot_be_removed_stays_written_down(ends: tuple[End, End]) -> None:
    """/proc/sys is only read where it is cleaned: the sysctls wait for the next time."""
    _, far = ends
    before = machine(far)
    serve(far)
    kill(far)
    script = 'mount -o bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    argv = ["unshare", "--mount", "--", "sh", "-c", script, "sh", *far.argv("clean")]
    done = subprocess.run(argv, env=far.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "sysctls could not be put back" in done.stderr) == (1, True), done.stderr
    assert re.search(r"Traceback", done.stderr) is None
    assert {"netpath-bond-far.lock", "forward-far.json"} <= files(far)
    assert "had left: far" in far.bond("clean")
    gone(far, before)
    assert files(far) == set()


def test_the_units_clean_up_behind_a_killed_process() -> None:
    """systemd runs it however the service ended, and before it starts it again."""
    for role in ("client", "server"):
        text = (Path(__file__).parents[2] / f"examples/netpath-bond-{role}.service").read_text()
        assert "\nExecStopPost=/usr/local/sbin/netpath bond clean\n" in text
