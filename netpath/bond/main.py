# SPDX-License-Identifier: GPL-2.0-or-later
"""One bond as a process: its configuration, its lock and its log, then the end that it is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from netpath.bond.lock import acquire, release
from netpath.bonding import BondClient, Bonding, BondServer
from netpath.config.bond import LoadedBonds, load_bonds
from netpath.config.problems import ERROR, Problem
from netpath.paths import Paths
from netpath.steering.marks import MarkSpace
from netpath.tracker.journal import Log


def main(
    where: Paths, role: str, name: str | None, *, wait: bool = False, use_syslog: bool = False, use_stderr: bool = True
) -> int:
    """Run the bond `name` (None: the only one of the role) until it is stopped.

    0 after an ordinary stop, 1 when it cannot start, which the log tells. wait: where the configuration is of no use,
    wait for a SIGHUP and read it again, as no restart makes it better.
    """
    # Until the loop has its own handler, a reload is a new beginning: none is lost, and none kills.
    signal.signal(signal.SIGHUP, _begin_anew)
    log = Log(use_syslog=use_syslog, use_stderr=use_stderr, name="netpath-bond")
    loaded = load_bonds(where.config, name, role, keys=where.keys_dir)
    settings = _chosen(loaded, where, role, name, log)
    if settings is None:
        if wait:
            log("notice", "waiting for a reload")
            while True:
                signal.pause()
        return 1
    lock = _locked(where, settings.name, log)
    if lock is None:
        return 1
    try:
        _clear(where, log)
        return _run(settings, loaded, where, log)
    finally:
        release(where.bond_lock(settings.name), lock)


def _begin_anew(_number: int, _frame: object) -> None:
    """Become this very command again; what is open is closed on the way.

    What comes before it has its handler again is ignored: the configuration is read after that.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _chosen(loaded: LoadedBonds, where: Paths, role: str, name: str | None, log: Log) -> BondClient | BondServer | None:
    """The one bond; None: said why not."""
    _tell(loaded.problems, log)
    if loaded.bonding is None:
        return None
    found = _of_role(loaded.bonding, role)
    if len(found) == 1:
        log.set_level(loaded.bonding.loglevel)
        return found[0]
    if not found:
        what = f"the bond {name} is no enabled {role}" if name else f"there is no enabled bond of role {role}"
        log("error", f"{what} in {where.config}")
    else:
        names = ", ".join(each.name for each in found)
        log("error", f"there are several bonds of role {role}: say which one: {names}")
    return None


def _of_role(bonding: Bonding, role: str) -> Sequence[BondClient] | Sequence[BondServer]:
    return bonding.clients if role == "client" else bonding.servers


def _tell(problems: Sequence[Problem], log: Log) -> None:
    for problem in problems:
        log("error" if problem.severity == ERROR else "warning", str(problem))


def _locked(where: Paths, name: str, log: Log) -> int | None:
    """An open file that keeps a second process of this bond out; None: said why there is none."""
    try:
        return acquire(where.bond_lock(name))
    except BlockingIOError:
        log("error", f"the bond {name} runs already ({where.bond_socket(name)}); stop it first")
    except OSError as error:
        log("error", f"{where.bond_lock(name)} cannot be used: {error.strerror}")
    return None


def _clear(where: Paths, log: Log) -> None:
    """What other bonds have left, which were killed: what this one changes must not be mixed up with theirs."""
    from netpath.bond.remains import clear

    for name, problems in clear(where):
        log("notice", f"removed what the bond {name} had left when it was killed")
        for problem in problems:
            log("warning", f"{name}: {problem}")


def _run(settings: BondClient | BondServer, loaded: LoadedBonds, where: Paths, log: Log) -> int:
    from netpath.bond.client import Client
    from netpath.bond.process import run
    from netpath.bond.server import Server
    from netpath.bond.surroundings import Machine

    socket = where.bond_socket(settings.name)
    machine = Machine(settings, where.state_dir, log)
    log("notice", f"{settings.name}: {settings.device}, socket {socket}")
    sys.stderr.flush()

    def make() -> Client | Server:
        if isinstance(settings, BondServer):
            return Server(settings, machine, log, control=socket, reload=lambda: _server(where, settings, log))
        return Client(
            settings,
            machine,
            log,
            control=socket,
            tracker=where.socket,
            mark=MarkSpace(loaded.mark_mask).default,
            reload=lambda: _client(where, settings, log),
        )

    return run(make, settings.name, log)


def _client(where: Paths, before: BondClient, log: Log) -> BondClient | None:
    found = _again(where, "client", before.name, log)
    return found if isinstance(found, BondClient) else None


def _server(where: Paths, before: BondServer, log: Log) -> BondServer | None:
    found = _again(where, "server", before.name, log)
    return found if isinstance(found, BondServer) else None


def _again(where: Paths, role: str, name: str, log: Log) -> BondClient | BondServer | None:
    """What the configuration says now; None where it is of no use, so that the old goes on."""
    found = _chosen(load_bonds(where.config, name, role, keys=where.keys_dir), where, role, name, log)
    if found is None:
        log("error", f"{name}: goes on with what it has")
    return found
