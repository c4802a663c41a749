# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups: what is lost comes back when it is time, whatever comes in whatever order, and nothing else does."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netpath.bond.fec.adaptive import Fixed
from netpath.bond.fec.encoder import Encoder, Repair
from netpath.bond.fec.groups import ACTIVE, AGE, GROUPS, HELD, IDLE, TRIES, Decoder
from netpath.bond.fec.python import PythonCodec
from netpath.bond.fec.repair import LONGEST, OVERHEAD
from netpath.bond.frames import U32, FrameError
from netpath.bond.rows import Arena

CODEC = PythonCodec()
PATIENCE = 0.05
LATER = 2 * PATIENCE


class CountingCodec(PythonCodec):
    """Tells how often something was recovered."""

    decoded = 0

    def decode(self, k: int, data: Mapping[int, bytes], repairs: Mapping[int, bytes]) -> dict[int, bytes]:
        self.decoded += 1
        return super().decode(k, data, repairs)


def frame(number: int, size: int = 40) -> bytes:
    """A PACKET with that number."""
    return struct.pack(">B5xI", 0x80, number & U32) + bytes((number + at) & 0xFF for at in range(size))


def encode(numbers: Iterable[int], k: int, r: int, sizes: Mapping[int, int] | None = None) -> list[Repair]:
    encoder = Encoder(CODEC, Fixed(k, r))
    found: list[Repair] = []
    for number in numbers:
        found += encoder.add(number & U32, [frame(number, (sizes or {}).get(number, 40))], 0)
    return found + list(encoder.flush())


def take(decoder: Decoder, numbers: Iterable[int]) -> None:
    for number in numbers:
        decoder.add(number & U32, frame(number))


def give(decoder: Decoder, repairs: Iterable[Repair], now: float = 0.0) -> None:
    for repair in repairs:
        decoder.repair(repair.frame, now)


def forged(base: int, k: int, r: int, index: int, block: bytes) -> bytes:
    return struct.pack(">BIBBBH", 0xA0, base, k, r, index, len(block)) + block


@settings(deadline=None)
@given(
    st.integers(0, U32),
    st.integers(1, 12),
    st.integers(1, 5),
    st.lists(st.integers(1, 300), min_size=1, max_size=50),
    st.randoms(use_true_random=False),
)
def test_any_r_losses_of_every_group_come_back(base: int, k: int, r: int, sizes: list[int], random: Random) -> None:
    """Frames of unequal lengths, a short tail, numbers that wrap around, any order of arrival, duplicates."""
    encoder, decoder = Encoder(CODEC, Fixed(k, r)), Decoder(CODEC, PATIENCE)
    sent = {base + n & U32: frame(base + n, size) for n, size in enumerate(sizes)}
    groups: list[list[int]] = [[]]
    arriving: list[tuple[int, bytes]] = []
    lost: set[int] = set()

    def ended(repairs: Iterable[Repair]) -> None:
        some = [(-1, repair.frame) for repair in repairs]
        everything = [(number, sent[number]) for number in groups[-1]] + some
        kept = random.sample(everything, len(groups[-1]))
        lost.update(set(groups[-1]) - {number for number, _ in kept})
        arriving.extend(kept)
        groups.append([])

    for number, content in sent.items():
        groups[-1].append(number)
        repairs = encoder.add(number, [content], 0)
        if repairs:
            ended(repairs)
    ended(encoder.flush())
    random.shuffle(arriving)
    found: dict[int, bytes] = {}
    for number, content in [*arriving, *random.choices(arriving, k=5)]:
        if number < 0:
            decoder.repair(memoryview(content), 0.0)
        else:
            decoder.add(number, content)
        assert decoder.due(PATIENCE / 2) == []
    for number, content in decoder.due(LATER):
        assert number not in found
        found[number] = content
    assert found == {number: sent[number] for number in lost}
    assert decoder.counters.recovered == len(lost)
    assert decoder.counters.faulty == decoder.counters.failed == 0
    assert decoder.deadline is None


def test_a_repair_is_as_long_as_promised() -> None:
    repairs = encode(range(3), 3, 2, {1: 777})
    assert [len(repair.frame) for repair in repairs] == [len(frame(1, 777)) + OVERHEAD] * 2


