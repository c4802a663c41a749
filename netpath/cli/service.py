# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker's life: `run`, `start`, `stop`, `restart`, `reload`, and interfaces by hand: `ifup`, `ifdown`."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netpath.cli.bond import cleaned
from netpath.cli.client import Client
from netpath.cli.context import Context, accepted
from netpath.cli.errors import OK, PROBLEM, CommandError, NotRunningError, RefusedError
from netpath.cli.reports import has_error, render_problems
from netpath.cli.text import clean, clean_reply, mapping, rows, show
from netpath.owners import make_private
from netpath.paths import Paths, locate

START_TIME = 60.0
"""Seconds in which a tracker has loaded everything and answers; the tracker gives its own loader no longer."""
STOP_TIME = 60.0
POLL = 0.05
"""Seconds between attempts to reach a socket that does not exist yet."""
SERVICE_POLL = 0.2
"""The same, where each attempt starts a program."""
CALLED_BY_SERVICE = "NETPATH_CALLED_BY_SERVICE"
"""In the environment of commands that the service's own script runs: they must not call it back."""
RUN_LOG = "run.log"
"""What a tracker started by `start` writes to standard error, in the state directory."""
INIT_SCRIPT = Path("/etc/init.d/netpath")
PROCD = Path("/sbin/procd")
SYSTEMD = Path("/run/systemd/system")
UNITS = (Path("/etc/systemd/system/netpath.service"), Path("/lib/systemd/system/netpath.service"))


def run(context: Context) -> int:
    """The tracker in the foreground, where the command line has more than `netpath.cli` looks for."""
    from netpath.tracker import main

    only = context.options.syslog_only
    return main(context.where, use_syslog=context.options.syslog or only, use_stderr=not only)


def start(context: Context) -> int:
    """By the service manager where there is one, else detached; returns when the tracker answers."""
    refuse_second(context.where)
    manager = service_manager(context.where)
    if manager is not None:
        return _manage_and_wait(context, manager, "start")
    log = context.where.state_dir / RUN_LOG
    _make_state_dir(context.where.state_dir)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            tracker_command(),
            env=tracker_environment(context.where),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
            cwd="/",
        )
    problem = _wait_ready(context.where, process)
    if problem is not None:
        tail = log.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()[-5:]
        raise CommandError("; ".join([problem, *tail, f"log: {log}"]))
    return _started(context, process.pid)


def _make_state_dir(directory: Path) -> None:
    """Raises CommandError for one in which another user could wait for what root writes."""
    try:
        make_private(directory)
    except OSError as error:
        raise CommandError(f"state directory {directory} cannot be used: {error.strerror}") from None


def refuse_second(where: Paths) -> None:
    """Raises CommandError when a tracker runs already, or is about to."""
    try:
        with Client(where.socket) as client:
            pid = client.peer
        raise CommandError(f"already running (process {pid}, {where.socket}); `netpath reload` reads a changed file")
    except NotRunningError:
        with tracker_lock(where):
            pass


def service_manager(where: Paths) -> list[str] | None:
    """The command that takes start, stop or restart, when a service of this very instance is installed.

    None when it is that service which runs this command.
    """
    if where != locate({}, {}) or CALLED_BY_SERVICE in os.environ:
        return None
    if PROCD.exists() and INIT_SCRIPT.exists():
        return [str(INIT_SCRIPT)]
    if SYSTEMD.is_dir() and any(unit.exists() for unit in UNITS):
        return ["systemctl"]
    return None


def _manage(manager: list[str], action: str) -> str:
    """Let the service manager do it, so that it does not undo what we would do behind its back; what was run."""
    argv = [*manager, action] + (["netpath.service"] if manager == ["systemctl"] else [])
    code = subprocess.run(argv, check=False).returncode
    if code:
        raise CommandError(f"`{' '.join(argv)}` failed with exit code {code}")
    return f"`{' '.join(argv)}` done"


def _manage_and_wait(context: Context, manager: list[str], action: str) -> int:
    """Let the service manager start or restart the tracker; say what that says of itself as soon as it answers.

    Service managers return as soon as there is a process.
    """
    _manage(manager, action)
    for _ in range(int(START_TIME / SERVICE_POLL)):
        try:
            with Client(context.where.socket) as client:
                pid = client.peer
            return _started(context, pid)
        except NotRunningError:
            if not _is_active(manager):
                text = f"there is no tracker after `{' '.join(manager)} {action}`: it is switched off, or ended at once"
                raise CommandError(f"{text}; the system's log tells more") from None
            time.sleep(SERVICE_POLL)
    raise CommandError(f"the tracker does not answer after {START_TIME:.0f} s; the system's log tells more")


def _is_active(manager: list[str]) -> bool:
    """Whether the service manager has a process of the service, or is about to have one."""
    if manager == ["systemctl"]:
        argv = ["systemctl", "is-active", "--quiet", "netpath.service"]
    else:
        argv = [*manager, "running"]
    return subprocess.run(argv, check=False).returncode == 0


def tracker_command() -> list[str]:
    """A detached tracker has no terminal: it logs to syslog too."""
    return [sys.executable, "-P", "-m", "netpath", "run", "--syslog"]


