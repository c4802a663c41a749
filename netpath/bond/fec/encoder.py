# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups of data frames as they are sent, and the repairs that follow them (docs/bond-protocol.md, "Repairs"). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from netpath.bond.fec.codec import Codec
from netpath.bond.fec.repair import COPY, LENGTH, LONGEST, blocks_of, pack_all
from netpath.bond.frames import U32


class Policy(Protocol):
    """How much is sent for repair; `netpath.bond.fec.adaptive` has them."""

    k: int
    active: bool
    """Whether a full group gets any."""

    asked: bool
    """Whether the peer asks for what no repair brings back: then fewer will do."""

    def repairs(self, k: int) -> int:
        """For a group of k data frames (1..self.k)."""

    def observe(self, path: int, sent: int, lost: int, now: float) -> None:
        """So many datagrams went by `path` since the last call, so many of them did not arrive."""

    def forget(self, path: int) -> None:
        """It carries nothing any more."""


class Repair(NamedTuple):
    """To be sent."""

    frame: bytes
    avoid: int
    """Path by which it should not go, if there is another: so much of its group goes there."""


NOTHING: tuple[Repair, ...] = ()


class Encoder:
    """One direction's groups as they are sent."""

    __slots__ = ("_base", "_codec", "_copies", "_frames", "_paths", "policy")

    def __init__(self, codec: Codec, policy: Policy) -> None:
        self._codec = codec
        self.policy = policy
        self._base = 0
        self._frames: list[bytes] = []
        self._copies = False
        """Some of them have COPY."""
        self._paths: list[int] = []

    @property
    def pending(self) -> int:
        """Data frames of the group that has begun: with a timer of the caller's, `flush` follows."""
        return len(self._frames)

    def add(self, number: int, frames: Sequence[bytes], path: int) -> list[Repair]:
        """Data frames of one packet, with numbers one after another, the first one's being `number`, were sent by
        `path`; what is to be sent now, mostly nothing. All but the last are of one size, and with COPY or without.
        """
        found: list[Repair] = []
        at, all_fit = 0, len(frames[0]) <= LONGEST and len(frames[-1]) <= LONGEST
        copies = bool(frames[0][0] & COPY)
        while at < len(frames):
            pending = self._frames
            if pending and number + at & U32 != self._base + len(pending) & U32:
                found += self.flush()
                pending = self._frames
            if not pending:
                if not self.policy.active:
                    return found
                self._base = number + at & U32
            part = frames[at : at + max(1, self.policy.k - len(pending))]
            if not all_fit:
                part = part[:1]
                if len(part[0]) > LONGEST:
                    found += self.flush()
                    at += 1
                    continue
            pending += part
            self._copies = self._copies or copies
            self._paths += [path] * len(part)
            at += len(part)
            if len(pending) >= self.policy.k:
                found += self.flush()
        return found

    def flush(self) -> tuple[Repair, ...]:
        """The group ends here; its repairs."""
        frames, paths = self._frames, self._paths
        if not frames:
            return NOTHING
        copies = self._copies
        self._frames, self._paths, self._copies = [], [], False
        r = self.policy.repairs(len(frames))
        if not r:
            return NOTHING
        sizes = set(map(len, frames))
        if len(sizes) == 1 and not copies:
            repairs = pack_all(self._base, len(frames), self._codec.encode(frames, r), sizes.pop())
        else:
            size = LENGTH + max(sizes)
            blocks = [block.ljust(size, b"\0") for block in blocks_of(frames, copies=copies)]
            repairs = pack_all(self._base, len(frames), self._codec.encode(blocks, r))
        return tuple(map(Repair, repairs, _avoid(paths, r)))


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