def test_what_is_on_its_way_by_a_slower_path_is_not_recovered() -> None:
    """The group's first half comes later than the rest and the repairs."""
    codec = CountingCodec()
    decoder = Decoder(codec, PATIENCE)
    decoder.passed(0)
    take(decoder, range(5, 10))
    give(decoder, encode(range(10), 10, 3))
    assert decoder.due(0.01) == []
    take(decoder, range(5))
    decoder.passed(10)
    assert decoder.due(LATER) == []
    assert codec.decoded == 0
    assert decoder.counters.failed == 0


def test_time_is_up_after_the_patience() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, range(1, 10))
    give(decoder, encode(range(10), 10, 3), now=7.0)
    assert decoder.deadline == 7.0 + PATIENCE
    assert decoder.due(7.0 + PATIENCE * 0.99) == []
    assert decoder.due(7.0 + PATIENCE) == [(0, frame(0))]


@pytest.mark.parametrize("base", [0, U32 - 3, U32 - 2, U32, 1 << 31])
def test_what_every_path_has_passed_is_recovered_at_once(base: int) -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, [base, base + 1, base + 2, base + 4])
    give(decoder, encode(range(base, base + 5), 5, 1))
    for passed in (base - 1, base, base + 2, base + 3):
        decoder.passed(passed)
        assert decoder.due(0.0) == [], "it may still come"
    decoder.passed(base + 4)
    assert decoder.due(0.0) == [(base + 3 & U32, frame(base + 3))]


def test_a_repair_tells_what_its_path_is_past() -> None:
    decoder = Decoder(CODEC)
    assert {decoder.repair(repair.frame, 0.0) for repair in encode(range(U32 - 1, U32 + 4), 5, 2)} == {3}


def test_what_may_still_be_recovered_is_not_settled() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    assert decoder.settled(77) == 77, "there are no repairs"
    take(decoder, [n for n in range(20) if n != 4])
    repairs = encode(range(20), 10, 1)
    give(decoder, repairs[1:])
    assert decoder.settled(20) == 10, "the repairs of a group as long as the last one may be under way"
    give(decoder, repairs[:1])
    assert decoder.settled(20) == 0, "the first group waits"
    assert decoder.settled(20 + (5 << 32)) == 5 << 32
    assert decoder.due(LATER)
    assert decoder.settled(20) == 10


def test_what_comes_after_it_was_recovered_is_told() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, [0, 1])
    give(decoder, encode(range(3), 3, 1))
    assert [number for number, _ in decoder.due(LATER)] == [2]
    assert not decoder.add(2, frame(2))
    assert decoder.add(3, frame(3))


def test_copies_are_protected_as_one() -> None:
    """What was sent again says so in its flags, on one path and not on the other."""
    encoder, decoder = Encoder(CODEC, Fixed(3, 1)), Decoder(CODEC, PATIENCE)
    copies = [bytes((0x82,)) + frame(number)[1:] for number in range(3)]
    repairs = [*encoder.add(0, [frame(0)], 0), *encoder.add(1, [copies[1]], 0), *encoder.add(2, [copies[2]], 0)]
    decoder.add(0, copies[0])
    decoder.add(1, frame(1))
    give(decoder, repairs)
    assert decoder.due(LATER) == [(2, frame(2))]


def test_repairs_before_their_data() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    give(decoder, encode(range(4), 4, 2))
    take(decoder, [0, 3])
    assert decoder.due(LATER) == [(1, frame(1)), (2, frame(2))]


def test_a_group_that_lost_too_much_waits_for_a_later_repair() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    repairs = encode(range(4), 4, 2)
    take(decoder, [0, 3])
    give(decoder, repairs[:1])
    assert decoder.due(LATER) == []
    give(decoder, repairs[1:], now=LATER)
    assert [number for number, _ in decoder.due(2 * LATER)] == [1, 2]
    assert decoder.counters.failed == 0


def test_a_group_beyond_repair_is_given_up_and_comes_back_if_it_can() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    repairs = encode(range(4), 4, 2)
    take(decoder, [0, 3])
    give(decoder, repairs[:1])
    for turn in range(TRIES):
        assert decoder.deadline is not None
        assert decoder.due(turn + 1.0) == []
    assert decoder.deadline is None
    assert decoder.counters.failed == 1
    give(decoder, repairs[1:], now=9.0)
    assert [number for number, _ in decoder.due(9.0 + PATIENCE)] == [1, 2]


