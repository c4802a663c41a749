# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shell as another user of the router can and cannot do, on a running tracker and monitor."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.lab import Lab, Process
from netpath.lab.namespace import wait_until
from netpath.lab.world import PACKAGE_ROOT
from tests.security.somebody import SECRET, drop, python, run

pytestmark = pytest.mark.lab

CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"cmd":"stop"}\\n')
print(s.recv(100))
"""
MARK = "import socket; socket.socket().setsockopt(socket.SOL_SOCKET, 36, 0x100)"
BOUND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[1].encode() + b"\\0")
s.connect((sys.argv[2], 9))
print(s.getsockname()[0])
"""
TAKE = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('127.0.0.1', 17890))"
MONITOR = "config monitor 'monitor'\n\toption enabled 1\n\tlist listen_address 127.0.0.1\n"


class Site:
    """A router with everything running, and its package where everybody can read it."""

    def __init__(self, lab: Lab, tracker: Process, monitor: Process) -> None:
        self.lab, self.tracker, self.monitor = lab, tracker, monitor
        self.package = lab.directory / "package"
        shutil.copytree(
            PACKAGE_ROOT / "netpath", self.package / "netpath", ignore=shutil.ignore_patterns("lab", "__pycache__")
        )

    def as_somebody(self, *argv: str) -> str:
        """Exit code and output, on the router."""
        environment = dict(word.split("=", 1) for word in self.lab.environment)
        return run(self.lab.router.argv(drop(*argv)), env={**environment, "PYTHONPATH": str(self.package)})

    def netpath(self, *argv: str) -> str:
        return self.as_somebody(str(Path(sys.executable).resolve()), "-P", "-s", "-m", "netpath", *argv)

    @property
    def monitor_socket(self) -> Path:
        return self.lab.directory / "netpath-monitor.sock"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab(2) as lab:
        lab.directory.chmod(0o755)  # as /run, where the sockets are on a router
        tracker = lab.start_netpath(lab.config(mode="failover") + "\n" + MONITOR)
        lab.wait_status(wan="online", wan2="online")
        environment = dict(word.split("=", 1) for word in lab.environment)
        environment |= {"LUCI_PASSWORD": SECRET, "LUCI_URL": "http://192.0.2.1/"}
        argv = [sys.executable, "-m", "netpath", "monitor", "run"]
        monitor = lab.router.popen(argv, name="monitor", env=environment)
        monitor.wait_for("ready")
        yield Site(lab, tracker, monitor)


def test_sockets_are_roots(site: Site) -> None:
    for path in (site.lab.socket, site.monitor_socket):
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, 0)
        said = site.as_somebody(*python(CONNECT, str(path)))
        assert said.startswith("1\n")
        assert "Permission denied" in said
    assert site.tracker.running


@pytest.mark.parametrize(
    "words",
    ["status", "events", "diag", "explain 192.0.2.7 203.0.113.201", "reload", "stop", "ifdown wan", "use wan true",
     "restart", "start", "monitor status"],
)  # fmt: skip
def test_the_command_gives_them_nothing(site: Site, words: str) -> None:
    said = site.netpath(*words.split())
    assert not said.startswith("0\n"), said
    assert "ermi" in said, said  # permission, permitted
    assert "Traceback" not in said
    assert "198.51.100" not in said
    assert site.tracker.running
    assert site.lab.call({"cmd": "status"})["interfaces"]["wan"]["status"] == "online"


