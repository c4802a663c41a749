# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bond changes on its machine so that packets pass: an nft table of its own; on a server, sysctls as well.

Before anything is changed it is written down in the state directory. What was killed is so taken over by the next bond
of its name. Nothing of others is changed; what they drop is told (`firewalls`).
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path

from netpath.bond import firewalls, forwardrules
from netpath.bonding import BondServer
from netpath.kernel import nftdump, sysctl
from netpath.kernel.nft import Nft, NftError
from netpath.kernel.sysctl import Changes
from netpath.statedir import StateDir
from netpath.steering.names import part

_FILE = "forward-{}.json"
_LOCK = "forward.lock"


@dataclass(slots=True)
class _Record:
    """What one bond has changed, as its file says."""

    tables: list[str]
    sysctls: Changes
    forwards: bool
    """Whether it needs forwarding, also where that was on before."""

    @property
    def empty(self) -> bool:
        return not self.tables and not self.sysctls


class Forwarding:
    """Of one bond. What could not be done is returned, in words, instead of raised."""

    def __init__(self, name: str, state: Path) -> None:
        """name: no other bond of this machine has it. state: a directory on a tmpfs that they all share.

        Raises NftError without libnftables.
        """
        self._nft = Nft()
        self._state = StateDir(state)
        self._file = _FILE.format(part(name))
        self._record = _Record([], {}, False)
        self._written = True
        """Whether the record is in its file, too."""

    def apply(self, settings: BondServer, mtu: int) -> list[str]:
        """Bring table and sysctls to `settings`; twice changes nothing. Problems, and what the owner has to do."""
        problems: list[str] = []
        with self._locked(problems):
            self._record = self._present(problems)
            table = settings.table
            if self._load(table, lambda: forwardrules.server(settings, mtu), settings.forward, problems):
                self._switch(settings, problems)
        return problems + self.obstacles(settings)

    def masquerade(self, device: str, table: str, mtu: int) -> list[str]:
        """On a client: what leaves by the bond gets its inner address. The same as `apply` otherwise; no sysctls."""
        problems: list[str] = []
        with self._locked(problems):
            self._record = self._present(problems)
            self._load(table, lambda: forwardrules.client(table, device, mtu), False, problems)
        return problems

    def intact(self, table: str) -> bool:
        """Whether the table still stands: a firewall's restart often flushes everybody's (then `apply` again).

        One small question to the kernel, cheap enough for every second. Raises NetlinkError.
        """
        return nftdump.table_intact(table, ("mss",))

    def obstacles(self, settings: BondServer) -> list[str]:
        """Firewalls of others in the way, now: reads all chains and lists some tables, so not for every second."""
        try:
            problems = firewalls.closed_ports(self._nft, settings.port, settings.ports)
            if settings.forward:
                problems += firewalls.obstacles(self._nft, settings.device, settings.table, _families(settings))
            return problems
        except (NftError, OSError) as error:
            return [f"whether another firewall is in the way could not be found out: {error}"]

    def close(self) -> list[str]:
        """Remove the table, put the sysctls back, forget. What could not be done, in words."""
        problems: list[str] = []
        with self._locked(problems):
            problems += _withdraw(self._nft, self._state, self._file, self._present(problems))
            self._record = _Record([], {}, False)
        self._nft.close()
        return problems

    def _present(self, problems: list[str]) -> _Record:
        """What this process knows, and what another server has left to it in the file."""
        own = self._record
        try:
            kept = _read(self._state, self._file)
        except OSError as error:
            problems.append(f"{self._state.root / self._file} could not be read: {error}")
            return own
        tables = [*dict.fromkeys((*kept.tables, *own.tables))]
        return _Record(tables, {**kept.sysctls, **own.sysctls}, own.forwards)

    def _load(self, table: str, text: Callable[[], str], forwards: bool, problems: list[str]) -> bool:
        """Whether the table stands: without it nothing should be forwarded."""
        former = [t for t in self._record.tables if t != table]
        try:
            wanted = text()
            if nftdump.table_exists(table) and not _is_ours(table):
                problems.append(f"there is a table inet {table} of somebody else: choose another name for this bond's")
                return False
            self._remember([*former, table], self._record.sysctls, forwards, problems)
            self._nft.run(wanted)
            for old in former:
                _delete(self._nft, old)
            self._remember([table], self._record.sysctls, forwards, problems)
        except (NftError, OSError, ValueError) as error:
            problems.append(f"table inet {table} could not be loaded: {error}")
            return False
        return True

    def _switch(self, settings: BondServer, problems: list[str]) -> None:
        """Forwarding of the bond's families on, or back to what it was."""
        record = self._record
        try:
            if not settings.forward:
                _put_back(self._state, self._file, record.sysctls)
                self._remember(record.tables, {}, False, problems)
                return
            plan = sysctl.forwarding_plan(_families(settings), settings.device)
            if any(path.startswith("ipv6/") for path in record.sysctls):
                plan |= sysctl.advertised_plan(settings.device)
            if plan:
                # What an earlier run has found is what was there before us.
                self._remember(record.tables, {**plan, **record.sysctls}, True, problems)
                sysctl.carry_out(plan)
        except OSError as error:
            problems.append(
                f"forwarding could not be switched on or off: {error}; set net.ipv4.ip_forward and "
                f"net.ipv6.conf.all.forwarding yourself (in a container: on its host)"
            )

    def _remember(self, tables: Sequence[str], changes: Changes, forwards: bool, problems: list[str]) -> None:
        """A full disk stops nothing: this process itself knows, only a kill would leave something behind."""
        record = _Record([*dict.fromkeys(tables)], dict(changes), forwards)
        if record == self._record and self._written:
            return
        self._record = record
        self._written = False
        try:
            _write(self._state, self._file, record)
            self._written = True
        except OSError as error:
            problem = f"{self._state.root / self._file} could not be written: {error.strerror}"
            if problem not in problems:  # each step writes it
                problems.append(problem)

    @contextlib.contextmanager
    def _locked(self, problems: list[str]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(_lock(self._state))
            except OSError as error:
                problems.append(f"{self._state.root} cannot be used: {error}")
            yield


def clear(name: str, state: Path) -> list[str]:
    """Undo what the bond `name` has written down, which was killed. What could not be done, in words.

    Raises NftError without libnftables, OSError.
    """
    directory, file = StateDir(state), _FILE.format(part(name))
    for unfinished in state.glob(f".{file}.*"):
        unfinished.unlink(missing_ok=True)
    return _forget(directory, file) if _read(directory, file).empty else Forwarding(name, state).close()


def _forget(state: StateDir, file: str) -> list[str]:
    (state.root / file).unlink(missing_ok=True)  # of an earlier boot, or damaged
    return []


def _withdraw(nft: Nft, state: StateDir, file: str, record: _Record) -> list[str]:
    """Undo all of a record. What stays although it should not, stays in its file too."""
    problems = []
    for table in [*record.tables]:
        try:
            if table not in _tables_of_others(state, file):
                _delete(nft, table)
            record.tables.remove(table)
        except (NftError, OSError) as error:
            problems.append(f"table inet {table} could not be removed: {error}")
    try:
        _put_back(state, file, record.sysctls)
        record.sysctls = {}
    except OSError as error:
        problems.append(f"sysctls could not be put back: {error}")
    try:
        if record.empty:
            (state.root / file).unlink(missing_ok=True)
        else:
            _write(state, file, record)
    except OSError as error:
        problems.append(f"{state.root / file}: {error}")
    return problems


def _tables_of_others(state: StateDir, file: str) -> set[str]:
    """That bonds have taken over, under another name of their own."""
    return {
        table
        for other in state.root.glob(_FILE.format("*"))
        if other.name != file
        for table in _read(state, other.name).tables
    }


def _put_back(state: StateDir, file: str, changes: Changes) -> None:
    """Undo changes of sysctls, or leave that to another server which still needs them. Raises OSError."""
    if not changes:
        return
    for other in sorted(state.root.glob(_FILE.format("*"))):
        record = _read(state, other.name)
        if other.name != file and record.forwards:
            _write(state, other.name, _Record(record.tables, {**changes, **record.sysctls}, True))
            return
    sysctl.undo(changes)


def _delete(nft: Nft, table: str) -> None:
    if nftdump.table_exists(table) and _is_ours(table):
        nft.run(f"delete table inet {forwardrules.checked(table)}\n")


def _is_ours(table: str) -> bool:
    return forwardrules.MARKER in nftdump.chains(table)


def _families(settings: BondServer) -> tuple[str, ...]:
    addresses = [*settings.inner, *(a for client in settings.clients for a in (*client.addresses, *client.networks))]
    versions = {ip_interface(a).version for a in addresses}
    return tuple(family for family, version in (("ipv4", 4), ("ipv6", 6)) if version in versions)


@contextlib.contextmanager
def _lock(state: StateDir) -> Iterator[None]:
    """One bond at a time: they share sysctls. Raises OSError."""
    state.create()
    with (state.root / _LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _read(state: StateDir, file: str) -> _Record:
    """Empty where there is no file, or not one of this boot."""
    found = state.read_json(file)
    tables, changes = found.get("tables"), found.get("sysctls")
    return _Record(
        [t for t in tables if isinstance(t, str)] if isinstance(tables, list) else [],
        {path: (pair[0], pair[1]) for path, pair in changes.items() if _is_pair(path, pair)}
        if isinstance(changes, dict)
        else {},
        found.get("forwards") is True,
    )


def _is_pair(path: str, pair: object) -> bool:
    numbers = isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, int) for n in pair)
    return numbers and path.startswith(("ipv4/", "ipv6/")) and ".." not in path


def _write(state: StateDir, file: str, record: _Record) -> None:
    state.write_json(file, {"tables": record.tables, "sysctls": record.sysctls, "forwards": record.forwards})
