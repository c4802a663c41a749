# SPDX-License-Identifier: GPL-2.0-or-later
"""Every shell script that goes on a router, under busybox's ash where there is one; and what it does step by step, with
stand-ins for OpenWrt's own functions and programs. tests/openwrt has the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.conftest import ROOT
from tests.packages.ipk import Ipk

SCRIPTS = [
    path
    for path in [
        *ROOT.glob("files/**/*"),
        *ROOT.glob("files-monitor/**/*"),
        *ROOT.glob("files-bond/**/*"),
        *ROOT.glob("packages/*/test.sh"),
        *ROOT.glob("tests/openwrt/*.sh"),
    ]
    if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")
]
ASH = ["busybox", "ash"] if shutil.which("busybox") else ["sh"]
INIT = ROOT / "files/etc/init.d/netpath"
HOTPLUG = ROOT / "files/etc/hotplug.d/iface/25-netpath"
STAND_INS = """
logger() { echo "log: $*"; }
config_load() { :; }
config_get_bool() { eval "$1=$UCI_ENABLED"; }
procd_open_instance() { echo "open $1"; }
procd_set_param() { echo "set $*"; }
procd_close_instance() { echo close; }
procd_add_reload_trigger() { echo "triggers $*"; }
procd_running() { return 1; }
running() { [ -n "$RUNNING" ]; }
start() { echo start; }
sleep() { echo "sleep $1"; }
. "$INIT"
PROG=$PROG_STAND_IN
"$@"
"""


def test_there_are_scripts_to_look_at() -> None:
    names = {path.name for path in SCRIPTS}
    assert {"netpath", "25-netpath", "90-netpath", "netpath.user", "test.sh"} <= names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_scripts_are_what_ash_understands(path: Path) -> None:
    subprocess.run([*ASH, "-n", str(path)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck here")
    # busybox's ash has `local`, and `set -o pipefail`, as dash has not
    done = subprocess.run(
        ["shellcheck", "-s", "dash", "-e", "SC3043", path], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["netpath", "netpath-monitor", "netpath-bond", "luci-app-netpath"])
def test_maintainer_scripts_are_what_ash_understands(packages: dict[str, Ipk], name: str, tmp_path: Path) -> None:
    for script, text in packages[name].scripts.items():
        if script == "conffiles":
            continue
        file = tmp_path / script
        file.write_text(text)
        subprocess.run([*ASH, "-n", str(file)], check=True)


@pytest.mark.parametrize("package", ["netpath", "netpath-monitor", "netpath-bond"])
@pytest.mark.parametrize("name", ["postinst-pkg", "postrm"])
def test_maintainer_scripts_touch_nothing_while_an_image_is_built(
    packages: dict[str, Ipk], package: str, name: str, tmp_path: Path
) -> None:
    script = tmp_path / name
    script.write_text(packages[package].scripts[name])
    env = {"IPKG_INSTROOT": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([*ASH, "-x", str(script)], env=env, capture_output=True, text=True, check=True)
    assert "/etc/init.d" not in done.stderr


def init(tmp_path: Path, function: str, *, code: int = 0, **environment: str) -> tuple[int, list[str]]:
    """Exit code of a function of the init script, and what it and its stand-ins said. `code`: of the program."""
    program = tmp_path / "netpath"
    program.write_text(f'#!/bin/sh\necho "netpath $*"\nexit {code}\n')
    program.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "INIT": str(INIT), "PROG_STAND_IN": str(program), "UCI_ENABLED": "1"}
    argv = [*ASH, "-c", STAND_INS, "init", function]
    done = subprocess.run(argv, env=env | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_switched_off_there_is_no_instance(tmp_path: Path) -> None:
    code, said = init(tmp_path, "start_service", UCI_ENABLED="0")
    assert code == 0
    assert not [line for line in said if line.startswith("open")]
    assert init(tmp_path, "start_service")[1][0] == "open tracker"


def test_the_tracker_is_never_given_up_and_ends_in_time(tmp_path: Path) -> None:
    said = init(tmp_path, "start_service")[1]
    assert "set respawn 3600 5 0" in said
    assert "set term_timeout 30" in said
    assert "set reload_signal HUP" in said


def test_a_reload_before_the_tracker_listens_is_tried_again(tmp_path: Path) -> None:
    code, said = init(tmp_path, "reload_service", code=3, RUNNING="1")
    assert code == 3
    assert said == ["netpath reload", "sleep 1"] * 15 + ["netpath reload"]


@pytest.mark.parametrize("code", [0, 1])
def test_a_reload_says_how_it_went(tmp_path: Path, code: int) -> None:
    assert init(tmp_path, "reload_service", code=code, RUNNING="1") == (code, ["netpath reload"])


def test_a_reload_starts_what_was_switched_on_and_ends_what_was_switched_off(tmp_path: Path) -> None:
    assert init(tmp_path, "reload_service")[1] == ["start"]
    assert init(tmp_path, "reload_service", RUNNING="1", UCI_ENABLED="0")[1] == ["start"]


def test_only_an_upgrade_keeps_what_stands(tmp_path: Path) -> None:
    assert init(tmp_path, "stop_service", RUNNING="1")[1] == ["netpath stop"]
    assert init(tmp_path, "stop_service")[1] == ["netpath stop"]
    assert init(tmp_path, "stop_service", RUNNING="1", PKG_UPGRADE="1")[1] == ["netpath stop --keep"]
    assert init(tmp_path, "stop_service", PKG_UPGRADE="1")[1] == []
    assert init(tmp_path, "restart", RUNNING="1")[1] == ["netpath stop --keep", "start"]


def test_hotplug_leaves_everybody_alone_when_no_tracker_runs(tmp_path: Path) -> None:
    for name, says in {"ubus": "echo '{}'", "jsonfilter": "cat >/dev/null"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ACTION": "ifup"}
    done = subprocess.run([*ASH, str(HOTPLUG)], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