def test_a_tracker_of_their_own_changes_nothing(site: Site, tmp_path: Path) -> None:
    before = site.lab.router.run(["nft", "list", "ruleset"]), site.lab.router.run(["ip", "rule"])
    own = {f"NETPATH_{name}": f"/tmp/netpath-security-none/{name}" for name in ("SOCKET", "STATE_DIR")}
    assignments = [f"{name}={value}" for name, value in own.items()]
    argv = ["env", *assignments, str(Path(sys.executable).resolve()), "-P", "-m", "netpath", "run"]
    said = site.as_somebody("timeout", "20", *argv)
    shutil.rmtree("/tmp/netpath-security-none", ignore_errors=True)
    assert not said.startswith("0\n"), said
    assert "Traceback" not in said
    rules = site.lab.router.run(["ip", "rule"])
    assert rules == before[1]
    assert site.lab.router.run(["nft", "list", "tables"]).count("netpath") == 1


def test_the_state_directory_shows_nothing(site: Site) -> None:
    files = [site.lab.state_dir, *site.lab.state_dir.iterdir()]
    assert len(files) > 4
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert "Permission denied" in site.as_somebody("/bin/sh", "-c", f"ls {path}/ || cat {path}")


def test_passwords_are_in_no_list_of_processes(site: Site) -> None:
    assert SECRET.encode() in Path(f"/proc/{site.monitor.pid}/environ").read_bytes()
    said = site.as_somebody("/bin/sh", "-c", f"cat /proc/{site.monitor.pid}/environ /proc/{site.monitor.pid}/maps")
    assert SECRET not in said
    assert said.count("ermi") >= 1, said
    assert SECRET not in site.as_somebody("cat", f"/proc/{site.monitor.pid}/cmdline")


def test_they_cannot_set_marks_rules_or_chains(site: Site) -> None:
    assert "not permitted" in site.as_somebody(*python(MARK))
    assert "not permitted" in site.as_somebody("ip", "rule", "add", "pref", "1", "lookup", "1001")
    assert "not permitted" in site.as_somebody("nft", "list", "table", "inet", "netpath")


def test_they_cannot_join_the_group_of_an_uplink(site: Site) -> None:
    reply = site.lab.call({"cmd": "use", "interface": "wan2"})
    if "cgroup" not in reply:
        pytest.skip(f"no control groups here: {reply['error']}")
    group = Path(reply["cgroup"])
    assert (group / "cgroup.procs").exists()
    said = site.as_somebody("/bin/sh", "-c", f"echo $$ >{group}/cgroup.procs")
    assert "Permission denied" in said
    assert site.as_somebody("mkdir", f"{group}/own").startswith("1\n")


def test_they_can_choose_an_uplink_for_their_own_sockets(site: Site) -> None:
    """The kernel lets everybody bind a socket to a device: this is no border."""
    for uplink in site.lab.uplinks:
        said = site.as_somebody(*python(BOUND, uplink.name, "203.0.113.201"))
        assert said.startswith("0\n"), said
    first, second = (site.as_somebody(*python(BOUND, u.name, "203.0.113.201")) for u in site.lab.uplinks)
    assert first != second


def test_they_can_read_the_figures_for_prometheus_which_have_no_secrets(site: Site) -> None:
    text = site.as_somebody("curl", "-s", "--max-time", "10", "http://127.0.0.1:9919/metrics")
    assert "netpath_" in text
    for secret in (SECRET, "password", "token"):
        assert secret not in text


def test_they_cannot_take_the_monitors_port_while_it_runs(site: Site) -> None:
    assert "in use" in site.as_somebody(*python(TAKE))


def test_what_listens_on_the_router(site: Site) -> None:
    """The tracker nowhere but at its unix socket; the monitor where it is told, with Prometheus' on loopback."""
    wait_until(lambda: "9919" in site.lab.router.run(["ss", "-Hltn"]), 10, "the listener")
    listed = site.lab.router.run(["ss", "-Hltunp"]).splitlines()
    of = {
        pid: [line.split()[4] for line in listed if f"pid={pid}," in line]
        for pid in (site.tracker.pid, site.monitor.pid)
    }
    assert of[site.tracker.pid] == []
    assert sorted(of[site.monitor.pid]) == ["127.0.0.1:17890", "127.0.0.1:9919", "[::1]:9919"]
