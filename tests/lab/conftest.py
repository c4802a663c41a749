# SPDX-License-Identifier: GPL-2.0-or-later
"""Labs for the scenario tests: one with two uplinks is shared by the tests of a file, and mended between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netpath.lab import Lab, Process

Start = Callable[..., Process]


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    with Lab(2, guest=True) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The shared lab, whole again and without NetPath at the end."""
    yield shared_lab
    for process in shared_lab.processes:
        if process.name == "netpath" and process.running:
            process.stop()
    shared_lab.router.run(["env", f"NETPATH_STATE_DIR={shared_lab.state_dir}", *_worker("stop")], stdin="{}")
    for uplink in shared_lab.uplinks:
        shared_lab.restore(uplink.number)
        shared_lab.carrier(uplink.number, True)
        shared_lab.ifup(uplink.number)
    shared_lab.mute()
    shared_lab.router.run(["conntrack", "-F"], check=False)


def _worker(job: str) -> list[str]:
    import sys

    return [sys.executable, "-m", "netpath.worker", job]


@pytest.fixture
def start(lab: Lab) -> Start:
    """Start NetPath with `lab.config(...)` choices and wait until every interface is online."""

    def go(text: str | None = None, *, wait: bool = True, **choices: Any) -> Process:
        process = lab.start_netpath(lab.config(**choices) if text is None else text)
        if wait:
            rows = lab.call({"cmd": "status"})["interfaces"]
            lab.wait_states({name: "online" for name, row in rows.items() if row["enabled"]})
        return process

    return go
