# SPDX-License-Identifier: GPL-2.0-or-later
"""Bounded history of each uplink: one sample a second for ten minutes, one a minute for a day. 8 bytes a figure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

COLUMNS = ("time", "rx_rate", "tx_rate", "latency", "loss")
FINE_SAMPLES, FINE_INTERVAL = 600, 1.0
COARSE_SAMPLES, COARSE_INTERVAL = 1440, 60.0
UNKNOWN = -1.0
"""Stands for "not measured" inside an array; shown as null."""


class Ring:
    """A fixed number of samples, the oldest overwritten."""

    def __init__(self, samples: int) -> None:
        self._data = array("d", [0.0]) * (samples * len(COLUMNS))
        self._samples = samples
        self._count = 0

    def add(self, sample: tuple[float, ...]) -> None:
        width = len(COLUMNS)
        at = (self._count % self._samples) * width
        self._data[at : at + width] = array("d", sample)
        self._count += 1

    def newest(self, most: int) -> Iterator[tuple[float, ...]]:
        """The last `most` samples, oldest first."""
        width = len(COLUMNS)
        for index in range(max(0, self._count - min(self._samples, most)), self._count):
            at = (index % self._samples) * width
            yield tuple(self._data[at : at + width])


class Rates:
    """Bytes and packets of one device, and their rates between the last two readings."""

    def __init__(self) -> None:
        self.totals = (0, 0, 0, 0)
        self.rx_rate = self.tx_rate = 0.0
        self._at: float | None = None
        self._device = ""

    def update(self, totals: tuple[int, int, int, int], now: float, device: str = "") -> None:
        """Feed rx_bytes, tx_bytes, rx_packets, tx_packets; a counter that went back means a new device."""
        if device != self._device:  # configured anew: its counters have nothing to do with the old ones
            self._device = device
            self.gone()
        if self._at is not None and now > self._at:
            span = now - self._at
            self.rx_rate = max(0, totals[0] - self.totals[0]) / span
            self.tx_rate = max(0, totals[1] - self.totals[1]) / span
        self.totals, self._at = totals, now

    def gone(self) -> None:
        """The device is not there: no rate, and no jump when it comes back."""
        self.rx_rate = self.tx_rate = 0.0
        self._at = None


class History:
    """Both rings of one uplink."""

    def __init__(self) -> None:
        self._fine = Ring(FINE_SAMPLES)
        self._coarse = Ring(COARSE_SAMPLES)
        self._minute: list[tuple[float, ...]] = []

    def add(self, sample: tuple[float, ...]) -> None:
        """`sample` has the fields of COLUMNS; its time is monotonic."""
        self._fine.add(sample)
        self._minute.append(sample)
        if len(self._minute) * FINE_INTERVAL >= COARSE_INTERVAL:
            times, *figures = zip(*self._minute, strict=True)
            self._coarse.add((times[-1], *(_mean(figure) for figure in figures)))
            self._minute.clear()

    def rows(
        self, since: float, *, coarse: bool = False, most: int = COARSE_SAMPLES, ahead: float = 0.0
    ) -> list[list[float | None]]:
        """Of the newest `most` samples those at or after `since`, oldest first; None: not measured.

        `since` is monotonic like the times of the samples; `ahead` is added to the times of the rows.
        """
        ring = self._coarse if coarse else self._fine
        return [
            [round(row[0] + ahead, 3), *(None if v == UNKNOWN else round(v, 3) for v in row[1:])]
            for row in ring.newest(most)
            if row[0] >= since
        ]


def _mean(column: tuple[float, ...]) -> float:
    known = [v for v in column if v != UNKNOWN]
    return sum(known) / len(known) if known else UNKNOWN
