# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends of a bond under all that their systemd units take away: they come up, forward, reload, and leave nothing,
also when they are killed and only what the unit runs then cleans up."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.bond.test_bond_command import LINKS, SERVER, End, forwarding
from tests.bond.test_bond_command import ends as built
from tests.security.sandbox import Unit
from tests.security.somebody import ROOT
from tests.security.test_units import status

__all__ = ["built"]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here"),
]

NET_ADMIN, NET_RAW, BIND = 1 << 12, 1 << 13, 1 << 10  # linux/capability.h


class Sandboxed(End):
    """An end whose files are not to be written, but for the directory that stands for /run."""

    def __init__(self, end: End, role: str) -> None:
        self.unit = Unit(f"netpath-bond-{role}")
        self.keep = end.place / "run"
        self.keep.mkdir()
        self.box, self.place = end.box, end.place
        self.config, self.log, self.process = end.config, end.log, None

    def environment(self) -> dict[str, str]:
        places = {"NETPATH_SOCKET": str(self.keep / "s"), "NETPATH_STATE_DIR": str(self.keep / "d")}
        return {**super().environment(), **places, "PYTHONDONTWRITEBYTECODE": "1"}

    def sandboxed(self, *words: str) -> list[str]:
        """Like `argv`, as its unit runs it."""
        return [
            "nsenter",
            f"--net=/run/netns/{self.box.name}",
            *self.unit.argv([sys.executable, "-m", *words], self.keep),
        ]

    def start(self, *words: str) -> None:
        with self.log.open("ab") as log:
            argv = self.sandboxed("netpath", "bond", *words)
            self.process = subprocess.Popen(argv, env=self.environment(), stderr=log, cwd=ROOT)

    def after(self) -> None:
        """What the unit runs when it has ended."""
        command = self.unit.values("ExecStopPost")
        assert command[0].endswith("/netpath")
        argv = self.sandboxed("netpath", *command[1:])
        done = subprocess.run(argv, env=self.environment(), capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def ends(built: tuple[End, End]) -> Iterator[tuple[Sandboxed, Sandboxed]]:
    both = Sandboxed(built[0], "client"), Sandboxed(built[1], "server")
    try:
        yield both
    finally:
        for end in both:
            end.kill()


def role_and_rest(end: Sandboxed) -> Sequence[str]:
    """What the unit's service is."""
    return end.unit.values("ExecStart")[2:]


def test_both_ends_do_all_their_work_under_their_units(ends: tuple[Sandboxed, Sandboxed]) -> None:
    home, far = ends
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    invitation = json.loads(far.bond("invite", "cabin", "--server", "203.0.113.7", "--json"))
    whole = SERVER + invitation["server"]["uci"] + "\tlist networks '10.77.0.0/24'\n"
    client = invitation["client"]["uci"]
    home.config.write_text(client.replace("'client'\n", "'client'\n\toption masquerade '1'\n") + LINKS)
    assert [role_and_rest(end) for end in ends] == [["client", "--wait"], ["server", "--wait"]]
    far.config.write_text(SERVER)
    for end in ends:
        end.start(*role_and_rest(end))
    for end, powers in ((home, NET_ADMIN | NET_RAW), (far, NET_ADMIN | NET_RAW | BIND)):
        end.wait(lambda end=end: end.status("far").get("running"), "it to answer")  # type: ignore[misc]
        assert end.process is not None
        found = status(end.process.pid)
        assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == powers
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    # A reload lets the client in; then everything passes that the machines forward.
    far.config.write_text(whole)
    assert far.process is not None
    far.process.send_signal(signal.SIGHUP)
    home.is_up("far", 2)
    home.box.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "10.99.0.1")
    assert "10.77.0.0/24 dev tun-bond" in far.box.ip("route")
    for end in ends:
        assert "netpath_bond_far" in end.box.tables()
        end.wait(lambda end=end: end.status("far")["problem"] is None, "all to be well")  # type: ignore[misc]
    assert forwarding(far) == "1"
    # A client's reload changes its links while it runs.
    home.config.write_text(
        home.config.read_text().replace(LINKS.partition("config bond_link 'b'")[2], "\n\toption interface 'v2'\n")
    )
    assert home.process is not None
    home.process.send_signal(signal.SIGHUP)
    home.wait(lambda: [path["device"] for path in home.status("far")["peers"][0]["paths"]] == ["v1", "v2"], "new links")
    home.box.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "10.99.0.1")
    # The one ends, the other is killed.
    assert home.stop() == 0
    far.process.kill()
    far.process.wait()
    for end in ends:
        end.after()
        assert end.box.tables() == ""
        assert [path.name for path in end.keep.rglob("*") if not path.is_dir()] == ["forward.lock"]
        log = end.log.read_text()
        assert "rror" not in log, log
        assert "not permitted" not in log, log
    assert forwarding(far) == "0"


TRIES = """
import os, socket, sys
def attempt(name, action):
    try:
        action()
        print(name, "works")
    except OSError as error:
        print(name, type(error).__name__, error.errno)
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("inet6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
attempt("kmsg", lambda: open("/dev/kmsg"))
attempt("fuse", lambda: open("/dev/fuse"))
attempt("tun", lambda: open("/dev/net/tun", "r+b", buffering=0))
attempt("etc", lambda: open("/etc/x", "w"))
attempt("keep", lambda: open(sys.argv[1] + "/x", "w"))
attempt("chown", lambda: os.chown(sys.argv[1] + "/x", 1, 1))
"""


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_test_bed_takes_away_what_the_units_say(role: str) -> None:
    """Else the one above would show nothing."""
    with tempfile.TemporaryDirectory() as place:
        argv = Unit(f"netpath-bond-{role}").argv([sys.executable, "-c", TRIES, place], Path(place))
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert dict(line.split(" ", 1) for line in done.stdout.splitlines()) == {
        "packet": "OSError 97",
        "vsock": "OSError 97",
        "netlink": "works",
        "inet6": "works",
        "kmsg": "FileNotFoundError 2",
        "fuse": "FileNotFoundError 2",
        "tun": "works",
        "etc": "OSError 30",
        "keep": "works",
        "chown": "PermissionError 1",
    }, done.stderr
