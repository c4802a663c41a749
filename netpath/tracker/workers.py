# SPDX-License-Identifier: GPL-2.0-or-later
"""Start worker processes and read their reply. A worker's crash, hang or garbage is an error reply, no exception."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from netpath.paths import Paths

TIME_LIMIT = 60.0
REPORTS_AT_ONCE = 2
"""Report workers at the same time; further requests wait."""


class Workers:
    """Runs jobs of `netpath.worker` for the tracker with this instance's paths."""

    def __init__(self, where: Paths) -> None:
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
        try:
            process = await asyncio.create_subprocess_exec(
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
        except OSError as error:
            return {"error": f"worker {job} cannot be started: {error}"}
        try:
            out, err = await asyncio.wait_for(process.communicate(json.dumps(request).encode()), TIME_LIMIT)
        except TimeoutError:
            await _kill(process)
            return {"error": f"worker {job} was killed after {TIME_LIMIT:.0f} s; see the log, then `netpath reload`"}
        except asyncio.CancelledError:
            await _kill(process)
            raise
        return _reply(job, process.returncode or 0, out, err)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End a worker and wait: what comes next must not meet it inside the kernel."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _reply(job: str, code: int, out: bytes, err: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(out)
    except ValueError:
        reply = None
    if code == 0 and isinstance(reply, dict):
        return reply
    last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return {"error": f"worker {job} failed (exit code {code}): {last[0]}"}
