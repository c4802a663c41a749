# SPDX-License-Identifier: GPL-2.0-or-later
"""A full disk and clocks that jump, real ones: a file system without a free page, time namespaces, CLOCK_REALTIME."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bond.clocked import set_ahead
from tests.bond.test_bond_command import SERVER, End, connect, ends, forwarding
from tests.kernel.nsbox import run

__all__ = ["ends"]


class Small(End):
    """An end whose sockets, locks and state are on a file system of a few pages."""

    def __init__(self, end: End) -> None:
        self.box, self.place, self.config, self.log, self.process = end.box, end.place, end.config, end.log, None
        self.disk = end.place / "disk"
        self.disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=64k", "none", str(self.disk))
        self.ballast = self.disk / "ballast"

    def environment(self) -> dict[str, str]:
        places = {"NETPATH_SOCKET": str(self.disk / "s"), "NETPATH_STATE_DIR": str(self.disk / "d")}
        return {**super().environment(), **places}

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self.ballast.unlink()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        run("umount", str(self.disk))


@pytest.fixture
def small(ends: tuple[End, End]) -> Iterator[tuple[End, Small]]:
    """A client as usual, and a server whose disk is small."""
    far = Small(ends[1])
    try:
        yield ends[0], far
    finally:
        far.close()


def ping(home: End) -> None:
    home.box.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "10.99.0.1")


def problem(end: End, words: str) -> None:
    end.wait(lambda: words in (end.status("far")["problem"] or ""), f"the problem {words!r}")


def test_a_disk_that_is_full_when_a_server_starts(small: tuple[End, Small]) -> None:
    home, far = small
    far.fill()
    connect(home, far)
    ping(home)
    assert forwarding(far) == "1"
    assert "netpath_bond_far" in far.box.tables()
    problem(far, "could not be written: No space left on device")
    # Each further attempt fails alike, and says nothing new.
    far.box.run("nft", "flush", "ruleset")
    far.wait(lambda: "netpath_bond_far" in far.box.tables(), "its table again")
    assert far.log.read_text().count("could not be written") == 1
    assert far.status("far")["problem"].count("could not be written") == 1
    far.free()
    far.wait(lambda: far.status("far")["problem"] is None, "it to be well again")
    assert "over: " in far.log.read_text()
    # What was to be written is there now: also a kill leaves nothing for good.
    assert far.process is not None
    far.process.kill()
    far.process.wait()
    assert "had left: far" in far.bond("clean")
    assert (far.box.tables(), forwarding(far)) == ("", "0")


def test_a_disk_that_fills_while_a_bond_runs_and_is_reloaded(small: tuple[End, Small]) -> None:
    home, far = small
    connect(home, far)
    far.fill()
    before = far.status("far")["peers"][0]["since"]
    far.config.write_text(far.config.read_text() + "\tlist networks '10.77.0.0/24'\n")
    assert far.process is not None
    far.process.send_signal(signal.SIGHUP)
    far.wait(lambda: "10.77.0.0/24" in far.box.ip("route"), "the reload")
    far.box.run("nft", "flush", "ruleset")
    far.wait(lambda: "netpath_bond_far" in far.box.tables(), "its table again")
    ping(home)
    assert far.status("far")["peers"][0]["since"] == pytest.approx(before, abs=0.5)
    assert "Traceback" not in far.log.read_text()
    assert far.log.read_text().count("No space left") <= 1
    # Its end needs no room.
    assert far.stop() == 0
    assert (far.box.tables(), forwarding(far)) == ("", "0")
    assert {path.name for path in far.disk.rglob("*") if not path.is_dir()} == {"ballast", "forward.lock"}


def test_a_disk_without_a_free_file_is_told(small: tuple[End, Small]) -> None:
    """Not even a lock can be made: one line, and an exit code."""
    _, far = small
    far.config.write_text(SERVER)
    far.bond("genkey", "far")
    run("mount", "-o", "remount,nr_inodes=2", str(far.disk))
    far.ballast.touch()
    far.start("server")
    assert far.process is not None
    code = far.process.wait(20)
    log = far.log.read_text()
    assert (code, log.count("No space left on device"), "Traceback" in log) == (1, 1, False), log
    assert far.box.tables() == ""


WRAP = 2**32 / 1e6
"""Seconds after which the clock in heartbeats begins anew (docs/bond-protocol.md)."""


class Clocked(End):
    """An end with clocks of its own."""

    def __init__(self, end: End, monotonic: int = 0) -> None:
        self.box, self.place, self.config, self.log, self.process = end.box, end.place, end.config, end.log, None
        self.monotonic = monotonic
        self.clock = end.place / "clock"
        self._ahead = 0.0
        self.jump(0.0)

    def jump(self, ahead: float) -> None:
        """To so many seconds ahead of the machine's."""
        set_ahead(self.clock, self._ahead, ahead)
        self._ahead = ahead

    def follows(self) -> None:
        """Its status has the new time."""
        self.wait(lambda: abs(self.status("far")["time"] - time.time() - self._ahead) < 0.3, "the jump")

    def start(self, *words: str) -> None:
        argv = self.argv(*words)
        at = argv.index("netpath")
        argv[at : at + 1] = ["tests.bond.clocked", str(self.clock), str(self.monotonic)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=self.environment(), stderr=log)


