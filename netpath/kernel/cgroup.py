# SPDX-License-Identifier: GPL-2.0-or-later
"""Version 2 control groups for `netpath use`: a group an uplink, recognised by nft's `socket cgroupv2`."""

from __future__ import annotations

from binascii import crc32
from dataclasses import dataclass
from pathlib import Path

_SYSFS = Path("/sys/fs/cgroup")
"""nft resolves the paths of `socket cgroupv2` from here, wherever the hierarchy itself is mounted."""
_MOUNTS = (_SYSFS, _SYSFS / "unified")
"""Unified hierarchy; hybrid, beside version 1 controllers."""
_PROCESSES = "cgroup.procs"
_LONGEST_PART = 30
_NAMESPACE = Path("/proc/thread-self/ns/net")


class CgroupUnavailable(Exception):  # noqa: N818 (the name that callers know)
    """There can be no group here; the message says why."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    level: int
    """Depth below the root, for `socket cgroupv2 level LEVEL`."""
    nft_path: str
    """Path for nft, relative to /sys/fs/cgroup."""
    directory: Path
    """A process joins by writing its pid to `cgroup.procs` in here."""


def name_of(table: str, interface: str) -> str:
    """Name of the group of an interface, such as "netpath.4026531840.wan".

    The number is that of the network namespace: instances in several of them share one tree of groups.
    """
    return f"{_prefix(table)}{_short(interface)}"


def _prefix(table: str) -> str:
    return f"{_short(table)}.{_NAMESPACE.stat().st_ino}."


def _short(name: str) -> str:
    """nft takes no long paths in quotes: what is longer keeps its beginning and is told apart by a checksum."""
    if len(name) <= _LONGEST_PART:
        return name
    return f"{name[: _LONGEST_PART - 9]}_{crc32(name.encode()):08x}"


def ensure(name: str) -> Cgroup:
    """The group of that name, made when missing. Raises CgroupUnavailable."""
    group = _group(_root(), name)
    try:
        group.directory.mkdir(exist_ok=True)
    except OSError as error:
        raise CgroupUnavailable(f"{group.directory} cannot be made: {error.strerror}") from None
    return group


def existing(name: str) -> Cgroup | None:
    """The group of that name, None when there is none."""
    try:
        group = _group(_root(), name)
    except CgroupUnavailable:
        return None
    return group if group.directory.is_dir() else None


def remove(name: str) -> None:
    """Remove a group; its processes go on outside of it. A missing one is fine. Raises OSError."""
    group = existing(name)
    if group is not None:
        _empty(group.directory)
        group.directory.rmdir()


def remove_all(table: str) -> None:
    """Remove the groups of all interfaces of the instance that owns `table`. Raises OSError."""
    try:
        root = _root()
    except CgroupUnavailable:
        return
    for directory in list(root.iterdir()):
        if directory.name.startswith(_prefix(table)) and directory.is_dir():
            remove(directory.name)


def _root() -> Path:
    for mount in _MOUNTS:
        if (mount / "cgroup.controllers").exists():
            return mount
    if not _SYSFS.is_dir() or not any(_SYSFS.iterdir()):
        raise CgroupUnavailable(
            f"{_SYSFS} is empty: this kernel has no control groups, or the process runs where they are hidden "
            "(`ip netns exec` does that; `nsenter --net` does not)"
        )
    raise CgroupUnavailable(f"no version 2 control groups at {' or '.join(map(str, _MOUNTS))}")


def _group(root: Path, name: str) -> Cgroup:
    if not name or "/" in name or name in (".", "..") or '"' in name:
        raise CgroupUnavailable(f"{name!r} cannot name a control group")
    directory = root / name
    return Cgroup(1, str(directory.relative_to(_SYSFS)), directory)


def _empty(directory: Path) -> None:
    """Move the processes to the root group; repeated, because they may fork meanwhile."""
    for _ in range(10):
        pids = (directory / _PROCESSES).read_text(encoding="ascii").split()
        if not pids:
            return
        for pid in pids:
            try:
                (directory.parent / _PROCESSES).write_text(pid, encoding="ascii")
            except ProcessLookupError:  # ended meanwhile
                continue
