# SPDX-License-Identifier: GPL-2.0-or-later
"""Start worker processes and read their reply. A worker's crash, hang or garbage is an error reply, no exception.

Most are programs of their own, which have all their memory and modules to themselves. A load is a copy of the tracker
(`netpath.tracker.copies`): steering waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from netpath.kernel import process
from netpath.paths import Paths
from netpath.tracker import copies

TIME_LIMIT = 60.0
REPORTS_AT_ONCE = 2
"""Report workers at the same time; further requests wait."""
COPIES = frozenset({"apply"})
"""Jobs done in a copy of the tracker."""

Ended = tuple[int, bytes, bytes]
"""Exit code, standard output, standard error."""


class Workers:
    """Runs jobs of `netpath.worker` for the tracker with this instance's paths."""

    def __init__(self, where: Paths) -> None:
        self._where = where
        self._reports = asyncio.Semaphore(REPORTS_AT_ONCE)
        package_parent = str(Path(__file__).resolve().parents[2])
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "NETPATH_CONFIG": str(where.config),
            "NETPATH_SOCKET": str(where.socket),
            "NETPATH_STATE_DIR": str(where.state_dir),
            "NETPATH_TRACKER": str(os.getpid()),
        }

    async def report(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        """Run a job that only reads."""
        async with self._reports:
            return await self.run(job, request)

    async def run(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        """Run `job`; its reply, or {"error": text}."""
        work = self._copy if job in COPIES else self._program
        try:
            return _reply(job, *await asyncio.wait_for(work(job, request), TIME_LIMIT))
        except TimeoutError:
            return {"error": f"worker {job} was killed after {TIME_LIMIT:.0f} s; see the log, then `netpath reload`"}
        except OSError as error:
            return {"error": f"worker {job} cannot be started: {error}"}

    async def _program(self, job: str, request: dict[str, Any]) -> Ended:
        """In an interpreter of its own; killed when this is cancelled."""
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # not what lies about in the current directory
            "-m",
            "netpath.worker",
            job,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await worker.communicate(json.dumps(request).encode())
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()  # what comes next must not meet it inside the kernel
            raise
        return worker.returncode or 0, out, err

    async def _copy(self, job: str, request: dict[str, Any]) -> Ended:
        """In a copy of the tracker; killed when this is cancelled."""

        def work() -> int:
            process.rename(f"netpath-{job}")
            reply = import_module("netpath.worker.__main__").job(job)(self._where, request)
            with open(1, "w", encoding="ascii", closefd=False) as out:
                json.dump(reply, out, allow_nan=False)
            return 0

        with _memory_file("reply") as out, _memory_file("errors") as err:
            code = await copies.ended(copies.start(work, out.fileno(), err.fileno()))
            out.seek(0), err.seek(0)  # the copy's writing has moved them
            return code, out.read(), err.read()


def _memory_file(name: str) -> BinaryIO:
    """A file that a copy can write to however much it likes, with nobody reading meanwhile."""
    return os.fdopen(os.memfd_create(name), "rb")


def _reply(job: str, code: int, out: bytes, err: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(out)
    except ValueError:
        reply = None
    if code == 0 and isinstance(reply, dict):
        return reply
    last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return {"error": f"worker {job} failed (exit code {code}): {last[0]}"}
