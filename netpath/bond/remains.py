# SPDX-License-Identifier: GPL-2.0-or-later
"""What killed bonds leave on the machine, removed: nft tables, sysctls, sockets and files.

The kernel takes their devices, with addresses and routes. A bond of the same name takes the rest over when it begins;
one whose section is gone, or that has another name now, never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from netpath.bond import forwarding
from netpath.bond.lock import orphaned, release
from netpath.kernel.netlink import NetlinkError
from netpath.kernel.nft import NftError
from netpath.paths import BOND_SOCKET, Paths


class Cleared(NamedTuple):
    """Of one bond that was killed."""

    name: str
    problems: list[str]
    """What could not be removed, and stays written down for the next time."""


def clear(where: Paths) -> Iterator[Cleared]:
    """Remove what bonds of this instance have left that live no more; nothing of those that do, or of others."""
    for path in sorted(where.bond_dir.glob(f"{BOND_SOCKET}*.lock")):
        name = path.name.removeprefix(BOND_SOCKET).removesuffix(".lock")
        try:
            lock = orphaned(path)
        except OSError as error:
            yield Cleared(name, [f"{path}: {error.strerror}"])
            continue
        if lock is None:
            continue
        problems: list[str] = []
        try:
            problems = _clear(name, where.bond_socket(name), where.state_dir)
        finally:
            release(path, lock, remove=not problems)
        yield Cleared(name, problems)


def _clear(name: str, socket: Path, state: Path) -> list[str]:
    try:
        socket.unlink(missing_ok=True)
        return forwarding.clear(name, state)
    except (NftError, NetlinkError, OSError) as error:
        return [str(error)]
