# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine cannot do is no failure: such tests are skipped, and the summary says why."""

from __future__ import annotations

import asyncio  # noqa: F401  (before `netpath.lean` can: tests of this process want it with TLS)
import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from netpath.lab.namespace import Unavailable

# A machine that is busy with other tests is no fault of the code. The examples are the same each time, so that what
# fails fails again; new ones are looked for by `make fuzz`, and by `HYPOTHESIS_PROFILE=search make test`.
settings.register_profile("netpath", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "netpath"))

# Who starts the tests in the background (`nohup make test &`) lets them ignore these, and all that they start.
for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

NAMESPACES = tuple(
    Path(__file__).with_name(name)
    for name in ("bond", "kernel", "lab", "luci", "monitor", "openwrt", "security", "torture")
)
"""Tests in there make network namespaces."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    concerned = [item for item in items if any(item.path.is_relative_to(place) for place in NAMESPACES)]
    obstacle = _obstacle() if concerned else None
    for item in concerned:
        if obstacle is not None:
            item.add_marker(pytest.mark.skip(reason=f"no network namespaces here, run as root: {obstacle}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    yield from _skipped_when_unavailable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    yield from _skipped_when_unavailable()


def _skipped_when_unavailable() -> Generator[None]:
    """The lab says `Unavailable` of what this kernel or machine lacks."""
    try:
        yield
    except Unavailable as why:
        pytest.skip(str(why))


def _obstacle() -> str | None:
    """Why no network namespace can be made, None when one can."""
    try:
        done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else None
