# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups of data frames and their REPAIR frames (docs/bond-protocol.md, "Repairs"). Pure.

Numbers of data frames are modulo 2^32 and cost nothing here but a key of a dictionary: what is kept is bounded by how
much has come since, not by numbers.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from netpath.bond.fec.codec import Codec
from netpath.bond.fec.field import MOST_DATA, MOST_REPAIRS
from netpath.bond.frames import U32, FrameError, Type

LONGEST = 9000
"""Bytes of a data frame that can be in a group: bounds what a peer can make this end keep."""
LENGTH = 2
"""Bytes before a data frame in its block."""
_HEAD = struct.Struct(">BIBBBH")
OVERHEAD = _HEAD.size + LENGTH
"""By so much a REPAIR is longer than the longest data frame of its group."""
_DATA_FRAME = struct.Struct(">B5xI")
"""Type with flags, number."""
_FIRST = Type.REPAIR << 4
IDLE, ACTIVE = 128, 2048
"""Data frames kept (up to twice as many): before the peer has sent repairs, and while it does."""
_QUIET = 4
"""So many times ACTIVE data frames without a repair: the peer sends none any more."""
HELD = 4 << 20
"""Bytes of repairs kept for groups that are not whole."""
GROUPS = 4096
"""Groups remembered, whole ones too."""
TRIES = 4
"""How often a group gets patience before it is counted as failed."""


class Policy(Protocol):
    """How much is sent for repair; `netpath.bond.fec.adaptive` has them."""

    k: int
    active: bool
    """Whether a full group gets any."""

    def repairs(self, k: int) -> int:
        """For a group of k data frames (1..self.k)."""


class Repair(NamedTuple):
    """To be sent."""

    frame: bytes
    avoid: int
    """Path by which it should not go, if there is another: so much of its group goes there."""


NOTHING: tuple[Repair, ...] = ()


class Encoder:
    """One direction's groups as they are sent."""

    __slots__ = ("_base", "_blocks", "_codec", "_paths", "policy")

    def __init__(self, codec: Codec, policy: Policy) -> None:
        self._codec = codec
        self.policy = policy
        self._base = 0
        self._blocks: list[bytes] = []
        self._paths: list[int] = []

    @property
    def pending(self) -> int:
        """Data frames of the group that has begun: with a timer of the caller's, `flush` follows."""
        return len(self._blocks)

    def add(self, number: int, frame: bytes | memoryview, path: int) -> Sequence[Repair]:
        """A data frame was sent by `path`; what is to be sent now, mostly nothing. The frame is copied."""
        blocks = self._blocks
        ended = NOTHING
        if not blocks or number != self._base + len(blocks) & U32:
            if blocks:
                ended = self.flush()
            if not self.policy.active:
                return ended
            self._base = number
            blocks = self._blocks
        size = len(frame)
        if size > LONGEST:
            return (*ended, *self.flush())
        blocks.append(size.to_bytes(LENGTH, "big") + frame)
        self._paths.append(path)
        if len(blocks) >= self.policy.k:
            return (*ended, *self.flush())
        return ended

    def flush(self) -> tuple[Repair, ...]:
        """The group ends here; its repairs."""
        blocks, paths = self._blocks, self._paths
        if not blocks:
            return NOTHING
        self._blocks, self._paths = [], []
        k = len(blocks)
        r = self.policy.repairs(k)
        if not r:
            return NOTHING
        size = max(map(len, blocks))
        found = self._codec.encode([block.ljust(size, b"\0") for block in blocks], r)
        base = self._base
        frames = [_HEAD.pack(_FIRST, base, k, r, i, size) + block for i, block in enumerate(found)]
        return tuple(map(Repair, frames, _avoid(paths, r)))


def _avoid(paths: list[int], r: int) -> list[int]:
    """The path to avoid for each repair: where most of the group goes, its repairs so far included."""
    first = paths[0]
    if paths.count(first) == len(paths):
        return [first] * r
    counts = {path: paths.count(path) for path in dict.fromkeys(paths)}
    found = []
    for _ in range(r):
        most = max(counts, key=counts.__getitem__)
        found.append(most)
        least = min([path for path in counts if path != most], key=counts.__getitem__)
        counts[least] += 1
    return found


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
        """The last number that was missing; None: it is known to be lost, which did not help."""
        self.tries = 0
        """0: nobody waits for it any more."""


