# SPDX-License-Identifier: GPL-2.0-or-later
"""How a bond's device follows the paths, at both ends: its MTU, its pace, and which paths are too narrow for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netpath.bond.dataframes import HEADER
from netpath.bond.fec.repair import OVERHEAD as REPAIR
from netpath.bond.paths import Path, State
from netpath.bond.process import Device
from netpath.bond.wire import HEAD, TAG
from netpath.bonding import BondClient, BondServer, Fec

MTU = 1400
"""Of the device, until paths have told what fits."""
OVERHEAD = HEAD + TAG + HEADER + 2
"""Bytes of a datagram beside the inner packet; 2: an unfinished checksum's place."""
LEAST_IPV6 = 1280
"""RFC 8200, 5. Below, the kernel takes IPv6 from a device, with all its addresses."""
LEAST_IPV4 = 576


class Fitting:
    """Of one device. Paths are given with their names, as people know them."""

    def __init__(self, device: Device, configured: int | None) -> None:
        """`configured`: an MTU of the settings."""
        self._device = device
        self.mtu = configured or MTU
        self.narrow: list[str] = []
        """In words, for each path that carries less than the device's packets."""

    def configure(self, settings: BondClient | BondServer, inner: Sequence[str], now: float) -> None:
        """Give the device its MTU, which is the settings' where these have one, and these inner addresses."""
        self.mtu = max(settings.mtu or self.mtu, _least(inner))
        self._device.configure(inner, self.mtu, now, settings if isinstance(settings, BondServer) else None)

    def follow(
        self,
        settings: BondClient | BondServer,
        inner: Sequence[str],
        paths: Iterable[tuple[str, Path]],
        most: int | None,
        now: float,
    ) -> None:
        """To be called about once a second. `most`: the largest MTU; None: the device has none to follow yet."""
        used = [(name, path) for name, path in paths if path.state is State.UP]
        sizes = {name: path.mtu.size for name, path in used if path.mtu.known}
        corrected = settings.transport.correction.mode is not Fec.OFF
        self.narrow = narrow(settings.mtu, sizes, inner, corrected=corrected)
        self._device.pace(pace([path for _, path in used]))
        if settings.mtu is not None or most is None:
            return
        fits = fitting([path.mtu.size for _, path in used if path.mtu.known])
        if fits is not None and (mtu := min(fits, most)) != self.mtu:
            self.mtu = mtu
            self.configure(settings, inner, now)


def pace(used: Sequence[Path]) -> float | None:
    """Bytes a second of all paths in use together; None while that of one is not known."""
    known = [capacity for path in used if (capacity := path.rate.capacity) is not None]
    return sum(known) if known and len(known) == len(used) else None


def fitting(sizes: Sequence[int]) -> int | None:
    """The largest inner packet that goes whole by every path, also when it is repaired; None while nothing is known.

    `sizes`: bytes of each path's largest datagram.
    """
    return max(LEAST_IPV6, min(sizes) - OVERHEAD - REPAIR) if sizes else None


def narrow(configured: int | None, sizes: Mapping[str, int], inner: Sequence[str], *, corrected: bool) -> list[str]:
    """In words, what does not carry the packets of a device with this MTU (None: with the least that it must have).

    sizes: name of each path in use -> bytes of its largest datagram. inner: the device's addresses. corrected: there
    may be repairs. Such a path makes no smaller device: what is too large for it cannot go by it.
    """
    overhead = OVERHEAD + (REPAIR if corrected else 0)
    least = _least(inner)
    problems = []
    if configured is not None and configured < least:
        problems.append(f"mtu {configured} is too small for IPv{6 if least == LEAST_IPV6 else 4}: {least} is used")
    mtu = max(least, configured or 0)
    for name, room in sorted((name, size - overhead) for name, size in sizes.items()):
        if room < mtu and mtu == configured:
            problems.append(f"packets over {room} bytes do not pass {name}: unset `mtu` or make it {room} or less")
        elif room < mtu:
            problems.append(
                f"{name} carries packets of {room} bytes only, and the bond needs {mtu}: larger ones are lost while it "
                f"is in use; give it a larger MTU or take it out of the bond"
            )
    return problems


def _least(inner: Sequence[str]) -> int:
    """MTU of a device with these addresses."""
    return LEAST_IPV6 if any(":" in each for each in inner) else LEAST_IPV4
