# SPDX-License-Identifier: GPL-2.0-or-later
"""What has passed each device in the month of its quota, and the two files that remember it.

The kept file (`Paths.usage`, on flash) survives a reboot. It is written when a quota was used by another 2 % since the
last time, six hours after the last time if anything has changed, and at a stop: with one quota at most 50 + 124 times a
month of 31 days, some 300 bytes each. A copy in the state directory is written once a minute, so that a crash loses
nothing while the device lives, and only a power cut loses up to 2 % or six hours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from netpath.model import Member
from netpath.statedir import USAGE, StateDir, boot_id
from netpath.steering.schedule import Period, period
from netpath.tracker.journal import Log

COPY_EVERY = 60.0
"""Seconds between copies in the state directory."""
KEEP_EVERY = 6 * 3600.0
"""Seconds between writes of the kept file at most, unless `STEPS` says so."""
STEPS = 50
"""Writes of the kept file while a whole quota is used: each 2 %."""
MONTHS = 2
"""Months remembered, so that one is not lost when the clock was wrong for a while."""
MOST_METERS = 256
VERSION = 1


@dataclass(slots=True)
class Meter:
    """Traffic of one interface's device by the months that begin on day `reset`; all in bytes of both directions."""

    interface: str
    reset: int
    since: int | None = None
    """When counting began (epoch); None until the clock was set."""
    months: dict[str, int] = field(default_factory=dict)
    """Name of the month (`Period.name`) -> bytes, the one that was used last at the end."""
    unplaced: int = 0
    """Counted while the clock was not set: belongs to the month that it is set to."""
    device: str = ""
    counter: int = 0
    """Last reading of the device's counters."""

    def read(self, totals: Mapping[str, tuple[int, int, int, int]], device: str | None) -> int:
        """Bytes since the last reading. A counter that went back is a new device's, all of which counts."""
        name = device or self.device
        found = totals.get(name)
        reading = found[0] + found[1] if found else 0
        if name != self.device:  # what passed another device before is none of ours
            self.device, self.counter = name, reading
        grown = reading - self.counter if reading >= self.counter else reading
        self.counter = reading
        return grown

    def place(self, month: str) -> None:
        """Put what has been counted into `month`, which becomes the one used last."""
        total = self.months.pop(month, 0) + self.unplaced
        self.unplaced = 0
        self.months[month] = total
        while len(self.months) > MONTHS:
            del self.months[next(iter(self.months))]


