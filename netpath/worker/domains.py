# SPDX-License-Identifier: GPL-2.0-or-later
"""dnsmasq's part in rules with `domain`: a file of ours in its configuration directory, a restart when it changes.

A line that dnsmasq does not understand keeps it from starting, and takes the DNS of the whole house with it. So no file
is written that the installed dnsmasq has not accepted (`dnsmasq --test`), and one that it no longer accepts is removed.
Files without our mark are left alone; the mark names the state directory, so that instances leave each other's alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netpath.config.problems import Problem
from netpath.kernel import nftdump
from netpath.model import Config
from netpath.statedir import DNSMASQ, StateDir
from netpath.steering import domains

FILE = "netpath.conf"
SHARED = Path("/etc/dnsmasq.d")
"""Read by dnsmasq as Debian and others package it."""
MAIN = Path("/etc/dnsmasq.conf")
GENERATED = Path("/var/etc")
"""OpenWrt's init script writes dnsmasq.conf.SECTION there, with the conf-dir of that instance."""
SYSTEMD = Path("/run/systemd/system")
INIT = Path("/etc/init.d/dnsmasq")
TEST_SECONDS, RESTART_SECONDS = 5.0, 20.0
MOST_RIVALS = 20
"""Complaints about one file of somebody else."""
_CONF_DIR = re.compile(r"^\s*conf-dir\s*=\s*(/[^,\s]*)", re.MULTILINE)
_NFTSET = re.compile(r"^\s*nftset\s*=\s*/(.+)/[^/\n]*$", re.MULTILINE)
_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Fault:
    """What keeps domain rules from working, and what to do about it."""

    message: str
    fix: str
    rule: str | None = None


def directories(configured: str) -> list[Path]:
    """Where our file belongs: the configured directory, or every one that this machine's dnsmasq reads."""
    if configured:
        return [Path(configured)]
    found = [Path(d) for file in _generated() for d in _CONF_DIR.findall(_read(file))]
    return list(dict.fromkeys(found)) or [d for d in (SHARED,) if d.is_dir()]


def unmade(config: Config, existing_sets: Collection[str]) -> bool:
    """Whether a load will make sets that dnsmasq has filled none of: what it has in its cache it adds to no set."""
    return not set(domains.sets(config.rules)) <= set(existing_sets)


def forget_restart(state: StateDir) -> None:
    """Before such a load: `settle` is to restart dnsmasq, even if this process dies in between. Raises OSError."""
    remembered = state.read_json(DNSMASQ)
    if remembered.get("directories"):
        state.write_json(DNSMASQ, {**remembered, "told": ""})


def settle(state: StateDir, config: Config) -> list[Fault]:
    """Bring our files, and dnsmasq, to what the rules ask for once the sets stand. What failed, in words."""
    faults = []
    lines = domains.lines(config.rules, config.globals.nft_table)
    wanted = directories(config.globals.dnsmasq_dir) if lines.text else []
    text = "\n".join([_mark(state), *lines.text, ""])
    if lines.text and (fault := refusal(state, text) or (None if wanted else _NOWHERE)):
        faults.append(fault)
        wanted, text = [], ""
    faults += _left_out(lines)
    how = config.globals.dnsmasq_restart
    told = state.read_json(DNSMASQ).get("told", _NOTHING)
    known = _known(state, config)
    if not wanted and told == _NOTHING and not any(_is_ours(d / FILE, state) for d in known):
        return faults
    try:
        _remember(state, known, told, how)
    except OSError as error:
        return [*faults, Fault(f"{state.root}: cannot save the state: {error.strerror}", "see `netpath diag`")]
    changed, standing = False, []
    for directory in known:
        try:
            if directory in wanted:
                changed |= _put(directory, text, state)
                standing.append(directory)
            else:
                changed |= _take(directory, state)
        except (OSError, ForeignFileError) as error:
            faults.append(Fault(f"{directory / FILE} cannot be written: {error}", _FOREIGN_FIX))
    # With the table its sets are lost, and what dnsmasq has in its cache it adds to no set.
    table = nftdump.table_handle(config.globals.nft_table)
    new = hashlib.sha256("".join(map(str, [text, table, *standing])).encode()).hexdigest() if standing else _NOTHING
    if changed or told != new:
        fault = restart(how)
        faults += [fault] if fault else []
        with suppress(OSError):  # then dnsmasq is restarted once more at the next load
            _remember(state, standing, "" if fault else new, how)
    return faults