class Decoder:
    """One direction's groups as they arrive. The caller sees to it that no number is delivered twice."""

    __slots__ = (
        "_codec",
        "_groups",
        "_held",
        "_limit",
        "_new",
        "_old",
        "_passed",
        "_pending",
        "_quiet",
        "counters",
        "live",
        "patience",
    )

    def __init__(self, codec: Codec, patience: float = 0.05) -> None:
        self._codec = codec
        self.patience = patience
        """Seconds that a missing data frame may still be under way after its group's repair came."""
        self.live: Iterable[int] = ()
        """Paths that data frames come by. What all of them have passed is lost."""
        self.counters = Counters()
        self._limit = IDLE
        self._quiet = 0
        # Two generations: forgetting the oldest is one assignment.
        self._new: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self._passed: dict[int, int] = {}
        """Path -> number that it has come to; on one path they ascend."""
        self._groups: OrderedDict[int, _Group | None] = OrderedDict()
        """By base; None: whole."""
        self._held = 0
        self._pending: deque[_Group] = deque()
        """Nearly in order of deadlines."""

    def add(self, number: int, frame: bytes, path: int) -> None:
        """A data frame came by `path`. The object is kept, so nobody may change it."""
        new = self._new
        new[number] = frame
        self._passed[path] = number
        if len(new) >= self._limit:
            self._turn()

    def repair(self, frame: bytes | memoryview, path: int, now: float) -> None:
        """A REPAIR frame came. Recovers nothing yet: `due` does. Raises FrameError."""
        base, k, r, index, block = _parse(frame)
        self._limit, self._quiet = ACTIVE, 0
        self._advance(path, base + k - 1)
        groups, counters = self._groups, self.counters
        group = groups.get(base, self)
        if group is None:
            counters.repairs += 1
            counters.late += 1
            return
        if not isinstance(group, _Group):
            group = groups[base] = _Group(base, k, r, len(block))
            if len(groups) > GROUPS:
                self._forget_oldest()
        elif (k, r, len(block)) != (group.k, group.r, group.size):
            counters.faulty += 1
            return
        counters.repairs += 1
        if index in group.repairs:
            return
        if not group.tries and not self._wait(group, now):
            return
        group.repairs[index] = block
        self._held += len(block)
        while self._held > HELD:
            self._forget_oldest()

    def due(self, now: float) -> list[Recovered]:
        """Data frames of groups whose time is up, or whose missing data frames are known to be lost.

        To be called after each batch of datagrams, and at `deadline`.
        """
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
                data[j] = (len(frame).to_bytes(LENGTH, "big") + frame).ljust(size, b"\0")
        if {*map(len, data.values())} - {size}:
            self.counters.faulty += 1
            return
        blocks = self._codec.decode(k, data, group.repairs)
        for j in missing:
            number = base + j & U32
            block = blocks[j]
            end = LENGTH + int.from_bytes(block[:LENGTH], "big")
            frame = block[LENGTH:end]
            if end > size or not _is_data_frame(frame, number):
                self.counters.faulty += 1
                continue
            self.counters.recovered += 1
            found.append(Recovered(number, frame))

    def _missing(self, group: _Group) -> list[int]:
        new, old, base = self._new, self._old, group.base
        return [j for j in range(group.k) if (base + j & U32) not in new and (base + j & U32) not in old]

    def _finish(self, group: _Group) -> None:
        """It is whole, or as good as that: nothing more is kept of it, nor expected."""
        base = group.base
        self._groups[base] = None
        self._held -= len(group.repairs) * group.size
        pop_new, pop_old = self._new.pop, self._old.pop
        for number in range(base, base + group.k):
            pop_new(number & U32, None)
            pop_old(number & U32, None)

    def _forget_oldest(self) -> None:
        group = self._groups.popitem(last=False)[1]
        if group is not None:
            self._held -= len(group.repairs) * group.size
            group.repairs.clear()
            if group.tries:
                self.counters.failed += 1

    def _advance(self, path: int, number: int) -> None:
        """A repair follows its data: on its path, nothing older will come."""
        passed = self._passed.get(path)
        if passed is None or number - passed & U32 < 1 << 31:
            self._passed[path] = number & U32

    def _is_passed(self, number: int) -> bool:
        """Whether every live path has come to the number or beyond it."""
        passed = self._passed
        some = False
        for path in self.live:
            some = True
            if path not in passed or passed[path] - number & U32 >= 1 << 31:
                return False
        return some


def _parse(frame: bytes | memoryview) -> tuple[int, int, int, int, bytes]:
    """(base, k, r, index, block); padding after the block is ignored."""
    try:
        first, base, k, r, index, size = _HEAD.unpack_from(frame)
    except struct.error:
        raise FrameError("a frame of type 10 that is cut off") from None
    block = bytes(frame[_HEAD.size : _HEAD.size + size])
    if first != _FIRST:
        raise FrameError(f"a frame of type {first >> 4} with the unknown flags {first & 0xF}")
    if not (1 <= k <= MOST_DATA and index < r <= MOST_REPAIRS and LENGTH < size <= LENGTH + LONGEST):
        raise FrameError(f"a repair {index} of {k}+{r} with {size} bytes")
    if len(block) != size:
        raise FrameError("a frame of type 10 that is cut off")
    return base, k, r, index, block


def _is_data_frame(frame: bytes, number: int) -> bool:
    if len(frame) <= _DATA_FRAME.size:
        return False
    first, own = _DATA_FRAME.unpack_from(frame)
    return first >> 4 in (Type.PACKET, Type.SLICE) and own == number