@pytest.fixture
def clocked(ends: tuple[End, End]) -> Iterator[tuple[Clocked, Clocked]]:
    both = Clocked(ends[0]), Clocked(ends[1])
    try:
        yield both
    finally:
        for end in both:
            end.kill()


def pinging(home: End, count: int) -> subprocess.Popen[str]:
    argv = ["nsenter", f"--net=/run/netns/{home.box.name}", "ping", "-q", "-i", "0.02", "-c", str(count), "10.99.0.1"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def unharmed(home: End, far: End, traffic: subprocess.Popen[str]) -> None:
    """Not a packet was lost, no path went, and what was measured is what there is."""
    told = traffic.communicate(timeout=60)[0]
    assert re.search(r"\b0% packet loss", told), told
    for end in (home, far):
        reply = end.status("far")
        paths = reply["peers"][0]["paths"]
        assert [path["state"] for path in paths] == ["up", "up"]
        assert all(0 <= path["rtt"] < 1000 and path["loss_in"] == path["loss_out"] == 0 for path in paths), paths
        assert reply["problem"] is None
        log = end.log.read_text()
        assert " is down" not in log, log
        assert "Traceback" not in log, log


def test_the_time_of_day_jumps(clocked: tuple[Clocked, Clocked]) -> None:
    """By days, and, as NTP does, by parts of a second: the kernel's stamps of datagrams are of that clock."""
    home, far = clocked
    connect(home, far)
    traffic = pinging(home, 400)
    jumps = (86400.0, -86400.0, 0.0, 0.9, 0.1, 0.5, 3.1e8, -1.0e9, 0.0)
    for ahead in jumps:
        for end in clocked:
            end.jump(ahead)
        for end in clocked:
            end.follows()
    unharmed(home, far, traffic)


def test_the_clocks_in_heartbeats_begin_anew_and_differ_by_years(ends: tuple[End, End]) -> None:
    """CLOCK_MONOTONIC, in time namespaces: the server's wraps while data flows, the client's is years ahead of it."""
    soon = int(WRAP - time.monotonic() % WRAP) - 12
    far = Clocked(ends[1], soon + int(3 * WRAP))
    home = Clocked(ends[0], 100_000_000)
    begun = time.monotonic()
    try:
        connect(home, far)
        assert far.process is not None
        offsets = Path(f"/proc/{far.process.pid}/timens_offsets").read_text()
        assert str(far.monotonic) in offsets.split("boottime")[0], offsets
        assert (begun + far.monotonic) // WRAP == (time.monotonic() + far.monotonic) // WRAP, "not yet"
        left = WRAP - (time.monotonic() + far.monotonic) % WRAP
        traffic = pinging(home, int((left + 2) / 0.02))
        unharmed(home, far, traffic)
        assert (begun + far.monotonic) // WRAP + 1 == (time.monotonic() + far.monotonic) // WRAP, "it has begun anew"
    finally:
        for end in (home, far):
            if end.process is not None and end.process.poll() is None:
                end.process.kill()
                end.process.wait()
