# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that another user has put in root's way, or that tell another user what is not his."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath import paths
from netpath.cli.service import tracker_command
from netpath.config.monitor import load_monitor
from netpath.owners import make_private, weakness
from netpath.statedir import StateDir
from netpath.tracker.hooks import HookEvent, Hooks
from netpath.worker import diag
from tests.lines import Lines
from tests.security.somebody import ROOT, SECRET, SOMEBODY, drop, give, netpath, public_directory, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def public() -> Iterator[Path]:
    with public_directory() as directory:
        yield directory


@pytest.fixture
def theirs(public: Path) -> Path:
    """A directory of another user, such as /tmp/netpath that was made before us."""
    directory = public / "theirs"
    directory.mkdir(0o755)
    give(directory)
    return directory


# -- the state directory ------------------------------------------------------------------------------------------


def test_a_state_directory_of_another_user_is_refused(theirs: Path) -> None:
    with pytest.raises(PermissionError, match=f"user {SOMEBODY}"):
        StateDir(theirs).create()


def test_a_state_directory_that_others_may_write_into_is_refused_and_left_as_it_is(public: Path) -> None:
    directory = public / "open"
    directory.mkdir()
    directory.chmod(0o1777)
    with pytest.raises(PermissionError, match="chmod 700"):
        StateDir(directory).create()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o1777


def test_a_link_in_the_place_of_the_state_directory_is_refused(public: Path) -> None:
    ours = public / "ours"
    make_private(ours)
    link = public / "state"
    run(["ln", "-s", str(ours), str(link)])
    with pytest.raises(OSError, match="link"):
        StateDir(link).create()


@pytest.mark.parametrize("command", ["run", "start"])
def test_the_tracker_does_not_begin_in_one(theirs: Path, command: str) -> None:
    state = {"NETPATH_STATE_DIR": str(theirs), "NETPATH_SOCKET": str(theirs / "s"), "NETPATH_CONFIG": "/dev/null"}
    code, said = run(netpath(command), env={**state, "PYTHONPATH": str(ROOT)}).split("\n", 1)
    assert code == "1"
    assert f"cannot be used: it belongs to user {SOMEBODY}" in said
    assert list(theirs.iterdir()) == []


def test_a_link_that_waits_for_a_temporary_file_is_not_followed(public: Path) -> None:
    """A state directory that was open to others once may have such a link left in it."""
    victim = public / "victim"
    victim.write_text("precious")
    state = StateDir(public / "state")
    state.create()
    (state.root / f".ids.json.{os.getpid()}").symlink_to(victim)
    state.write_text("ids.json", "{}")
    assert victim.read_text() == "precious"
    assert not (state.root / "ids.json").is_symlink()


def test_the_copy_of_the_configuration_is_roots_alone(public: Path) -> None:
    """It has passwords in it, also where somebody has made the directory with another mode."""
    (public / "state").mkdir(0o755)
    state = StateDir(public / "state")
    state.create()
    state.keep_config(Path("netpath"), f"config monitor 'monitor'\n\toption mqtt_password '{SECRET}'\n")
    copy = state.applied_config()
    assert copy is not None
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert SECRET not in run(drop("cat", str(copy)))
    assert SECRET in run(["cat", str(copy)])


# -- the user's scripts -------------------------------------------------------------------------------------------


def fire(script: Path, directory: Path) -> list[str]:
    log = Lines()

    async def main() -> None:
        hooks = Hooks(script, directory, log)
        hooks.fire(HookEvent("disconnected", "wan", "eth1"))
        while hooks._task is not None and not hooks._task.done():
            await asyncio.wait({hooks._task})
        await hooks.close()

    asyncio.run(main())
    return log.lines


