# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel parameters below /proc/sys/net, of the current network namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

_NET = Path("/proc/sys/net")
_ALL_IPV4, _ALL_IPV6 = "ipv4/ip_forward", "ipv6/conf/all/forwarding"
_REDIRECTS = "ipv4/conf/all/accept_redirects"
"""The kernel itself switches it with ip_forward (inet_forward_change in devinet.c)."""
_STRICT, _LOOSE = 1, 2
"""rp_filter values (Documentation/networking/ip-sysctl.rst); the larger of `all` and the device's counts."""


Changes = dict[str, tuple[int, int]]
"""Path below /proc/sys/net -> (value before, value after)."""


def loosen_rp_filter(devices: Iterable[str]) -> dict[str, int]:
    """Stop strict reverse-path filtering where it is on; device -> its own value before.

    Strict filtering drops what comes in by any uplink but the one that main would answer by. Devices that are not
    strict, or gone, are left alone. Raises OSError when the kernel refuses the change.
    """
    changed = {}
    for device in dict.fromkeys(devices):
        own, everywhere = _read(_rp_filter(device)), _read(_rp_filter("all"))
        if own is not None and max(own, everywhere or 0) == _STRICT and _write(_rp_filter(device), _LOOSE):
            changed[device] = own
    return changed


def restore(saved: Mapping[str, int]) -> None:
    """Undo `loosen_rp_filter`, except where the device is gone or somebody has chosen another value since."""
    for device, value in saved.items():
        if _read(_rp_filter(device)) == _LOOSE:
            _write(_rp_filter(device), value)


def rp_filter(device: str) -> int | None:
    """The reverse-path filter in force on a device: 0 off, 1 strict, 2 loose; None without such a device."""
    own = _read(_rp_filter(device))
    return None if own is None else max(own, _read(_rp_filter("all")) or 0)


def forwards(family: str) -> bool:
    """Whether this machine forwards packets of a family at all."""
    return _read(_NET / ("ipv4/ip_forward" if family == "ipv4" else "ipv6/conf/all/forwarding")) not in (0, None)


def ipv6_disabled(device: str = "all") -> bool:
    """Whether IPv6 is switched off on the device, or not in this kernel at all."""
    return _read(_NET / "ipv6/conf" / device / "disable_ipv6") != 0


def isolate(device: str) -> None:
    """For a tunnel's device of ours: the other end advertises no routes; what comes by it may be forwarded.

    The latter only matters where forwarding is switched on at all. Raises OSError when the kernel refuses.
    """
    _write(_NET / "ipv6/conf" / device / "accept_ra", 0)
    _write(_NET / "ipv4/conf" / device / "forwarding", 1)


def forwarding_plan(families: Iterable[str], ours: str) -> Changes:
    """What switching on forwarding of these families changes, by itself or because it must; nothing where it is on.

    `ours` is a device that goes when the changes are undone. The kernel's side effects are in it (then, before and
    after are alike, or it is accept_redirects), so that `undo` puts them right too. Order matters to `carry_out`.

    A host that forwards takes no router advertisements with accept_ra 1, and loses the default route that it has from
    one: such devices are told to go on with 2 (Documentation/networking/ip-sysctl.rst).
    """
    changes: Changes = {}
    if "ipv6" in families and not forwards("ipv6"):
        changes |= advertised_plan(ours)
        changes[_ALL_IPV6] = (0, 1)
        changes |= _forwarding_devices("ipv6", ours)
    if "ipv4" in families and not forwards("ipv4"):
        redirects = _read(_NET / _REDIRECTS)
        changes[_ALL_IPV4] = (0, 1)
        changes |= _forwarding_devices("ipv4", ours)
        changes[_REDIRECTS] = (redirects or 0, 0)
    return changes


def advertised_plan(ours: str) -> Changes:
    """The part of `forwarding_plan` that concerns router advertisements: also for devices that have come since."""
    return {
        f"ipv6/conf/{device}/accept_ra": (1, 2)
        for device in _devices("ipv6")
        if device not in (ours, "default") and _read(_NET / "ipv6/conf" / device / "accept_ra") == 1
    }


def carry_out(changes: Changes) -> None:
    """Raises OSError where the kernel refuses (a container's /proc/sys is often read-only)."""
    for path, (before, after) in changes.items():
        if before != after and path != _REDIRECTS:
            _write(_NET / path, after)


def undo(changes: Changes) -> None:
    """Put back what still is as we left it; forwarding first, as all devices follow it. Raises OSError."""
    ours = {path: before for path, (before, after) in changes.items() if _read(_NET / path) == after}
    for path, before in sorted(ours.items(), key=lambda item: item[0] not in (_ALL_IPV4, _ALL_IPV6)):
        _write(_NET / path, before)


def _forwarding_devices(family: str, ours: str) -> Changes:
    """Devices where forwarding is on although it is off for all: switching all off would switch them off too."""
    paths = [f"{family}/conf/{device}/forwarding" for device in _devices(family) if device != ours]
    return {path: (1, 1) for path in paths if _read(_NET / path) == 1}


def _devices(family: str) -> list[str]:
    """With "default", without "all" and "lo"."""
    try:
        return sorted(path.name for path in (_NET / family / "conf").iterdir() if path.name not in ("all", "lo"))
    except FileNotFoundError:  # a kernel without IPv6
        return []


def _rp_filter(device: str) -> Path:
    return _NET / "ipv4/conf" / device / "rp_filter"


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _write(path: Path, value: int) -> bool:
    """False when the device has gone meanwhile."""
    try:
        path.write_text(f"{value}\n", encoding="ascii")
    except FileNotFoundError:
        return False
    return True