class Budget:
    """The meters of all quotas."""

    def __init__(self, state_dir: StateDir, file: Path, log: Log) -> None:
        """Read what is remembered. A file that makes no sense is set aside and said."""
        self._state_dir = state_dir
        self._file = file
        self._log = log
        self._meters: dict[tuple[str, int], Meter] = {}
        self._limits: dict[tuple[str, int], list[int]] = {}
        """Meters that count now, with the limits of their members in ascending order."""
        self._periods: dict[int, Period] = {}
        self._serial = 0
        """Of the last write; tells which file is newer."""
        self._writing = Lock()
        self._written = 0
        """Serial of the kept file that this process wrote last."""
        self._kept: dict[tuple[str, int], int] = {}
        """Bytes of the running month at the last write of the kept file."""
        self._kept_at: float | None = None
        self._copied_at = 0.0
        self._changed = self._copy_due = False
        """Something was counted since the kept file, the copy, was written."""
        self._load()

    # -- counting -----------------------------------------------------------------------------------------------

    def limit(self, members: Collection[Member]) -> None:
        """Count for the quotas of these members from now on; months that nobody counts for any more stay known."""
        limits: dict[tuple[str, int], list[int]] = {}
        for member in members:
            if member.quota:
                limits.setdefault((member.interface, member.quota.reset), []).append(member.quota.limit)
        self._limits = {key: sorted(found) for key, found in limits.items()}
        for key in limits:
            self._meters.setdefault(key, Meter(*key))
        self._periods.clear()  # the time zone may be another one

    def count(
        self, totals: Mapping[str, tuple[int, int, int, int]], devices: Mapping[str, str | None], now: float | None
    ) -> None:
        """Take a reading of all devices (`rtnl.statistics`); `devices` is interface -> device, `now` the epoch."""
        for key in self._limits:
            meter = self._meters[key]
            grown = meter.read(totals, devices.get(meter.interface))
            meter.unplaced += grown
            if now is not None:
                month = self.period(now, meter.reset).name
                meter.since = meter.since or round(now)
                if meter.unplaced or next(reversed(meter.months), "") != month:
                    meter.place(month)
            if grown:
                self._changed = self._copy_due = True

    def used(self, now: float | None) -> dict[tuple[str, int], int]:
        """(interface, reset day) -> bytes of the running month, also of meters that do not count now; while nobody
        knows the month, of the last one known."""
        return {key: self._of(meter, now) for key, meter in self._meters.items()}

    def since(self, interface: str, reset: int) -> int | None:
        """When counting began (epoch)."""
        meter = self._meters.get((interface, reset))
        return meter.since if meter else None

    def period(self, now: float, reset: int) -> Period:
        """`schedule.period`, which takes a while, from memory."""
        found = self._periods.get(reset)
        if found is None or not found.begin <= now < found.end:
            found = self._periods[reset] = period(now, reset)
        return found

    def _of(self, meter: Meter, now: float | None) -> int:
        if now is None:
            return next(reversed(meter.months.values()), 0) + meter.unplaced
        return meter.months.get(self.period(now, meter.reset).name, 0) + meter.unplaced

    # -- remembering --------------------------------------------------------------------------------------------

    def copy(self, at: float) -> None:
        """Write the copy when it is due; `at` is the loop's time."""
        if self._copy_due and at - self._copied_at >= COPY_EVERY:
            self._copied_at = at
            self._copy()

    def keep_due(self, at: float, now: float | None) -> bool:
        """Whether the kept file should be written, at the loop's time `at`."""
        used = self.used(now)
        if self._kept_at is None:
            self._kept_at, self._kept = at, used
        return self._changed and (at - self._kept_at >= KEEP_EVERY or any(self._stepped(k, used) for k in self._limits))

    def _stepped(self, key: tuple[str, int], used: Mapping[tuple[str, int], int]) -> bool:
        """Whether another 2 % was used of a quota that was not used up at the last write."""
        before = self._kept.get(key, 0)
        if used[key] < before:  # another month
            before = self._kept[key] = 0
        limit = next((each for each in self._limits[key] if before < each), None)
        return limit is not None and used[key] - before >= limit / STEPS

    def keep(self, at: float, now: float | None) -> Callable[[], None]:
        """Count the kept file as written at the loop's time `at`. The result writes it, and may run in a thread: flash
        can be slow, and a switch must not wait for it."""
        self._kept_at, self._kept, self._changed = at, self.used(now), False
        self._serial += 1
        serial, text = self._serial, json.dumps(self._state())
        return lambda: self._write(serial, text)

    def _write(self, serial: int, text: str) -> None:
        """Replace the kept file in one step that also outlives a power cut, unless a newer one was written."""
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with self._writing:
            if serial < self._written:
                return
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("w", encoding="utf-8") as out:
                    out.write(text + "\n")
                    out.flush()
                    os.fsync(out.fileno())
                temporary.replace(self._file)
                self._written = serial
            except OSError as error:
                self._changed = True  # for the next time, at the latest for a stop
                self._log("error", f"{self._file}: the use of quotas cannot be saved: {error.strerror or error}")
                with suppress(OSError):  # there may be none, and why it failed has been said
                    temporary.unlink()

    def close(self, at: float, now: float | None) -> None:
        """A clean stop: both files are brought up to date if anything has changed."""
        if self._changed:
            self.keep(at, now)()
        if self._copy_due:
            self._copy()

    def _copy(self) -> None:
        self._copy_due = False
        self._serial += 1
        try:
            self._state_dir.write_json(USAGE, self._state())
        except OSError as error:
            self._log("error", f"{self._state_dir.root}: cannot save the use of quotas: {error.strerror}")

    def _state(self) -> dict[str, Any]:
        ordered = sorted(self._meters.values(), key=lambda m: (m.interface, m.reset) not in self._limits)
        meters = [asdict(m) for m in ordered if m.months or m.unplaced]
        return {"version": VERSION, "serial": self._serial, "boot_id": boot_id(), "meters": meters[:MOST_METERS]}

    def _load(self) -> None:
        found = [each for each in (self._read_kept(), self._read(self._state_dir.read_json(USAGE))) if each]
        if not found:
            return
        self._serial, meters = max(found, key=lambda each: each[0])
        self._meters = {(m.interface, m.reset): m for m in meters}

    def _read_kept(self) -> tuple[int, list[Meter]] | None:
        """The kept file; None when there is none, or when it had to be set aside."""
        try:
            data = json.loads(self._file.read_text(encoding="utf-8"))
            found = self._read(data)
            if found is None:
                raise ValueError("it holds something else")
        except FileNotFoundError:
            return None
        except OSError as error:
            self._log("error", f"{self._file}: cannot be read: {error.strerror}; quotas begin with what else is known")
            return None
        except (ValueError, RecursionError) as error:
            self._set_aside(error)
            return None
        if data.get("boot_id") != boot_id():
            for meter in found[1]:  # every counter has begun at 0 since, and all it shows has passed since
                meter.counter = 0
        return found

    def _set_aside(self, error: Exception) -> None:
        aside = self._file.with_name(self._file.name + ".bad")
        message = f"{self._file}: damaged ({error}); quotas begin with what else is known"
        try:
            self._file.replace(aside)
            self._log("error", f"{message}; the file is now {aside}")
        except OSError as refused:
            self._log("error", f"{message}; it cannot be renamed: {refused.strerror}")

    def _read(self, data: Any) -> tuple[int, list[Meter]] | None:
        """Serial and meters of a file's content; None when it is something else."""
        try:
            if data["version"] != VERSION:
                return None
            return int(data["serial"]), [_meter(each) for each in data["meters"][:MOST_METERS]]
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def _meter(data: Mapping[str, Any]) -> Meter:
    """A meter from its JSON form. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    since = data["since"]
    return Meter(
        interface=str(data["interface"]),
        reset=_number(data["reset"]),
        since=None if since is None else _number(since),
        months={str(month): _number(count) for month, count in data["months"].items()},
        unplaced=_number(data["unplaced"]),
        device=str(data["device"]),
        counter=_number(data["counter"]),
    )


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no number of bytes")
    return value
