# SPDX-License-Identifier: GPL-2.0-or-later
"""The systemd units: what they take away is really not needed, and what is left is little."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netpath.lab import Lab
from netpath.lab.namespace import wait_until
from netpath.lab.world import PACKAGE_ROOT
from tests.security.sandbox import Unit, syscalls

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")

EXPOSURE = {"netpath": 7.0, "netpath-monitor": 3.0, "netpath-bond-client": 3.0, "netpath-bond-server": 3.0}
"""By systemd's own scale, from 0 to 10; a service without any restriction has 9.6."""
TRACKER_NEEDS = {"CAP_NET_ADMIN", "CAP_NET_RAW"}


@pytest.mark.parametrize(("name", "most"), EXPOSURE.items())
def test_units_leave_little_open(name: str, most: float) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(Unit(name).path)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", shown.stdout)
    assert level is not None, shown.stderr
    assert float(level[1]) <= most


@pytest.mark.parametrize("name", EXPOSURE)
def test_no_unit_leaves_a_core_with_passwords_behind(name: str) -> None:
    assert Unit(name).values("LimitCORE") == ["0"]


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.lab
def test_the_tracker_does_all_its_work_with_two_capabilities() -> None:
    """Less than its unit leaves it, as what is beyond that is for scripts: routes, rules, sysctls, nftables, conntrack,
    probes, workers and the end of it all."""
    with Lab(2) as lab:
        unit = Unit("netpath")
        assert set(unit.values("CapabilityBoundingSet")) >= TRACKER_NEEDS
        unit.text = re.sub(r"^CapabilityBoundingSet=.*$", "", unit.text, flags=re.MULTILINE)
        unit.text += f"CapabilityBoundingSet={' '.join(TRACKER_NEEDS)}\nNoNewPrivileges=yes\n"
        script = lab.directory / "user"
        script.write_text(f"cat /proc/self/status >{lab.directory}/script; touch /usr/netpath-was-here\n")
        program = unit.argv([sys.executable, "-m", "netpath", "run"], lab.directory)
        process = lab.start_netpath(lab.config(mode="failover"), program=program, NETPATH_USER_SCRIPT=str(script))
        lab.wait_status(wan="online", wan2="online")
        assert int(status(process.pid)["CapEff"], 16) == 1 << 12 | 1 << 13  # linux/capability.h
        assert lab.flows(5) == {"wan": 5}
        lab.cut("wan")
        lab.wait_status(wan="offline")
        assert lab.flows(5) == {"wan2": 5}
        assert "error" not in lab.call({"cmd": "check"})
        assert lab.call({"cmd": "explain", "src": "192.0.2.7", "dst": "203.0.113.201"})["uplink"] == "wan2"
        assert lab.call({"cmd": "reload"})["result"] == "ok"
        wait_until((lab.directory / "script").exists, 10, "the script")
        assert not Path("/usr/netpath-was-here").exists()
        lab.call({"cmd": "stop"})
        assert process.wait(20) == 0
        assert "inet netpath" not in lab.router.run(["nft", "list", "tables"])
        assert "6103" not in lab.router.run(["ip", "rule"])


@pytest.mark.lab
def test_the_monitor_does_its_work_under_all_that_its_unit_takes_away() -> None:
    """Without capabilities but two, on a file system that is only read, with systemd's list of system calls."""
    with Lab(2) as lab:
        own = "config monitor 'monitor'\n\toption enabled 1\n\tlist listen_address 127.0.0.1\n"
        lab.start_netpath(lab.config(mode="failover") + "\n" + own)
        lab.wait_status(wan="online", wan2="online")
        program = Unit("netpath-monitor").argv([sys.executable, "-m", "netpath", "monitor", "run"], lab.directory)
        places = {"CONFIG": lab.config_file, "SOCKET": lab.socket, "STATE_DIR": lab.state_dir}
        environment = {f"NETPATH_{name}": str(path) for name, path in places.items()}
        environment |= {"PYTHONPATH": str(PACKAGE_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        process = lab.router.popen(program, name="monitor", env=environment)
        asked = lab.directory / "netpath-monitor.sock"
        process.wait_for("ready")

        def healthy() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(asked))
                client.sendall(b'{"cmd":"monitor"}\n')
                with client.makefile("rb") as stream:
                    reply = json.loads(stream.readline())
            parts = [*reply["sources"], reply["server"], reply["metrics"]]
            return all(part["status"] in ("healthy", "idle") for part in parts) and bool(reply["sources"])

        wait_until(healthy, 20, "all parts to be well", process)
        found = status(process.pid)
        assert int(found["CapEff"], 16) == 1 << 10 | 1 << 12
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
        text = lab.router.run(["curl", "-s", "--max-time", "10", "http://127.0.0.1:9919/metrics"])
        assert "netpath_" in text
        process.stop()
        assert "rror" not in process.output(), process.output()


def test_the_test_bed_takes_away_what_the_unit_says(tmp_path: Path) -> None:
    """Else the two above would show nothing."""
    unit = Unit("netpath-monitor")
    script = f"touch /etc/x; touch {tmp_path}/y && echo written; chroot / true; grep -c . /proc/self/status >/dev/null"
    done = subprocess.run(unit.argv(["/bin/sh", "-c", script], tmp_path), capture_output=True, text=True, check=False)
    assert done.stdout == "written\n"
    assert "/etc/x" in done.stderr
    assert "Read-only" in done.stderr
    assert "chroot" in done.stderr
    assert "reboot" not in set().union(*map(syscalls, unit.values("SystemCallFilter")))
