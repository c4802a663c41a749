# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with two LANs of both families, a host in each, all in network namespaces of the test's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from netpath.lab.namespace import Unavailable
from tests.kernel.nsbox import Box
from tests.monitor.udp.site import HOSTS, ROUTERS, Site


@pytest.fixture(autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")


@pytest.fixture
def site() -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        router, *hosts = (stack.enter_context(Box(role)) for role in ("r", "a", "b"))
        for number, host in enumerate(hosts):
            router.wire(f"lan{number}", host, "eth0")
            router.up(f"lan{number}", *(f"{address}/{_length(address)}" for address in ROUTERS[number]))
            host.up("eth0", *(f"{address}/{_length(address)}" for address in HOSTS[number]))
            for gateway in ROUTERS[number]:
                host.ip("-6" if ":" in gateway else "-4", "route", "add", "default", "via", gateway)
        yield Site(router, hosts[0], hosts[1])


def _length(address: str) -> int:
    return 64 if ":" in address else 24
