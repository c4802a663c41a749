# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of the tracker: what they have of it, how they end, and that it lives on whatever they do."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from netpath.paths import Paths
from netpath.tracker import copies, workers
from netpath.tracker.workers import Workers

WHERE = Paths(Path("/c"), Path("/s"), Path("/d"))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def copied(work: Callable[[], int]) -> tuple[int, str, str]:
    """Exit code, standard output and error of a copy that has done `work`."""
    with ExitStack() as stack:
        out, err = (stack.enter_context(os.fdopen(os.memfd_create(name), "r")) for name in ("out", "err"))
        code = await copies.ended(copies.start(work, out.fileno(), err.fileno()))
        out.seek(0), err.seek(0)
        return code, out.read(), err.read()


def say(text: str) -> int:
    os.write(1, text.encode())
    return 0


def wait_for_ever() -> int:
    signal.pause()
    return 0


def descriptors() -> list[str]:
    """Those that are open, but for the one that reads the directory."""
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists())


def test_a_copy_has_no_descriptor_of_the_tracker() -> None:
    async def case() -> None:
        with socket.socket() as one, socket.socket() as other:
            os.set_inheritable(other.fileno(), True)
            one.listen()
            assert one.fileno() > 2
            assert await copied(lambda: say(" ".join(descriptors()))) == (0, "0 1 2", "")

    run(case())


def test_what_the_tracker_has_dropped_closes_nothing_in_a_copy() -> None:
    """A socket in a circle is collected some day; by then a file of the copy may have its number."""

    async def case() -> None:
        gc.disable()
        try:
            circle: list[Any] = [socket.socket()]
            number = circle[0].fileno()
            circle.append(circle)
            del circle

            def work() -> int:
                taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(number)]
                gc.collect()
                return 0 if all(os.fstat(each) for each in taken) else 1

            assert await copied(work) == (0, "", "")
        finally:
            gc.enable()

    run(case())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_a_copy_ends_it_and_is_none_to_the_tracker(number: signal.Signals) -> None:
    async def case() -> None:
        loop = asyncio.get_running_loop()
        heard: list[int] = []
        loop.add_signal_handler(number, heard.append, number)

        def work() -> int:
            os.kill(os.getpid(), number)
            return 0

        code, _, _ = await copied(work)
        await asyncio.sleep(0)
        assert (code, heard) == (-number, [])
        os.kill(os.getpid(), number)
        while not heard:
            await asyncio.sleep(0)

    run(case())


def test_whatever_a_copy_raises_ends_there() -> None:
    async def case() -> None:
        def leave() -> NoReturn:
            raise SystemExit(0)

        def fail() -> NoReturn:
            raise ValueError("no such thing")

        tracker = os.getpid()
        assert (await copied(leave))[0] == 1
        code, _, err = await copied(fail)
        assert (code, err.splitlines()[-1]) == (1, "ValueError: no such thing")
        assert (await copied(os.abort))[0] == -signal.SIGABRT
        assert os.getpid() == tracker

    run(case())


def test_who_no_longer_waits_kills_the_copy_and_leaves_no_zombie() -> None:
    async def case() -> None:
        child = copies.start(wait_for_ever, 1, 2)
        waiting = asyncio.ensure_future(copies.ended(child))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)

    run(case())


def test_a_copy_that_cannot_be_waited_for_does_not_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: int) -> NoReturn:
        raise OSError(24, "Too many open files")

    async def case() -> None:
        monkeypatch.setattr(os, "pidfd_open", none_left)
        child = copies.start(wait_for_ever, 1, 2)
        with pytest.raises(OSError, match="Too many open files"):
            await copies.ended(child)
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)

    run(case())


def test_a_copy_goes_with_the_tracker() -> None:
    """A process in between plays the tracker, and is killed."""
    there, here = os.pipe()[::-1]

    def tracker() -> int:
        child = copies.start(wait_for_ever, 1, 2)
        os.write(1, f"{child}\n".encode())
        return wait_for_ever()

    middle = copies.start(tracker, there, 2)
    os.close(there)
    with os.fdopen(here) as pipe:
        child = int(pipe.readline())
        assert Path(f"/proc/{child}").exists()
        os.kill(middle, signal.SIGKILL)
        os.waitpid(middle, 0)
        gone = select.select([pipe], [], [], 10)[0]
        if not gone:
            os.kill(child, signal.SIGKILL)
        assert gone, "both have ended: nobody holds the other end any more"


def job(monkeypatch: pytest.MonkeyPatch, do: Callable[..., Any]) -> Workers:
    """Workers whose `apply` is `do(where, request)`."""
    module = ModuleType("jobs")
    module.job = lambda _: do  # type: ignore[attr-defined]
    monkeypatch.setattr(workers, "import_module", lambda _: module)
    return Workers(WHERE)


def test_a_load_is_told_what_is_asked_and_replies_at_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    def do(where: Paths, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "dir": str(where.state_dir),
            "request": request,
            "long": "x" * 2**20,
            "name": Path("/proc/self/comm").read_text(),
        }

    async def case() -> None:
        reply = await job(monkeypatch, do).run("apply", {"ids": {"wan": 1}})
        assert (reply["dir"], reply["request"], len(reply["long"])) == ("/d", {"ids": {"wan": 1}}, 2**20)
        assert reply["name"] == "netpath-apply\n"

    run(case())


def test_a_load_that_fails_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> NoReturn:
        raise KeyError("missing")

    async def case() -> None:
        reply = await job(monkeypatch, fail).run("apply", {})
        assert reply == {"error": "worker apply failed (exit code 1): KeyError: 'missing'"}
        reply = await job(monkeypatch, lambda *_: os.kill(os.getpid(), 9)).run("apply", {})
        assert reply == {"error": "worker apply failed (exit code -9): no message"}
        reply = await job(monkeypatch, lambda *_: {"share": float("nan")}).run("apply", {})
        assert "exit code 1" in reply["error"]

    run(case())


def test_a_load_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TIME_LIMIT", 0.01)

    async def case() -> None:
        reply = await job(monkeypatch, lambda *_: wait_for_ever()).run("apply", {})
        assert "was killed after" in reply["error"]
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        assert children == ""

    run(case())


def test_no_process_to_be_had_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)

    async def case() -> None:
        reply = await Workers(WHERE).run("apply", {})
        assert "cannot be started" in reply["error"]

    run(case())