def remove(state: StateDir) -> str | None:
    """Remove our files, for a stop. How to restart dnsmasq then; None when there were none. Raises OSError."""
    taken = [_take(directory, state) for directory in _known(state, None)]
    return str(state.read_json(DNSMASQ).get("how", "auto")) if any(taken) else None


def restart(how: str) -> Fault | None:
    """Let dnsmasq read its configuration again: it reads `nftset` lines only when it starts. What failed, in words."""
    command = _restart_command(how)
    by_hand = Fault("dnsmasq must be restarted to see the change", "restart it, or set dnsmasq_restart")
    if command is None:
        return None if how == "none" else by_hand
    said = " ".join(command)
    try:
        done = _run(command, RESTART_SECONDS)
    except subprocess.TimeoutExpired:
        return Fault(f"`{said}` had not finished after {RESTART_SECONDS:.0f} s", "see its log")
    except OSError as error:
        return Fault(f"`{said}` cannot be run: {error.strerror}", "set dnsmasq_restart")
    return Fault(f"`{said}` failed (exit code {done.returncode})", "see its log") if done.returncode else None


def refusal(state: StateDir, text: str) -> Fault | None:
    """Why the installed dnsmasq would not take this text as configuration; None when it does. Raises OSError."""
    program = _program()
    if program is None:
        fix = "install dnsmasq with nftset (OpenWrt: dnsmasq-full), then `netpath reload`"
        return Fault("dnsmasq is not installed, so rules with domain match nothing", fix)
    try:
        if "nftset" not in _run([program, "--version"], TEST_SECONDS).stdout.split():
            fix = "install one that has it (OpenWrt: dnsmasq-full, 2.87 or newer), then `netpath reload`"
            return Fault("this dnsmasq was built without nftset, so rules with domain match nothing", fix)
        name = f"dnsmasq-test.{os.getpid()}"
        state.write_text(name, text)
        try:
            done = _run([program, "--test", f"--conf-file={state.root / name}"], TEST_SECONDS)
        finally:
            (state.root / name).unlink(missing_ok=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Fault(f"dnsmasq cannot be asked whether it takes our lines: {error}", f"run `{program} --test`")
    if done.returncode:
        why = done.stderr.strip()[:200]
        return Fault(f"dnsmasq does not take our lines ({why}), so rules with domain match nothing", "report this")
    return None


def review(state: StateDir, config: Config) -> Iterator[Fault]:
    """Everything that keeps domain rules from working, changing nothing: for `check` and `diag`. Raises OSError."""
    lines = domains.lines(config.rules, config.globals.nft_table)
    if not lines.text:
        return
    places = directories(config.globals.dnsmasq_dir)
    if fault := refusal(state, "\n".join([_mark(state), *lines.text, ""])):
        yield fault
    elif not places:
        yield _NOWHERE
    for directory in places:
        if (directory / FILE).exists() and not _is_ours(directory / FILE, state):
            yield Fault(f"{directory / FILE} is not ours and is left alone", _FOREIGN_FIX)
    yield from _left_out(lines)
    yield from _rivals(state, config, places)


class ForeignFileError(Exception):
    """A file that is in our file's place belongs to somebody else."""


_FOREIGN_FIX = f"move it out of the way (our file is called {FILE}), or set dnsmasq_dir"
_NOWHERE = Fault(
    "there is no directory that dnsmasq reads, so rules with domain match nothing",
    "set dnsmasq_dir to the conf-dir of your dnsmasq",
)


def _left_out(lines: domains.Lines) -> list[Fault]:
    fix = "join rules, or give them and the table shorter names"
    return [
        Fault(f"too many rules name {domain}: dnsmasq takes no longer line", fix, rule)
        for domain, rule in lines.left_out
    ]


def _remember(state: StateDir, places: Sequence[Path], told: str, how: str) -> None:
    """`told`: digest of what dnsmasq was last restarted with, "" when a restart is due. Raises OSError."""
    wanted = {"directories": [str(d) for d in places], "told": told, "how": how}
    if state.read_json(DNSMASQ) != wanted:
        state.write_json(DNSMASQ, wanted)


def _rivals(state: StateDir, config: Config, places: Sequence[Path]) -> Iterator[Fault]:
    """Lines of somebody else that share names with ours: an answer fills the sets of one line only."""
    ours = {domain: rule.name for rule in reversed(config.rules) for domain in rule.domains}
    files = [*_generated(), MAIN, *(f for d in places if d.is_dir() for f in sorted(d.iterdir()) if f.is_file())]
    for file in dict.fromkeys(files):
        if _is_ours(file, state):
            continue
        theirs = {name for names in _NFTSET.findall(_read(file)) for name in names.lower().split("/")}
        shared = {name: ours[d] for name in theirs for d in _upwards(name) if d in ours}
        shared |= {name: rule for domain, rule in ours.items() for name in _upwards(domain) if name in theirs}
        for name, rule in sorted(shared.items())[:MOST_RIVALS]:
            message = f"{file} has an nftset line for {name}: dnsmasq fills the sets of one line for a name"
            yield Fault(message, f"leave {name} to one of the two", rule)


def _upwards(name: str) -> list[str]:
    """a.b.c, b.c, c."""
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


def _known(state: StateDir, config: Config | None) -> list[Path]:
    """Every directory that may hold a file of ours."""
    remembered = state.read_json(DNSMASQ).get("directories")
    places = [*directories("" if config is None else config.globals.dnsmasq_dir), *directories("")]
    places += [Path(d) for d in remembered if isinstance(d, str)] if isinstance(remembered, list) else []
    return list(dict.fromkeys(places))


def _put(directory: Path, text: str, state: StateDir) -> bool:
    """Write our file in one step; False when it was right already. Raises OSError, ForeignFileError."""
    file = directory / FILE
    if file.exists() and not _is_ours(file, state):
        raise ForeignFileError("there is a file that is not ours")
    if _read(file) == text:
        return False
    temporary = directory / f".{FILE}.{os.getpid()}"  # dnsmasq reads no files that begin with a dot
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            os.fchmod(handle, 0o644)  # dnsmasq may read it as a user of its own
            stream.write(text)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _take(directory: Path, state: StateDir) -> bool:
    """Remove our file; False when there is none. Raises OSError."""
    if not _is_ours(directory / FILE, state):
        return False
    (directory / FILE).unlink()
    return True


def _mark(state: StateDir) -> str:
    return f"# Made by NetPath ({state.root}) for its rules with domain. What you change here is lost."


def _is_ours(file: Path, state: StateDir) -> bool:
    return _read(file).partition("\n")[0] == _mark(state)


def _read(file: Path) -> str:
    """A file's text; nothing where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _generated() -> list[Path]:
    """Configurations of OpenWrt's instances; those that are just being written have a number at the end."""
    return sorted(f for f in GENERATED.glob("dnsmasq.conf.*") if not f.suffix[1:].isdigit())


def _restart_command(how: str) -> list[str] | None:
    systemctl = shutil.which("systemctl")
    if how == "systemd" or (how == "auto" and SYSTEMD.is_dir() and systemctl):
        return [systemctl or "systemctl", "try-restart", "dnsmasq.service"]
    if how == "init" or (how == "auto" and os.access(INIT, os.X_OK)):
        return [str(INIT), "restart"]
    return None


def _program() -> str | None:
    return shutil.which("dnsmasq", path=os.pathsep.join(_with_system(os.environ.get("PATH", "").split(os.pathsep))))


def _with_system(path: Iterable[str]) -> list[str]:
    return [*filter(None, path), "/usr/sbin", "/sbin"]


def _run(argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Its end and what it said. Raises OSError, TimeoutExpired.

    Output goes through a file: a service that an init script starts may hold on to a pipe for ever.
    """
    import tempfile

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, "LC_ALL": "C"},
            timeout=seconds,
            check=False,
        )
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(argv, done.returncode, out.read(), err.read())


def as_problems(faults: Iterable[Fault], file: str) -> list[Problem]:
    """Faults as warnings about a configuration file."""
    return [
        Problem("warning", file, None, f"rule {f.rule}" if f.rule else None, "domain", None, f.message, f.fix)
        for f in faults
    ]
