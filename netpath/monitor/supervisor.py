# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one part of the monitor again and again, and keeps its failures to itself."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from netpath.monitor.health import Health, Status
from netpath.monitor.readings import ServiceError
from netpath.monitor.retry import Backoff
from netpath.monitoring import Retry
from netpath.tracker.journal import Log

CANCEL_TIME = 3.0
"""Seconds in which a part must have ended once it was told to."""
LONGEST_REASON = 300
"""Characters: a peer's words may be in it."""
MOST_FRAMES = 30
"""Lines of a traceback in the log."""
PACKAGES = {"websockets": "websockets", "prometheus_client": "prometheus-client", "paho": "paho-mqtt"}
"""Module -> package; OpenWrt puts python3- before it."""

Attempt = Callable[[], Awaitable[None]]


class Supervised:
    """One part. `keep` makes attempts until it is cancelled or gives up."""

    def __init__(
        self,
        name: str,
        retry: Retry,
        log: Log,
        *,
        patience: float | None = None,
        secrets: Sequence[str] = (),
        failed: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`name` as in "source clash". An attempt that says nothing for `patience` s is ended. `secrets` are cut out
        of all that is said about failures; `failed` is called after each of them.
        """
        self.name = name
        self.health = Health(time.monotonic())
        self._backoff = Backoff(retry, chance)
        self._log = log
        self._patience = patience
        self._secrets = [secret for secret in secrets if secret]
        self._failed = failed
        self._sign = 0.0
        """When it last gave a sign of life."""
        self._next: float | None = None
        """When the next attempt is made."""

    @property
    def next_attempt(self) -> float | None:
        """Seconds until the next attempt; None while one is under way, and when none follows."""
        return None if self._next is None else round(max(0.0, self._next - time.monotonic()), 1)

    def works(self) -> None:
        """The part works, or still works."""
        self._sign = time.monotonic()
        was = self.health.status
        self.health.succeeded(time.time(), self._sign)
        self._backoff.succeeded()
        if was is not Status.HEALTHY:
            self._log("notice", f"{self.name} works" + (" again" if self.health.failures else ""))

    def row(self) -> dict[str, Any]:
        return self.health.row(time.monotonic())

    async def keep(self, attempt: Attempt) -> None:
        """Ends when it has given up."""
        while True:
            self._sign, self._next = time.monotonic(), None
            self.health.attempt()
            error, final = await self._outcome(attempt)
            delay = None if final else self._backoff.failed()
            self._note(error, delay)
            if delay is None:
                return
            self._next = time.monotonic() + delay
            await asyncio.sleep(delay)

    async def _outcome(self, attempt: Attempt) -> tuple[BaseException | None, bool]:
        """Why an attempt ended (None: without a reason), and whether another one makes no sense."""

        async def run() -> None:
            await attempt()

        task = asyncio.ensure_future(run())
        try:
            while not task.done():
                left = None if self._patience is None else self._sign + self._patience - time.monotonic()
                if left is not None and left <= 0:
                    return await self._stop(task)
                await asyncio.wait({task}, timeout=left)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=CANCEL_TIME)
        if task.cancelled():
            return None, False
        error = task.exception()
        return error, isinstance(error, ImportError)

    async def _stop(self, task: asyncio.Future[None]) -> tuple[BaseException, bool]:
        """End an attempt that hangs. One that does not even end then must not be joined by another."""
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_TIME)
        if task.done():
            return ServiceError(f"nothing came for {self._patience:.0f} s"), False
        return ServiceError("it hangs and cannot be ended; restart the monitor"), True

    def _note(self, error: BaseException | None, delay: float | None) -> None:
        """Take down a failure: in the health, and in the log where it is news."""
        known = isinstance(error, ServiceError | ImportError)
        news = self.health.status is not Status.FAILING
        reason = self.harmless(_words(error))
        self.health.failed(reason, time.time(), time.monotonic(), final=delay is None)
        self._failed()
        if not known and error is not None:
            self._log("error", f"{self.name}: a fault of the monitor itself:")
            lines = "".join(traceback.format_exception(error)).splitlines()
            for line in lines[-MOST_FRAMES:]:
                self._log("error", self.harmless(line))
        if delay is None:
            self._log("error", f"{self.name} is given up until the next reload: {reason}")
        else:
            self._log("warning" if news else "debug", f"{self.name}: {reason}; next attempt in {delay:.1f} s")

    def harmless(self, text: str) -> str:
        """`text` without secrets and control characters, and not too long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(c if c.isprintable() else "?" for c in text)
        return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."


def _words(error: BaseException | None) -> str:
    if error is None:
        return "it ended by itself"
    if isinstance(error, ImportError):
        module = (error.name or "").partition(".")[0]
        package = PACKAGES.get(module, module)
        if module in PACKAGES:
            return f"{package} is not installed: opkg install python3-{package}, or pip install {package}"
        return f"it cannot be loaded: {error}"
    if isinstance(error, ServiceError):
        return str(error) or "it failed"
    return f"a fault of the monitor itself, see its log: {type(error).__name__}: {error}"