def test_nothing_comes_back_twice() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    repairs = encode(range(3), 3, 2)
    take(decoder, [0, 1])
    give(decoder, repairs)
    assert decoder.due(LATER) == [(2, frame(2))]
    give(decoder, repairs)
    assert decoder.due(2 * LATER) == []
    assert decoder.counters.late == 2


def test_a_repair_that_says_otherwise_than_the_first_is_dropped() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    (first, second) = encode(range(3), 3, 2)
    take(decoder, [0])
    give(decoder, [first])
    block = second.frame[10:]
    for lie in (forged(0, 4, 2, 1, block), forged(0, 3, 3, 1, block), forged(0, 3, 2, 1, block + b"\0")):
        decoder.repair(lie, 0.0)
    assert decoder.counters.faulty == 3
    assert decoder.due(LATER) == []
    give(decoder, [second], now=LATER)
    assert [number for number, _ in decoder.due(2 * LATER)] == [1, 2]


def test_what_was_computed_from_lies_is_not_delivered() -> None:
    """Another number, another kind, an impossible length; a data frame too long for its group."""
    other = frame(8)
    lies = [other, b"\xa0" + frame(7)[1:], frame(7)[:10]]
    blocks = [len(lie).to_bytes(2, "big") + lie for lie in lies]
    for block in [*blocks, b"\xff\xff" + frame(7), b"\0\0" + frame(7)]:
        decoder = Decoder(CODEC, PATIENCE)
        decoder.repair(forged(7, 1, 1, 0, block), 0.0)
        assert decoder.due(LATER) == []
        assert decoder.counters.faulty == 1
    decoder = Decoder(CODEC, PATIENCE)
    decoder.add(7, frame(7, 100))
    decoder.repair(forged(7, 2, 1, 0, bytes(50)), 0.0)
    assert decoder.due(LATER) == []
    assert (decoder.counters.faulty, decoder.counters.recovered) == (1, 0)


@given(st.binary(max_size=40), st.binary(min_size=10, max_size=10))
def test_garbage_is_an_error_or_nothing(garbage: bytes, content: bytes) -> None:
    decoder = Decoder(CODEC, PATIENCE)
    decoder.add(0, content)
    for each in (garbage, b"\xa0" + garbage, struct.pack(">BIBBBH", 0xA0, 0, 2, 2, 1, len(garbage)) + garbage):
        try:
            decoder.repair(each, 0.0)
        except FrameError:
            continue
    assert all(len(found) > 10 for _, found in decoder.due(1.0))


@pytest.mark.parametrize(
    ("base", "k", "r", "index", "size"),
    [(0, 0, 1, 0, 9), (0, 65, 1, 0, 9), (0, 1, 33, 0, 9), (0, 1, 2, 2, 9), (0, 1, 1, 0, 2), (0, 1, 1, 0, LONGEST + 3)],
)
def test_impossible_repairs_are_errors(base: int, k: int, r: int, index: int, size: int) -> None:
    decoder = Decoder(CODEC)
    with pytest.raises(FrameError, match="a repair"):
        decoder.repair(forged(base, k, r, index, bytes(size)), 0.0)
    with pytest.raises(FrameError, match="cut off"):
        decoder.repair(forged(0, 2, 1, 0, bytes(20))[:-1], 0.0)
    with pytest.raises(FrameError, match="flags 1"):
        decoder.repair(b"\xa1" + forged(0, 2, 1, 0, bytes(20))[1:], 0.0)
    assert decoder.counters.repairs == 0


def test_padding_after_a_repair_is_ignored() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, [0])
    for repair in encode(range(2), 2, 1):
        decoder.repair(repair.frame + bytes(99), 0.0)
    assert decoder.due(LATER) == [(1, frame(1))]


def kept(decoder: Decoder) -> int:
    return len(decoder._new) + len(decoder._old)


