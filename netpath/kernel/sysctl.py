# SPDX-License-Identifier: GPL-2.0-or-later
"""Per-device kernel parameters below /proc/sys/net, of the current network namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

_NET = Path("/proc/sys/net")
_STRICT, _LOOSE = 1, 2
"""rp_filter values (Documentation/networking/ip-sysctl.rst); the larger of `all` and the device's counts."""


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
