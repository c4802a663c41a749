# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `stop`: remove everything of ours from the kernel, and nothing else. Works without a readable configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netpath import paths
from netpath.kernel import cgroup, nftdump, routing, sysctl
from netpath.kernel.nft import Nft
from netpath.statedir import PLACES, SYSCTLS, StateDir

DEFAULT_TABLE, DEFAULT_PRIORITY = "netpath", 6000


def stop(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Table, ip rules, routes, cgroups, sysctls, state files. Connection marks stay: nothing reads them any more."""
    del request
    state = StateDir(where.state_dir)
    places = state.read_json(PLACES)
    table = places.get("table", DEFAULT_TABLE)
    if nftdump.table_exists(table):
        with Nft() as nft:
            nft.run(f"delete table inet {table}\n")
    routing.purge(places.get("rule_priority", DEFAULT_PRIORITY))
    cgroup.remove_all(table)
    sysctl.restore(state.read_json(SYSCTLS).get("rp_filter", {}))
    state.forget()
    return {"result": "ok"}