def test_memory_is_bounded_whatever_comes() -> None:
    """What one end keeps for the other; numbers ever ahead, all groups incomplete."""
    decoder = Decoder(CODEC, PATIENCE)
    for number in range(10 * IDLE):
        decoder.add(number * 977 & U32, b"x")
    assert IDLE <= kept(decoder) <= 2 * IDLE
    block = bytes(1400)
    for n in range(GROUPS + HELD // len(block)):
        decoder.repair(forged(n * 7919 & U32, 9, 3, n % 3, block), n / 1000)
        decoder.due(n / 1000)
        assert decoder._held <= HELD
    assert len(decoder._groups) <= GROUPS
    assert decoder._held == sum(len(g.repairs) * g.size for g in decoder._groups.values() if g)
    assert decoder.counters.failed > 0
    for number in range(5 * ACTIVE):
        decoder.add(number, b"x")
        assert kept(decoder) <= 2 * ACTIVE
    for n in range(2 * GROUPS):
        decoder.repair(forged(n, 1, 1, 0, bytes(50)), 1e6 + n / 1e4)
        decoder.due(1e6 + n / 1e4 + 0.5)
    assert len(decoder._groups) == GROUPS
    assert decoder._held == 0


def test_what_was_recovered_is_not_remembered_for_ever() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    for number in range(3 * ACTIVE):
        give(decoder, encode([number], 1, 1))
        assert len(decoder.due(LATER)) == 1
    assert len(decoder._recovered) + len(decoder._recovered_before) <= 2 * ACTIVE


def test_nothing_is_kept_for_long_though_little_comes() -> None:
    """Data frames, whole groups, groups that nothing can be done for, numbers that were recovered."""
    decoder = Decoder(CODEC, PATIENCE)
    decoder.due(0.0)
    repairs = encode(range(40), 4, 1)
    take(decoder, [number for number in range(40) if number % 4 and number < 36])
    give(decoder, repairs)
    assert len(decoder.due(LATER)) == 9
    take(decoder, range(40, 60))
    assert kept(decoder) == 20 and len(decoder._groups) == 10 and decoder._held > 0
    decoder.due(2 * AGE)
    assert kept(decoder) == 20, "some time is left for what is under way"
    decoder.due(3.1 * AGE)
    assert kept(decoder) == len(decoder._groups) == decoder._held == 0
    assert len(decoder._recovered) + len(decoder._recovered_before) == 0


def test_what_has_just_come_stays_when_a_generation_was_full() -> None:
    """Else the clock, right after that, would end the next one, with nothing in it, and the one before would go."""
    decoder = Decoder(CODEC, PATIENCE)
    decoder.due(0.0)
    take(decoder, range(IDLE))
    decoder.due(AGE)
    give(decoder, encode(range(IDLE - 2, IDLE + 1), 3, 1), AGE)
    assert decoder.due(AGE + LATER) == [(IDLE, frame(IDLE))]


def test_groups_that_went_for_want_of_room_do_not_make_later_ones_older() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    decoder.due(0.0)
    for n in range(GROUPS):
        decoder.repair(forged(2 * n, 1, 1, 0, bytes(50)), 1.0)
    decoder.due(AGE)
    for n in range(GROUPS, 2 * GROUPS):
        decoder.repair(forged(2 * n, 1, 1, 0, bytes(50)), AGE)
    decoder.due(2 * AGE)
    assert len(decoder._groups) == GROUPS


def test_without_repairs_little_is_kept_again() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, range(3))
    give(decoder, encode(range(3), 3, 1))
    take(decoder, range(3, ACTIVE))
    assert kept(decoder) > 2 * IDLE
    take(decoder, range(ACTIVE, 9 * ACTIVE))
    assert kept(decoder) <= 2 * IDLE


def test_a_group_goes_on_where_numbers_begin_anew() -> None:
    repairs = encode(range(U32 - 4, U32 + 6), 10, 3)
    assert {struct.unpack_from(">IB", repair.frame, 1) for repair in repairs} == {(U32 - 4, 10)}


def test_the_same_repair_twice_counts_once() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    (repair, _) = encode(range(3), 3, 2)
    take(decoder, [0])
    give(decoder, [repair, repair, repair])
    assert decoder._held == len(repair.frame) - 10
    assert decoder.due(LATER) == []


def test_more_repairs_do_not_mean_more_patience() -> None:
    decoder = Decoder(CODEC, PATIENCE)
    repairs = encode(range(3), 3, 2)
    take(decoder, [0, 1])
    give(decoder, repairs[:1])
    give(decoder, repairs[1:], now=PATIENCE * 0.9)
    assert decoder.due(PATIENCE) == [(2, frame(2))]
    assert decoder.deadline is None


