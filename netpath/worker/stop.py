# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `stop`: remove everything of ours from the kernel, and nothing else. Works without a readable configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from netpath import paths
from netpath.kernel import cgroup, nftdump, routing, sysctl
from netpath.kernel.nft import Nft, NftError
from netpath.statedir import SYSCTLS, StateDir

DEFAULT_TABLE, DEFAULT_PRIORITY = "netpath", 6000


def stop(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Table, ip rules, routes, cgroups, sysctls, dnsmasq's lines, state files.

    Connection marks stay: nothing reads them any more.

    Request: `places`, the tracker's [[table, first priority]], for a state directory that could not be written.
    """
    from netpath.worker import domains  # `apply` needs this module too, and not what that one imports

    state = StateDir(where.state_dir)
    places = {*state.places(), *map(tuple, request.get("places", ()))}
    steps: list[Callable[[], None]] = []
    for table, priority in places or {(DEFAULT_TABLE, DEFAULT_PRIORITY)}:
        steps += [
            partial(_delete_table, table),
            partial(routing.purge, priority),
            partial(cgroup.remove_all, table),
        ]
    steps.append(lambda: sysctl.restore(state.numbers(SYSCTLS, "rp_filter")))
    restarts: list[str | None] = []
    steps.append(lambda: restarts.append(domains.remove(state)))
    failures = []
    for step in steps:
        try:
            step()
        except (OSError, NftError) as error:  # one thing that stays is no reason to leave the others
            failures.append(str(error))
    if failures:
        return {"error": f"not everything could be removed: {'; '.join(failures)}"}
    state.forget()
    for how in filter(None, restarts):  # last, as it takes seconds
        if fault := domains.restart(how):
            return {"error": fault.message}
    return {"result": "ok"}


def _delete_table(table: str) -> None:
    if nftdump.table_exists(table):
        with Nft() as nft:
            nft.run(f"delete table inet {table}\n")