def tracker_environment(where: Paths) -> dict[str, str]:
    """This environment with the instance's paths, and with this very package found from any directory."""
    package_parent = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "NETPATH_CONFIG": str(where.config),
        "NETPATH_SOCKET": str(where.socket),
        "NETPATH_STATE_DIR": str(where.state_dir),
    }


def _wait_ready(where: Paths, process: subprocess.Popen[bytes]) -> str | None:
    """None as soon as the socket answers; else what went wrong."""
    for _ in range(int(START_TIME / POLL)):
        try:
            process.wait(POLL)
        except subprocess.TimeoutExpired:
            try:
                with Client(where.socket):
                    return None
            except NotRunningError:
                continue
        return f"the tracker ended at once (exit code {process.returncode})"
    return f"the tracker (process {process.pid}) does not answer after {START_TIME:.0f} s"


def _started(context: Context, pid: int) -> int:
    """Say what the new tracker says of itself; PROBLEM when it runs but steers nothing."""
    reply = clean_reply(context.ask("status"))
    if reply.get("problem"):
        context.note(f"the tracker runs (process {pid}), but steers nothing: {reply['problem']}")
        return PROBLEM
    states = [f"{name} is {show(mapping(row).get('status'))}" for name, row in mapping(reply.get("interfaces")).items()]
    return context.done(f"started (process {pid}): {', '.join(states) or 'no interfaces are configured'}", pid=pid)


def stop(context: Context) -> int:
    """Ask the tracker to stop and wait until it is gone; without one, remove what a killed one left."""
    keep = context.options.keep
    manager = service_manager(context.where)
    try:
        end_tracker(context, None if keep else manager, keep=keep)
    except NotRunningError:
        if keep:
            raise
        if manager is not None:  # else it would start another one, if the last one crashed
            _manage(manager, "stop")
        with tracker_lock(context.where):
            context.local("stop")
        return _stopped(context, "no tracker was running; whatever a killed one left is removed")
    if keep:
        return context.done("stopped; the kernel goes on steering")
    return _stopped(context, "stopped; everything of NetPath is removed from the kernel")


def _stopped(context: Context, text: str) -> int:
    """Bonds run on, as they are services of their own; what killed ones left goes too."""
    bonds = cleaned(context.where)
    for problem in (each for _, problems in bonds for each in problems):
        context.note(problem)
    if bonds:
        text += f", and what killed bonds had left: {', '.join(name for name, _ in bonds)}"
    return context.done(text)


def restart(context: Context) -> int:
    """Stop and start; the kernel keeps steering meanwhile, and the new tracker takes over what stands."""
    manager = service_manager(context.where)
    if manager is not None:
        return _manage_and_wait(context, manager, "restart")
    try:
        end_tracker(context, None, keep=True)
    except NotRunningError:
        context.note("no tracker was running")
    try:
        return start(context)
    except CommandError as error:
        raise CommandError(f"{error}; steering stands as the old tracker left it, `netpath stop` removes it") from None


def end_tracker(context: Context, manager: list[str] | None, *, keep: bool) -> None:
    """Make the tracker end and wait for it. Raises NotRunningError, or CommandError when it does not end."""
    with Client(context.where.socket) as client:
        pid = client.peer
        gone = os.pidfd_open(pid) if pid else None
        try:
            if manager is not None:
                _manage(manager, "stop")
            else:
                accepted(client.call({"cmd": "stop", "keep": keep} if keep else {"cmd": "stop"}))
            if gone is not None and not select.select([gone], [], [], STOP_TIME)[0]:
                raise CommandError(f"the tracker (process {pid}) has not ended after {STOP_TIME:.0f} s; see its log")
        finally:
            if gone is not None:
                os.close(gone)


@contextmanager
def tracker_lock(where: Paths) -> Iterator[None]:
    """Hold the lock that a tracker holds while it runs. Raises CommandError when one has it."""
    if not where.state_dir.is_dir():
        yield
        return
    _make_state_dir(where.state_dir)
    lock = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"a tracker is starting or stopping right now (it holds {where.lock}); try again"
            raise CommandError(text) from None
        yield
    finally:
        os.close(lock)


def reload(context: Context) -> int:
    """Read the configuration again; a bad one changes nothing."""
    try:
        reply = context.ask("reload")
    except RefusedError as refusal:
        if not context.json:
            context.lines(render_problems(clean_reply(refusal.reply), context.style))
        raise
    warnings = {"problems": rows(reply.get("warnings"))}
    if context.json:
        context.print_json(reply)
        return OK
    context.lines(render_problems(clean_reply(warnings), context.style))
    context.lines([f"{clean(str(context.where.config))} is loaded"])
    return PROBLEM if has_error(warnings["problems"]) else OK


def ifup(context: Context) -> int:
    name = context.options.interface
    context.ask("enable", interface=name)
    return context.done(f"interface {name} is enabled; it gets traffic as soon as its tracking finds it online")


def ifdown(context: Context) -> int:
    name = context.options.interface
    context.ask("disable", interface=name)
    return context.done(f"interface {name} is disabled until `netpath ifup {name}` or a stop")
