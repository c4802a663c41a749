# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the file for dnsmasq goes, whose it is, and what else is said of rules with domains."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from netpath.config import loads
from netpath.model import Config
from netpath.statedir import StateDir
from netpath.steering.domains import sets as wanted_sets
from netpath.worker import domains

RULES = "config rule r\n\toption policy default\n\tlist domain a.b.example\n\tlist domain c.example\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without dnsmasq's files; its dnsmasq takes every line, and each restart is noted in `restarts`."""
    for name in ("SHARED", "MAIN", "GENERATED", "SYSTEMD", "INIT"):
        monkeypatch.setattr(domains, name, tmp_path / name.lower())
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "dnsmasq", "echo nftset")
    _program(tmp_path / "init", f"echo init $* >> {tmp_path}/restarts")
    _program(programs / "systemctl", f"echo systemctl $* >> {tmp_path}/restarts")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _state(machine: Path, name: str = "state") -> StateDir:
    state = StateDir(machine / name)
    state.create()
    return state


def _config(text: str = RULES, **globals_: str) -> Config:
    options = "".join(f"\toption {k} '{v}'\n" for k, v in globals_.items())
    config = loads(f"config globals\n{options}{text}").config
    assert config is not None
    return config


def _restarts(machine: Path) -> list[str]:
    file = machine / "restarts"
    return file.read_text().splitlines() if file.exists() else []


def test_openwrts_instances_are_found_by_what_its_init_script_wrote(machine: Path) -> None:
    """24.10 and newer have a directory an instance, older releases one for all."""
    (machine / "generated").mkdir()
    for name, text in {
        "dnsmasq.conf.cfg01411c": "# auto-generated\nconf-dir=/tmp/dnsmasq.cfg01411c.d\nuser=dnsmasq\n",
        "dnsmasq.conf.guest": "conf-dir=/tmp/guest.d,*.conf\n",
        "dnsmasq.conf.cfg01411c.4711": "conf-dir=/tmp/half-written\n",
    }.items():
        (machine / "generated" / name).write_text(text)
    found = [Path("/tmp/dnsmasq.cfg01411c.d"), Path("/tmp/guest.d")]
    assert domains.directories("") == found
    assert domains.directories("/etc/mine.d") == [Path("/etc/mine.d")]


def test_elsewhere_the_usual_directory_is_taken_if_it_is_there(machine: Path) -> None:
    assert domains.directories("") == []
    (fault,) = domains.settle(_state(machine), _config())
    assert "no directory" in fault.message
    (machine / "shared").mkdir()
    assert domains.settle(_state(machine), _config()) == []
    file = machine / "shared" / "netpath.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [f.name for f in (machine / "shared").iterdir()] == ["netpath.conf"]
    assert _restarts(machine) == ["init restart"]


def test_nothing_is_touched_without_such_rules(machine: Path) -> None:
    (machine / "shared").mkdir()
    assert domains.settle(_state(machine), _config("")) == []
    assert list((machine / "shared").iterdir()) == []
    assert _restarts(machine) == []


@pytest.mark.parametrize(
    ("how", "systemd", "said"),
    [
        ("auto", False, ["init restart"]),
        ("auto", True, ["systemctl try-restart dnsmasq.service"]),
        ("init", True, ["init restart"]),
        ("systemd", False, ["systemctl try-restart dnsmasq.service"]),
        ("none", True, []),
    ],
)
def test_ways_to_restart(machine: Path, how: str, systemd: bool, said: list[str]) -> None:
    (machine / "shared").mkdir()
    if systemd:
        (machine / "systemd").mkdir()
    assert domains.settle(_state(machine), _config(dnsmasq_restart=how)) == []
    assert domains.settle(_state(machine), _config(dnsmasq_restart=how)) == []
    assert _restarts(machine) == said


def test_a_restart_that_failed_is_said_and_tried_again(machine: Path) -> None:
    (machine / "shared").mkdir()
    state = _state(machine)
    _program(machine / "init", "exit 3")
    (fault,) = domains.settle(state, _config())
    assert "exit code 3" in fault.message
    _program(machine / "init", f"echo again >> {machine}/restarts")
    assert domains.settle(state, _config()) == []
    assert _restarts(machine) == ["again"]


def test_new_sets_make_it_forget_its_cache(machine: Path) -> None:
    (machine / "shared").mkdir()
    state, config = _state(machine), _config()
    assert domains.unmade(config, [])
    domains.forget_restart(state)
    domains.settle(state, config)
    assert len(_restarts(machine)) == 1
    sets = wanted_sets(config.rules)
    assert not domains.unmade(config, sets)
    assert domains.unmade(config, sets[1:])
    domains.forget_restart(state)
    domains.settle(state, config)
    assert len(_restarts(machine)) == 2


def test_instances_leave_each_others_file_alone(machine: Path) -> None:
    (machine / "shared").mkdir()
    file = machine / "shared" / "netpath.conf"
    domains.settle(_state(machine), _config())
    text = file.read_text()
    other = _state(machine, "other")
    (fault,) = domains.settle(other, _config())
    assert "not ours" in fault.message
    assert f"{file} is not ours and is left alone" in [f.message for f in domains.review(other, _config())]
    assert domains.settle(other, _config("")) == []
    assert domains.remove(other) is None
    assert file.read_text() == text
    assert domains.remove(_state(machine)) == "auto"
    assert not file.exists()


def test_the_old_place_is_cleaned_when_the_directory_changes(machine: Path) -> None:
    for name in ("one", "two"):
        (machine / name).mkdir()
    state = _state(machine)
    domains.settle(state, _config(dnsmasq_dir=str(machine / "one")))
    domains.settle(state, _config(dnsmasq_dir=str(machine / "two"), dnsmasq_restart="systemd"))
    assert not (machine / "one" / "netpath.conf").exists()
    assert (machine / "two" / "netpath.conf").exists()
    assert _restarts(machine) == ["init restart", "systemctl try-restart dnsmasq.service"]
    assert domains.remove(state) == "systemd"


def test_lines_of_others_for_the_same_names_are_named(machine: Path) -> None:
    places = machine / "shared"
    places.mkdir()
    (places / "mine.conf").write_text(
        "nftset=/b.example/x.c.example/far.example/4#inet#fw4#mine\n#nftset=/c.example/z\n"
    )
    (machine / "main").write_text("nftset=/c.example/4#inet#fw4#mine\n")
    found = [(f.message.split(":")[0], f.rule) for f in domains.review(_state(machine), _config())]
    assert found == [
        (f"{machine / 'main'} has an nftset line for c.example", "r"),
        (f"{places / 'mine.conf'} has an nftset line for b.example", "r"),
        (f"{places / 'mine.conf'} has an nftset line for x.c.example", "r"),
    ]


def test_without_dnsmasq_nothing_is_written(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "shared").mkdir()
    monkeypatch.setattr(domains, "_program", lambda: None)
    (fault,) = domains.settle(_state(machine), _config())
    assert "not installed" in fault.message
    assert list((machine / "shared").iterdir()) == []
    assert _restarts(machine) == []
