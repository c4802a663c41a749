# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages need what they say they need of OpenWrt's split Python: no less, and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from netpath.lab import SERVERS, Lab
from netpath.lab.namespace import wait_until
from tests.packages.ipk import Ipk
from tests.packages.openwrt_split import SPLIT

HERE = Path(__file__).parent
INTERPRETER = str(Path(sys.executable).resolve())
"""Not that of the virtual environment: nothing but the standard library and what is unpacked."""
EVERYTHING = """
import sitecustomize  # by name, as -S keeps out what other packages load at each start
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
for path in sorted(root.rglob("*.py")):
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(sum(name.startswith("netpath") for name in sys.modules))
"""


@pytest.fixture
def library(installed: Path, tmp_path: Path) -> Path:
    """A directory whose sitecustomize hides the packages in WITHOUT."""
    shutil.copy(HERE / "openwrt_split.py", tmp_path / "sitecustomize.py")
    return tmp_path


def environment(library: Path, installed: Path, without: Iterable[str]) -> dict[str, str]:
    places = [str(library), str(installed / "usr/lib/netpath")]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(places), "WITHOUT": " ".join(without)}


def declared(packages: dict[str, Ipk]) -> set[str]:
    needed = packages["netpath"].depends | packages["python3-nftables"].depends
    return {name for name in needed if name.startswith("python3-")}


def import_everything(library: Path, installed: Path, without: Iterable[str]) -> subprocess.CompletedProcess[str]:
    argv = [INTERPRETER, "-S", "-P", "-c", EVERYTHING, str(installed / "usr/lib/netpath")]
    env = environment(library, installed, without)
    return subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False)


def test_what_is_declared_suffices_to_import_everything(
    packages: dict[str, Ipk], installed: Path, library: Path
) -> None:
    done = import_everything(library, installed, SPLIT.keys() - declared(packages))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 80


@pytest.mark.parametrize("package", ["python3-asyncio", "python3-ctypes", "python3-logging", "python3-urllib"])
def test_what_is_declared_is_needed(packages: dict[str, Ipk], installed: Path, library: Path, package: str) -> None:
    assert package in declared(packages)
    if package == "python3-urllib" and sys.version_info >= (3, 12):
        pytest.skip("pathlib needs urllib in Python 3.11 only, and the package is for that too")
    done = import_everything(library, installed, [package])
    assert "not in the packages that are installed" in done.stderr


def test_nothing_else_is_declared(packages: dict[str, Ipk]) -> None:
    tested = {"python3-asyncio", "python3-ctypes", "python3-logging", "python3-urllib"}
    assert declared(packages) == tested | {"python3-light", "python3-nftables"}


def test_without_the_monitors_package_its_command_says_what_to_install(
    packages: dict[str, Ipk], installed: Path, library: Path
) -> None:
    env = environment(library, installed, SPLIT.keys() - declared(packages))
    env |= {"NETPATH_CONFIG": str(library / "none"), "NETPATH_MONITOR_SOCKET": str(library / "none.sock")}
    for arguments in (["monitor"], ["monitor", "status"]):
        argv = [INTERPRETER, "-S", "-P", "-m", "netpath", *arguments]
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "opkg install netpath-monitor" in done.stderr


def test_without_the_bonds_package_its_command_says_what_to_install(
    packages: dict[str, Ipk], installed: Path, library: Path
) -> None:
    env = environment(library, installed, SPLIT.keys() - declared(packages))
    env |= {"NETPATH_CONFIG": str(library / "none"), "NETPATH_SOCKET": str(library / "none.sock")}
    for arguments in (["client"], ["server", "far"], ["status"], ["invite", "cabin"], ["pubkey"]):
        argv = [INTERPRETER, "-S", "-P", "-m", "netpath", "bond", *arguments]
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False, input="")
        assert done.returncode == 1, arguments
        assert "opkg install netpath-bond" in done.stderr
    keys = [INTERPRETER, "-S", "-P", "-m", "netpath", "bond", "genkey"]
    assert len(subprocess.run(keys, env=env, cwd="/", capture_output=True, text=True, check=True).stdout) == 45
    assert {"netpath", "python3-cryptography", "kmod-tun"} <= packages["netpath-bond"].depends


def test_the_monitors_package_brings_prometheus_client(packages: dict[str, Ipk], tmp_path: Path) -> None:
    for name in ("netpath", "netpath-monitor", "python3-prometheus-client"):
        packages[name].unpack(tmp_path)
    assert {"netpath", "python3-prometheus-client"} <= packages["netpath-monitor"].depends
    code = "import netpath.monitor.main, prometheus_client.openmetrics.exposition as e; print(e.__file__)"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "usr/lib/netpath")}
    done = subprocess.run([INTERPRETER, "-S", "-P", "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(tmp_path)), done.stderr


@pytest.mark.lab
def test_what_is_declared_suffices_to_run(packages: dict[str, Ipk], installed: Path, library: Path) -> None:
    """Every method of tracking, failover, and the commands, with nothing but what is unpacked."""
    env = environment(library, installed, SPLIT.keys() - declared(packages))
    program = [INTERPRETER, "-P", "-s", "-m", "netpath"]
    server = SERVERS["ipv4"][0]
    with Lab(["ping", "dns", "web", "tcp", "arp", "tls"]) as lab:
        lab.start_dns()
        choices: dict[str, dict[str, str | int | list[str]]] = {
            "dns": {"track_method": "dns", "dns_query": "lab.example"},
            "web": {"track_method": "httping", "track_targets": [f"http://{server}/"]},
            "tcp": {"track_method": "tcp", "tcp_port": 7},
            "arp": {"track_method": "arping", "track_targets": [lab.uplink("arp").gateways4[0]]},
            "tls": {"track_method": "httping", "track_targets": [f"https://{server}/"], "initial_state": "offline"},
        }
        lab.config_file.write_text(lab.config(mode="failover", per_interface=choices))
        names = {"CONFIG": lab.config_file, "SOCKET": lab.socket, "STATE_DIR": lab.state_dir}
        env |= {f"NETPATH_{name}": str(path) for name, path in names.items()}
        arguments = [f"{name}={value}" for name, value in env.items()]
        tracker = lab.router.popen(["env", "-i", *arguments, *program, "run"], name="netpath")
        wait_until(lab.socket.exists, 20, "the tracker", tracker)
        lab.wait_status(ping="online", dns="online", web="online", tcp="online", arp="online")
        assert lab.call({"cmd": "status"})["interfaces"]["tls"]["status"] != "online", "there is no ssl here"
        assert lab.flows(20) == {"ping": 20}
        lab.cut("ping")
        lab.wait_status(ping="offline")
        assert lab.flows(20) == {"dns": 20}
        for command in (
            "version",
            "status",
            "interfaces",
            "policies",
            "rules",
            "connected",
            "check",
            "metrics",
            "diag",
        ):
            said = lab.router.run(["env", "-i", *arguments, *program, command], check=command != "diag")
            assert said, command
        lab.router.run(["env", "-i", *arguments, *program, "stop"])
        assert tracker.wait() == 0
        assert "No module" not in tracker.output()
        assert "internal error" not in tracker.output()
