# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups of data frames and their REPAIR frames as they arrive (docs/bond-protocol.md, "Repairs"). Pure.

Numbers of data frames are modulo 2^32 and cost nothing here but a key of a dictionary: what is kept is bounded by how
much has come since, not by numbers.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from netpath.bond.fec.codec import Codec
from netpath.bond.fec.field import MOST_DATA
from netpath.bond.fec.repair import FIRST, HEADS, LENGTH, LONGEST, RepairFrame, block_of, is_data_frame, parse
from netpath.bond.frames import U32
from netpath.bond.rows import Row, cut

IDLE, ACTIVE = 128, 2048
"""Data frames kept (up to twice as many): before the peer has sent repairs, and while it does."""
_QUIET = 4
"""So many times ACTIVE data frames without a repair: the peer sends none any more."""
HELD = 4 << 20
"""Bytes of repairs kept for groups that are not whole."""
GROUPS = 4096
"""Groups remembered, whole ones too."""
AGE = 10.0
"""Seconds after which a generation ends, though it is not full: with little traffic the last 4,096 data frames are
those of minutes, and no repair comes for them any more."""
TRIES = 4
"""How often a group gets patience before it is counted as failed."""


class Recovered(NamedTuple):
    number: int
    frame: bytes


@dataclass(slots=True)
class Counters:
    """Since the beginning."""

    recovered: int = 0
    """Data frames."""
    repairs: int = 0
    """REPAIR frames that were sound."""
    late: int = 0
    """Of them, such as came to a group that was whole."""
    failed: int = 0
    """Times that a group was given up: too little came of it."""
    faulty: int = 0
    """Groups or REPAIR frames of them that contradict each other or their data frames."""


class _Group:
    """One that is not whole."""

    __slots__ = ("base", "deadline", "k", "last", "r", "repairs", "size", "tries")

    def __init__(self, base: int, k: int, r: int, size: int) -> None:
        self.base, self.k, self.r, self.size = base, k, r, size
        self.repairs: dict[int, bytes] = {}
        self.deadline = 0.0
        self.last: int | None = None
        """The last number that was missing; None: it is known to be lost, and that did not help."""
        self.tries = 0
        """0: nobody waits for it any more."""