@pytest.mark.parametrize("base", [0, U32 - 4])
def test_a_whole_group_is_let_go(base: int) -> None:
    decoder = Decoder(CODEC, PATIENCE)
    take(decoder, range(base, base + 10))
    give(decoder, encode(range(base, base + 10), 10, 3))
    assert (kept(decoder), decoder._held, decoder.deadline) == (0, 0, None)


def test_without_repairs_nothing_is_kept_for_sending() -> None:
    encoder = Encoder(CODEC, Fixed(10, 0))
    assert not [encoder.add(number, [frame(number)], 0) for number in range(30) if encoder.pending]
    assert encoder.flush() == ()


def test_a_short_tail_is_protected_when_its_time_comes() -> None:
    encoder = Encoder(CODEC, Fixed(10, 3))
    assert [encoder.add(number, [frame(number)], 0) for number in range(2)] == [[], []]
    assert encoder.pending == 2
    repairs = encoder.flush()
    assert len(repairs) == 2, "not three of ten"
    assert encoder.pending == 0
    decoder = Decoder(CODEC, PATIENCE)
    give(decoder, repairs)
    assert decoder.due(LATER) == [(0, frame(0)), (1, frame(1))]


@given(st.integers(0, U32), st.integers(1, 12), st.integers(0, 3), st.lists(st.sampled_from([30, 40]), max_size=40))
def test_frames_given_together_get_the_repairs_that_they_get_alone(base: int, k: int, r: int, sizes: list[int]) -> None:
    """A packet's frames are mostly of one size, but for the last one."""
    packets = [[40] * 25, [40] * 24 + [33], [41], [33] + [40] * 20, sizes]
    together, alone = Encoder(CODEC, Fixed(k, r)), Encoder(CODEC, Fixed(k, r))
    number = base
    for packet in packets:
        frames = [frame(number + n, size) for n, size in enumerate(packet)]
        expected = [repair for n, each in enumerate(frames) for repair in alone.add(number + n & U32, [each], 0)]
        assert not frames or together.add(number & U32, frames, 0) == expected
        number += len(packet)
    assert together.flush() == alone.flush()


def test_what_came_before_the_first_repair_can_be_recovered() -> None:
    """A row of datagrams is kept whole until then."""
    arena, decoder = Arena(), Decoder(CODEC, PATIENCE)
    repairs = encode(range(10, 20), 10, 3)
    row = arena.row(50, 9, 50)
    row.fill(frame(number) for number in range(10, 19))
    assert decoder.spare(10, row)
    arena.row(50, 9, 50).fill(bytes(50) for _ in range(9))  # which the next one overwrites
    give(decoder, repairs)
    assert decoder.due(LATER) == [(19, frame(19))]
    assert not decoder.spare(20, row), "from now on every frame is kept"


def test_a_gap_in_numbers_and_a_frame_too_long_end_a_group() -> None:
    encoder = Encoder(CODEC, Fixed(10, 3))
    encoder.add(4, [frame(4)], 0)
    repairs = encoder.add(6, [frame(6)], 0)
    assert {struct.unpack_from(">IB", repair.frame, 1) for repair in repairs} == {(4, 1)}
    repairs = encoder.add(7, [bytes(LONGEST + 1)], 0)
    assert {struct.unpack_from(">IB", repair.frame, 1) for repair in repairs} == {(6, 1)}
    assert encoder.pending == 0
    encoder.add(8, [bytes(LONGEST)], 0)
    assert encoder.pending == 1
    assert encoder.add(20, [bytes(LONGEST + 1)], 0)
    assert encoder.pending == 0


@pytest.mark.parametrize(
    ("paths", "avoid"),
    [([3] * 10, [3, 3, 3]), ([1] * 7 + [2] * 3, [1, 1, 1]), ([1, 2] * 5, [1, 2, 1]), ([1, 2, 2, 2, 2], [2, 2, 2])],
)
def test_repairs_avoid_the_path_of_most_of_their_group(paths: list[int], avoid: list[int]) -> None:
    encoder = Encoder(CODEC, Fixed(len(paths), 3))
    repairs: list[Repair] = []
    for number, path in enumerate(paths):
        repairs += encoder.add(number, [frame(number)], path)
    assert [repair.avoid for repair in repairs] == avoid
