# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenWrt's own ubusd and rpcd from a root directory, with our plugin in it and nothing else running."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netpath.lab.namespace import LabError, Unavailable
from netpath.lab.world import PACKAGE_ROOT

ROOT = "NETPATH_OPENWRT_ROOT"
"""Names a directory with an OpenWrt userland in which Python runs."""
PLUGIN = PACKAGE_ROOT / "files/usr/libexec/rpcd/netpath"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 20.0
BOOT = """set -e
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mkdir -p dev proc tmp var "./$3" usr/libexec/rpcd
mount -t proc proc proc
mount --bind /dev dev
mount -t tmpfs tmpfs tmp
mkdir -p "./$3"
mount --bind "$3" "./$3"
rm -f usr/libexec/rpcd/*
cp -a "$3"/plugins/. usr/libexec/rpcd/
exec chroot . ubusd -s "$3/ubus.sock"
"""
"""$1 the root, $2 an empty directory, $3 the directory that inside and outside share. Becomes ubusd."""


class Rpcd:
    """Runs from `with` to its end, in a mount namespace and above a copy of the root of its own.

    `directory` is the same path inside and outside; the tracker's socket must lie in it. `plugins` are more plugins,
    name -> text. Raises Unavailable when there is no such root here.
    """

    def __init__(self, tracker: Path, plugins: Mapping[str, str] | None = None) -> None:
        self.directory = tracker.parent
        self._tracker = tracker
        self._plugins = plugins or {}
        self._root = root()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def socket(self) -> Path:
        return self.directory / "ubus.sock"

    def __enter__(self) -> Self:
        plugins = self.directory / "plugins"
        plugins.mkdir()
        shutil.copy(PLUGIN, plugins / "netpath")
        for name, text in self._plugins.items():
            (plugins / name).write_text(text)
            (plugins / name).chmod(0o755)
        self._scratch = Path(tempfile.mkdtemp(prefix="netpath-rpcd-"))
        boot = ["sh", "-c", BOOT, "sh", str(self._root), str(self._scratch), str(self.directory)]
        try:
            self._start(["unshare", "--mount", "--propagation", "private", "--", *boot])
            self._wait(self.socket.exists, "ubusd to listen")
            self.start_rpcd()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._scratch.rmdir()

    def start_rpcd(self) -> None:
        """Start rpcd and wait until our object is there."""
        self._start([*self.inside(), "rpcd", "-s", str(self.socket)])
        self._wait(lambda: "netpath" in self.ubus("list", check=False), "object netpath to appear")

    def inside(self) -> list[str]:
        """What to put before a command to run it in the root."""
        return ["nsenter", f"--target={self._processes[0].pid}", "--mount", "--root", "--wd=/", "--"]

    def ubus(self, *words: str, check: bool = True) -> str:
        """Standard output of the real `ubus` command. Raises LabError when it fails, unless `check` is False."""
        argv = [*self.inside(), "ubus", "-s", str(self.socket), *words]
        done = subprocess.run(argv, capture_output=True, text=True, env=self.environment(), timeout=60, check=False)
        if check and done.returncode:
            raise LabError(f"ubus {' '.join(words)[:200]}: {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def call(self, method: str, arguments: Mapping[str, Any] | None = None, *, object_: str = "netpath") -> Any:
        """The reply of one method. Raises LabError when ubus has none."""
        return json.loads(self.ubus("call", object_, method, json.dumps(arguments or {})))

    @contextmanager
    def listen(self, file: Path, *kinds: str) -> Iterator[None]:
        """`ubus listen` writes what it hears into `file`, an object a line."""
        argv = [*self.inside(), "ubus", "-s", str(self.socket), "listen", *kinds]
        with file.open("wb") as out, subprocess.Popen(argv, stdout=out, env=self.environment()) as process:
            try:
                yield
            finally:
                process.kill()

    def _start(self, argv: Sequence[str]) -> None:
        self._processes.append(
            subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], env=self.environment())
        )

    def environment(self) -> dict[str, str]:
        """What every program in the root has."""
        return {"PATH": PATH, "NETPATH_SOCKET": str(self._tracker)}

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                raise LabError(f"waited in vain for {what}")
            time.sleep(0.01)


def root() -> Path:
    """The OpenWrt root. Raises Unavailable with the reason when there is none."""
    name = os.environ.get(ROOT)
    if not name:
        raise Unavailable(f"no OpenWrt userland here: {ROOT} names none")
    for program in ("ubusd", "rpcd", "ubus", "python3"):
        if not any(os.path.lexists(f"{name}{place}/{program}") for place in PATH.split(":")):
            raise Unavailable(f"{name} ({ROOT}) has no {program}")
    return Path(name)