class Decoder:
    """One direction's groups as they arrive: `add` and `repair` for each frame, then `passed` and `due`."""

    __slots__ = (
        "_codec",
        "_ends",
        "_former",
        "_groups",
        "_held",
        "_in_rows",
        "_limit",
        "_new",
        "_old",
        "_passed",
        "_pending",
        "_quiet",
        "_recovered",
        "_recovered_before",
        "_rows",
        "_size",
        "counters",
        "patience",
    )

    def __init__(self, codec: Codec, patience: float = 0.05) -> None:
        self._codec = codec
        self.patience = patience
        """Seconds that a missing data frame may still be under way after its group's repair came."""
        self.counters = Counters()
        self._limit = IDLE
        self._quiet = 0
        self._ends: float | None = None
        """When the newer generation ends, whatever is in it; None: AGE after the next `due`."""
        # Two generations: forgetting the oldest is one assignment.
        self._new: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self._rows: deque[tuple[int, bytes, int, int]] = deque()
        """Number, what it is, its stride and count: instead of `_new`, before the peer has sent repairs."""
        self._in_rows = 0
        """Their data frames."""
        self._recovered: set[int] = set()
        self._recovered_before: set[int] = set()
        self._passed: int | None = None
        self._size = 0
        """k of the newest group."""
        self._groups: OrderedDict[int, _Group | None] = OrderedDict()
        """By base; None: whole."""
        self._former = 0
        """So many of them, the oldest, are of the older generation."""
        self._held = 0
        self._pending: deque[_Group] = deque()
        """Nearly in order of deadlines."""

    def add(self, number: int, frame: bytes) -> bool:
        """A data frame came; False: it was recovered before. The object is kept, so nobody may change it."""
        new = self._new
        if len(frame) <= LONGEST:
            new[number] = frame
        if len(new) >= self._limit:
            self._turn()
        return number not in self._recovered and number not in self._recovered_before

    def add_row(self, number: int, frames: Sequence[bytes]) -> bool:
        """As `add`, for frames whose numbers follow each other without passing their end, the first one's being
        `number`; False, and nothing is done: `add` each of them, as one may have been recovered.
        """
        numbers = range(number, number + len(frames))
        for recovered in (self._recovered, self._recovered_before):
            if recovered and not recovered.isdisjoint(numbers):
                return False
        if len(max(frames, key=len)) > LONGEST:
            return False
        self._new.update(zip(numbers, frames, strict=True))
        if len(self._new) >= self._limit:
            self._turn()
        return True

    def spare(self, number: int, row: Row) -> bool:
        """As `add_row`, where no repairs come, so that hardly anything is kept; False, and nothing is done, where they
        do.
        """
        if self._limit != IDLE or self._recovered or self._recovered_before:
            return False
        if row.stride <= LONGEST:
            rows = self._rows
            rows.append((number, row.copy(), row.stride, row.count))
            self._in_rows += row.count
            while self._in_rows - rows[0][3] >= IDLE:
                self._in_rows -= rows.popleft()[3]
        return True

    @property
    def repaired(self) -> bool:
        """Whether the peer sends repairs."""
        return self._limit != IDLE

    def passed(self, number: int) -> None:
        """Every data frame before `number` has arrived or is lost: no path has it under way any more."""
        self._passed = number & U32

    def settled(self, passed: int) -> int:
        """Data frames before this number will not be recovered any more, when `passed` is as above.

        It is not modulo 2^32 if `passed` is not. Repairs follow their group at once, so where every path is past the
        whole group, they have arrived, too, or are lost.
        """
        if self._limit == IDLE:
            return passed
        behind = self._size
        # Those that were tried in vain, when nothing more was to come, wait for what is asked for again.
        waiting = next((group for group in self._pending if group.tries == TRIES), None)
        if waiting is not None and (distance := passed - waiting.base & U32) < 1 << 31:
            behind = max(behind, distance)
        return passed - behind

    def repair(self, frame: bytes | memoryview, now: float) -> int:
        """A REPAIR frame came. Recovers nothing yet: `due` does. Raises FrameError.

        Returns the number after its group: on the path it came by, no data frame before that is under way any more.
        """
        repair = parse(frame)
        self._limit, self._quiet, self._size = ACTIVE, 0, repair.k
        while self._rows:
            number, data, stride, count = self._rows.popleft()
            self._in_rows -= count
            self._new.update(zip(range(number, number + count), cut(data, stride, count), strict=True))
        self._keep(repair, now)
        return repair.base + repair.k & U32

    def needless(self, row: Row) -> int | None:
        """REPAIR frames of which none is of use, as nothing of their groups was lost: nearly all on a good line. The
        number after the last group; None, and nothing is done: give each of them to `repair`.
        """
        heads = row.fields(HEADS)
        if set(heads[::6]) != {FIRST} or self._rows:
            return None
        groups = dict.fromkeys(zip(heads[1::6], heads[2::6], strict=True))
        new = []
        for base, k in groups:
            group = self._groups.get(base, self)
            if group is self and 0 < k <= MOST_DATA and all(map(self._new.__contains__, range(base, base + k))):
                new.append((base, k))
            elif group is not None:
                return None
        for base, k in new:
            self._enter(base, None)
            self._drop(base, k)
        base, k = next(reversed(groups))
        self._limit, self._quiet, self._size = ACTIVE, 0, k
        self.counters.repairs += len(row)
        self.counters.late += len(row) - len(new)
        return base + k & U32

    def _enter(self, base: int, group: _Group | None) -> None:
        self._groups[base] = group
        if len(self._groups) > GROUPS:
            self._forget_oldest()

    def _keep(self, repair: RepairFrame, now: float) -> None:
        """Enter it into its group."""
        base, k, r, row, block = repair
        groups, counters = self._groups, self.counters
        group = groups.get(base, self)
        if group is None:
            counters.repairs += 1
            counters.late += 1
            return
        if not isinstance(group, _Group):
            group = _Group(base, k, r, len(block))
            self._enter(base, group)
        elif (k, r, len(block)) != (group.k, group.r, group.size):
            counters.faulty += 1
            return
        counters.repairs += 1
        if row in group.repairs:
            return
        if not group.tries and not self._wait(group, now):
            return
        group.repairs[row] = block
        self._held += len(block)
        while self._held > HELD:
            self._forget_oldest()

    def due(self, now: float) -> list[Recovered]:
        """Data frames of groups whose time is up, or whose missing data frames are known to be lost.

        To be called after each batch of datagrams, and at `deadline`.
        """
        if self._ends is None or now >= self._ends:
            self._grow_old(now)
        pending = self._pending
        if not pending:
            return []
        found: list[Recovered] = []
        again = []
        while pending:
            group = pending[0]
            if group.deadline > now and (group.last is None or not self._is_passed(group.last)):
                break
            pending.popleft()
            if not self._settle(group, found):
                again.append(group)
        for group in again:
            group.tries -= 1
            if group.tries:
                group.deadline, group.last = now + self.patience, None
                pending.append(group)
            else:
                self.counters.failed += 1
        return found

    @property
    def deadline(self) -> float | None:
        """When `due` is to be called, whatever comes until then."""
        return self._pending[0].deadline if self._pending else None

    def _turn(self) -> None:
        """A generation is full."""
        self._quiet += 1
        if self._quiet > _QUIET:
            self._limit = IDLE
        self._old, self._new = self._new, {}
        self._ends = None  # or what has just come could go with the next look at the clock

    def _grow_old(self, now: float) -> None:
        """A generation begins, or ends before it is full."""
        if self._ends is not None:
            self._old, self._new = self._new, {}
            self._rows.clear()
            self._in_rows = 0
            self._recovered_before, self._recovered = self._recovered, set()
            for _ in range(self._former):
                self._forget_oldest()
            self._former = len(self._groups)
        self._ends = now + AGE

    def _wait(self, group: _Group, now: float) -> bool:
        """False: nothing of the group is missing."""
        missing = self._missing(group)
        if not missing:
            self._finish(group)
            return False
        group.deadline, group.last, group.tries = now + self.patience, group.base + missing[-1], TRIES
        self._pending.append(group)
        return True

    def _settle(self, group: _Group, found: list[Recovered]) -> bool:
        """Recover what is missing; False: that cannot be done yet."""
        if self._groups.get(group.base) is not group:
            return True
        missing = self._missing(group)
        if len(missing) > len(group.repairs):
            return False
        if missing:
            self._recover(group, missing, found)
        self._finish(group)
        return True

    def _recover(self, group: _Group, missing: list[int], found: list[Recovered]) -> None:
        base, k, size = group.base, group.k, group.size
        data = {}
        new, old = self._new, self._old
        for j in range(k):
            number = base + j & U32
            frame = new.get(number)
            if frame is None:
                frame = old.get(number)
            if frame is not None:
                data[j] = block_of(frame).ljust(size, b"\0")
        if {*map(len, data.values())} - {size}:
            self.counters.faulty += 1
            return
        blocks = self._codec.decode(k, data, group.repairs)
        for j in missing:
            number = base + j & U32
            block = blocks[j]
            end = LENGTH + int.from_bytes(block[:LENGTH], "big")
            frame = block[LENGTH:end]
            if end > size or not is_data_frame(frame, number):
                self.counters.faulty += 1
                continue
            self.counters.recovered += 1
            self._remember(number)
            found.append(Recovered(number, frame))

    def _remember(self, number: int) -> None:
        """If it comes after all, it has been here."""
        self._recovered.add(number)
        if len(self._recovered) >= ACTIVE:
            self._recovered_before, self._recovered = self._recovered, set()

    def _missing(self, group: _Group) -> list[int]:
        new, old, base = self._new, self._old, group.base
        if all(map(new.__contains__, range(base, base + group.k))):
            return []
        return [j for j in range(group.k) if (base + j & U32) not in new and (base + j & U32) not in old]

    def _finish(self, group: _Group) -> None:
        """It is whole, or as good as that: nothing more is kept of it, nor expected."""
        base = group.base
        self._groups[base] = None
        self._held -= len(group.repairs) * group.size
        self._drop(base, group.k)

    def _drop(self, base: int, k: int) -> None:
        """Data frames of a group that are not needed any more."""
        numbers: Sequence[int] = range(base, base + k)
        if base + k > U32:
            numbers = [number & U32 for number in numbers]
        for frames in (self._new, self._old):
            deque(map(frames.pop, numbers, repeat(None)), 0)

    def _forget_oldest(self) -> None:
        group = self._groups.popitem(last=False)[1]
        self._former = max(0, self._former - 1)
        if group is not None:
            self._held -= len(group.repairs) * group.size
            group.repairs.clear()
            if group.tries:
                self.counters.failed += 1

    def _is_passed(self, number: int) -> bool:
        return self._passed is not None and 0 < self._passed - number & U32 < 1 << 31