def made(path: Path, out: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {path.name} >>{out}\n")
    path.chmod(0o755)
    return path


def test_scripts_that_others_could_have_written_are_not_run(public: Path) -> None:
    out = public / "out"
    script = made(public / "netpath.user", out)
    good = made(public / "netpath.d/10-good", out)
    for number, mode in enumerate((0o757, 0o775)):
        weak = made(good.with_name(f"2{number}-weak"), out)
        os.chown(weak, 0, SOMEBODY)
        weak.chmod(mode)
    give(made(good.with_name("30-theirs"), out))
    lines = fire(script, good.parent)
    assert out.read_text().split() == ["netpath.user", "10-good"]
    assert sum("is not run: others may write" in line and "chmod go-w" in line for line in lines) == 2
    assert sum("30-theirs is not run" in line and f"belongs to user {SOMEBODY}" in line for line in lines) == 1


def test_diag_names_the_scripts_that_are_not_run(public: Path) -> None:
    where = paths.Paths(Path("/none"), Path("/none"), Path("/none"), public / "netpath.user", public / "netpath.d")
    assert list(diag._scripts(where)) == []
    made(where.user_script, public / "out")
    made(where.hooks_dir / "10-good", public / "out")
    made(where.hooks_dir / "README", public / "out").chmod(0o644)
    (well,) = diag._scripts(where)
    assert (well["status"], "netpath.user" in well["message"], "10-good" in well["message"]) == ("ok", True, True)
    assert "README" not in well["message"]
    weak = made(where.hooks_dir / "20-weak", public / "out")
    weak.chmod(0o757)
    give(made(where.hooks_dir / "30-theirs", public / "out"))
    found = [(each["status"], each["message"], each["remedy"]) for each in diag._scripts(where)]
    assert found == [
        ("error", f"{weak} is not run: others may write {weak}", f"chmod go-w {weak}"),
        (
            "error",
            f"{where.hooks_dir}/30-theirs is not run: {where.hooks_dir}/30-theirs belongs to user {SOMEBODY}",
            f"chown root {where.hooks_dir}/30-theirs",
        ),
    ]


def test_the_script_itself_is_held_to_that_too(public: Path) -> None:
    out = public / "out"
    script = made(public / "netpath.user", out)
    script.chmod(0o666)
    assert any("netpath.user is not run" in line for line in fire(script, public / "none"))
    assert not out.exists()


def test_a_directory_of_scripts_that_others_may_write_into_runs_nothing(public: Path) -> None:
    """Whoever may write there may replace root's script by another."""
    out = public / "out"
    good = made(public / "netpath.d/10-good", out)
    good.parent.chmod(0o777)
    lines = fire(public / "none", good.parent)
    assert not out.exists()
    assert any("netpath.d" in line and "chmod go-w" in line for line in lines)


def test_a_link_counts_as_what_it_leads_to(public: Path, theirs: Path) -> None:
    out = public / "out"
    give(made(theirs / "script", out))
    link = public / "netpath.user"
    link.symlink_to(theirs / "script")
    assert weakness(link) is not None
    assert any("is not run" in line for line in fire(link, public / "none"))


@pytest.mark.parametrize("open_to_others", ["of-link", "of-file"])
def test_the_directories_of_a_link_and_of_its_file_count(public: Path, open_to_others: str) -> None:
    script = made(public / "of-file/script", public / "out")
    link = public / "of-link/netpath.user"
    link.parent.mkdir()
    link.symlink_to(script)
    assert weakness(link) is None
    (public / open_to_others).chmod(0o777)
    assert open_to_others in str(weakness(link))


def test_a_file_of_ours_in_a_directory_like_tmp_is_trusted(public: Path) -> None:
    public.chmod(0o1777)
    script = made(public / "netpath.user", public / "out")
    assert weakness(script) is None


# -- .env, which says where passwords go --------------------------------------------------------------------------


def monitor(directory: Path) -> str:
    places = {f"NETPATH_{each}": str(directory / each.lower()) for each in ("CONFIG", "SOCKET", "MONITOR_SOCKET")}
    return run(netpath("monitor", "run"), env={**places, "PYTHONPATH": str(ROOT)}, cwd=directory)


def test_a_planted_dotenv_is_not_read(theirs: Path) -> None:
    """It would send the password of root's environment to an address of another user's choice."""
    (theirs / ".env").write_text("LUCI_URL=not-an-address\n")
    give(theirs / ".env")
    said = monitor(theirs)
    assert said.startswith("1\n")
    assert ".env is not read" in said
    assert f"belongs to user {SOMEBODY}" in said


def test_ones_own_dotenv_is_read(public: Path) -> None:
    (public / ".env").write_text("LUCI_URL=not-an-address\n")
    assert "LUCI_URL in .env: not an address" in monitor(public)


# -- keys ---------------------------------------------------------------------------------------------------------


def test_a_bonds_key_is_its_owners_alone_and_never_overwritten(public: Path) -> None:
    pytest.importorskip("cryptography")
    key = public / "home.key"
    environment = {"PYTHONPATH": str(ROOT), "NETPATH_CONFIG": str(public / "none")}
    assert run(netpath("bond", "genkey", "--output", str(key)), env=environment).startswith("0\n")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert before not in run(drop("cat", str(key)))
    run(netpath("bond", "genpsk", "--output", str(key)), env=environment)
    assert key.read_text() == before


def test_a_link_in_the_place_of_a_new_key_is_not_followed(public: Path) -> None:
    (public / "home.key").symlink_to(public / "elsewhere")
    environment = {"PYTHONPATH": str(ROOT), "NETPATH_CONFIG": str(public / "none")}
    assert "exists" in run(netpath("bond", "genpsk", "--output", str(public / "home.key")), env=environment)
    assert not (public / "elsewhere").exists()


# -- what is left in /tmp -----------------------------------------------------------------------------------------


def test_no_name_in_tmp_can_be_foreseen() -> None:
    """Every module that a router has: temporary files there have no name at all (`tempfile.TemporaryFile`)."""
    found = subprocess.run(
        ["grep", "-rnE", r"mktemp|NamedTemporary|mkdtemp|mkstemp|gettempdir|[\"'(]/tmp/", "netpath", "--include=*.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    elsewhere = [line for line in found if not line.startswith("netpath/lab/")]
    assert [line for line in elsewhere if "resolv.conf.auto" not in line] == []


def test_nothing_is_read_in_a_form_that_could_run_code() -> None:
    """No pickle, marshal, shelve, YAML, eval, exec or shell, in what a router has."""
    pattern = r"^\s*(import|from) (pickle|marshal|shelve|yaml)|\b(eval|exec)\(|shell=True|os\.(system|popen)\("
    found = subprocess.run(
        ["grep", "-rnE", pattern, "netpath", "files", "files-bond", "files-monitor"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    assert [line for line in found if not line.startswith("netpath/lab/")] == []


# -- the configuration, which has passwords -----------------------------------------------------------------------

PASSWORDS = [
    (
        "netpath",
        "config monitor 'monitor'\n\toption enabled 1\n\toption mqtt_host 192.0.2.1\n\toption mqtt_password x\n",
    ),
    ("netpath", "config source 's'\n\toption type clash\n\toption url 'ws://192.0.2.1/connections?token=x'\n"),
    ("c.toml", '[sources.s]\ntype = "openwrt"\nurl = "http://192.0.2.1/"\npassword = "x"\n'),
]


@pytest.mark.parametrize(("name", "text"), PASSWORDS)
def test_passwords_that_others_may_read_are_warned_of(public: Path, name: str, text: str) -> None:
    file = public / name
    file.write_text(text)
    for mode, warned in ((0o644, True), (0o600, False), (0o640, False)):
        file.chmod(mode)
        fixes = [problem.fix for problem in load_monitor(file).problems]
        assert (f"chmod 600 {file}" in fixes) is warned, (mode, fixes)


def test_a_configuration_without_passwords_may_be_read(public: Path) -> None:
    file = public / "netpath"
    file.write_text("config monitor 'monitor'\n\toption enabled 1\n\toption mqtt_host 192.0.2.1\n")
    assert load_monitor(file).problems == ()


# -- Python's own search path -------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["version"], ["bond", "genkey"], ["check", "/dev/null"]])
def test_nothing_of_the_current_directory_is_imported(theirs: Path, words: list[str]) -> None:
    """As a detached tracker, its workers and OpenWrt's /usr/bin/netpath start Python."""
    for module in ("json", "argparse", "base64", "netpath"):
        (theirs / f"{module}.py").write_text(f"open({str(theirs / 'ran')!r}, 'w').close()\n")
    argv = tracker_command()
    assert argv[-2:] == ["run", "--syslog"]
    run([*argv[:-2], *words], env={"PYTHONPATH": str(ROOT), "NETPATH_SOCKET": str(theirs / "s")}, cwd=theirs)
    assert not (theirs / "ran").exists()
    for file in ("netpath/tracker/workers.py", "files/usr/bin/netpath"):
        assert re.search(r'"-P"| -P ', (ROOT / file).read_text()), file
