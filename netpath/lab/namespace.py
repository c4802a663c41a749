# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces and the processes in them.

Names are `np-PID-COUNT-ROLE`, so that what a killed run left behind can be told from what a living one uses.
Programs enter by `nsenter --net`: `ip netns exec` would also hide /sys/fs/cgroup from them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

NETNS_DIR = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # linux/sched.h
STOP_SECONDS = 3.0
_NAME = re.compile(r"np-(\d+)-\d+-")
_TEMPORARY = re.compile(r"netpath-lab-(\d+)-")
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


class LabError(Exception):
    """The lab could not do what was asked; the message says what failed and how."""


class Unavailable(LabError):  # noqa: N818 - what it says is a state, not a mistake
    """This kernel or machine lacks what the request needs."""


class Process:
    """A program in a namespace, leader of its own process group; its output goes to files."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.name = name
        self.popen = popen
        self.out = out
        self.err = err

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """What it wrote so far: standard output, then standard error."""
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def wait_for(self, text: str, timeout: float = 10.0) -> None:
        """Wait until `text` appears in its output. Raises LabError when it ends or `timeout` seconds pass before."""
        wait_until(lambda: text in self.output(), timeout, f"{self.name} to print {text!r}", self)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; a group that is gone already is fine."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        """Its exit code. Raises LabError when it still runs after `timeout` seconds."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} still runs after {timeout} s") from None

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL when it does not obey."""
        stop_all([self])


def stop_all(processes: Iterable[Process]) -> None:
    """End processes side by side: all get SIGTERM at once, what still lives after 3 s gets SIGKILL."""
    living = [process for process in processes if process.running]
    for process in living:
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in living:
        try:
            process.popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.signal(signal.SIGKILL)
            process.popen.wait()
        process.signal(signal.SIGKILL)  # the rest of its group


def wait_until(condition: Callable[[], bool], timeout: float, what: str, process: Process | None = None) -> None:
    """Poll `condition` until it holds. Raises LabError after `timeout` seconds, or when `process` ends before."""
    deadline = time.monotonic() + timeout
    while not condition():
        if process is not None and not process.running:
            if condition():
                return
            code = process.popen.returncode
            raise LabError(f"{process.name} ended with {code} while waiting for {what}:\n{process.output()}")
        if time.monotonic() > deadline:
            tail = f":\n{process.output()}" if process else ""
            raise LabError(f"waited {timeout} s in vain for {what}{tail}")
        time.sleep(0.002)


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace of a lab."""

    name: str
    role: str
    directory: Path
    """Where outputs of its processes go."""
    processes: list[Process]
    """All processes of the lab, this namespace's among them."""

    @property
    def path(self) -> Path:
        return NETNS_DIR / self.name

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in here."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def run(self, argv: Sequence[str], *, stdin: str = "", check: bool = True, timeout: float = 60.0) -> str:
        """Run a program to its end and return its standard output.

        Raises LabError when it fails (unless `check` is False) or takes more than `timeout` seconds.
        """
        return run(self.argv(argv), stdin=stdin, check=check, timeout=timeout)

    def popen(self, argv: Sequence[str], *, name: str = "", env: Mapping[str, str] | None = None) -> Process:
        """Start a program; it ends with the lab, and the kernel kills it when the thread that called this dies."""
        name = name or Path(argv[0]).name
        stem = f"{len(self.processes):03}-{self.role}-{name}"
        out_file, err_file = self.directory / f"{stem}.out", self.directory / f"{stem}.err"
        with out_file.open("wb") as out, err_file.open("wb") as err:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv(argv)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        process = Process(name, child, out_file, err_file)
        self.processes.append(process)
        return process

    def inside(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread of this process that is in the namespace, and return what it returns.

        Sockets opened by it keep belonging to the namespace.
        """
        with ThreadPoolExecutor(max_workers=1, initializer=self._enter) as pool:
            return pool.submit(function).result()

    def _enter(self) -> None:
        with self.path.open("rb") as handle:
            if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")

    def sysctl(self, values: Mapping[str, int | str]) -> None:
        """Set kernel parameters by their path below /proc/sys/net, such as `ipv4/ip_forward`."""

        def write() -> None:
            for key, value in values.items():
                Path("/proc/sys/net", key).write_text(f"{value}\n")

        self.inside(write)

    def ip(self, commands: str, family: str = "") -> None:
        """Run `ip -batch` commands, one a line, of the family that their addresses show unless it is given.

        Raises LabError naming the line that failed.
        """
        flags = {"": [], "ipv4": ["-4"], "ipv6": ["-6"]}[family]
        run(["ip", *flags, "-netns", self.name, "-batch", "-"], stdin=commands)

    def nft(self, text: str) -> None:
        """Load nftables text in one transaction."""
        self.run(["nft", "-f", "-"], stdin=text)


def run(argv: Sequence[str], *, stdin: str = "", check: bool = True, timeout: float = 60.0) -> str:
    """Run a program here and return its standard output; see `Namespace.run`."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"{error.filename} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no end after {timeout} s") from None
    if check and done.returncode:
        raise LabError(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stderr or done.stdout}{stdin}")
    return done.stdout


def kill_userland(init: int, unshare: subprocess.Popen[bytes] | None) -> None:
    """End a pid namespace with all that is in it: `init` is its first process, 0 when it never came, `unshare` the
    program that made it."""
    for pid in (init, unshare.pid if unshare else 0):
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if unshare:
        unshare.wait()


def add(names: Sequence[str]) -> None:
    """Create namespaces."""
    run(["ip", "-batch", "-"], stdin="".join(f"netns add {name}\n" for name in names))


def remove(names: Sequence[str]) -> None:
    """Kill whatever still runs in these namespaces, then delete them; missing ones are fine."""
    present = [name for name in names if (NETNS_DIR / name).exists()]
    for pid in pids_in(present):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if present:
        run(["ip", "-batch", "-"], stdin="".join(f"netns delete {name}\n" for name in present))


def pids_in(names: Iterable[str]) -> list[int]:
    """Processes of these namespaces, other than this one."""
    inodes = {(NETNS_DIR / name).stat().st_ino for name in names}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if (entry / "ns/net").stat().st_ino in inodes:
                    found.append(int(entry.name))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, without its children (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def remove_leftovers() -> None:
    """Remove namespaces, processes in them and temporary directories of labs whose process is dead."""
    if NETNS_DIR.is_dir():
        remove([entry.name for entry in NETNS_DIR.iterdir() if _of_dead_process(_NAME, entry.name)])
    for entry in Path(tempfile.gettempdir()).iterdir():
        if _of_dead_process(_TEMPORARY, entry.name) and entry.lstat().st_uid == os.getuid():
            shutil.rmtree(entry, ignore_errors=True)


def _of_dead_process(pattern: re.Pattern[str], name: str) -> bool:
    match = pattern.match(name)
    return match is not None and not Path("/proc", match[1]).exists()
