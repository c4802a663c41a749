# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bond's error correction costs: the codecs that are here, and the groups around them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bench.figure import Figure
from netpath.bond.fec import CODEC
from netpath.bond.fec.adaptive import DATA, REPAIRS, Fixed
from netpath.bond.fec.codec import Codec
from netpath.bond.fec.encoder import Encoder
from netpath.bond.fec.groups import Decoder
from netpath.bond.fec.python import PythonCodec

SIZE = 1400
"""Bytes of a data frame."""
ROW = 40
"""Data frames of one large packet of the device."""
FRAMES = 1000
NO_REPAIRS = 1.0
"""Microseconds that a data frame may cost where there are no repairs."""


def measure(quick: bool) -> list[Figure]:
    """Microseconds for each data frame, each way, of groups of 10 + 3."""
    runs = 5 if quick else 15
    figures = []
    for codec in _codecs():
        figures += _codec(codec, runs)
    for r, budget in ((0, NO_REPAIRS), (REPAIRS, None)):
        what = f"groups of {DATA}+{r}, {CODEC.name}" if r else "no repairs"
        figures += [
            Figure(f"sending, {what}", "us a data frame", _sending(r, runs), budget),
            Figure(f"receiving, {what}, nothing lost", "us a data frame", _receiving(r, (), runs), budget),
        ]
    for lost in ((4,), (1, 4, 9)):
        what = f"receiving, groups of {DATA}+{REPAIRS}, {CODEC.name}, {len(lost)} of {DATA} lost"
        figures.append(Figure(what, "us a data frame", _receiving(REPAIRS, lost, runs)))
    return figures


def _codecs() -> list[Codec]:
    """The one that is used, and those that would be without it."""
    codecs: list[Codec] = [CODEC]
    with suppress(ImportError):
        from netpath.bond.fec.zfec import ZfecCodec

        codecs.append(ZfecCodec())
    codecs.append(PythonCodec())
    return [codec for n, codec in enumerate(codecs) if codec.name not in {other.name for other in codecs[:n]}]


def _codec(codec: Codec, runs: int) -> list[Figure]:
    blocks = [random.randbytes(SIZE) for _ in range(DATA)]
    repairs = dict(enumerate(codec.encode(blocks, REPAIRS)))

    def figure(what: str, call: Callable[[], object]) -> Figure:
        values = _each(call, runs, 200, DATA)
        note = f"{SIZE / min(values):.0f} MB/s of data at best"
        return Figure(f"{codec.name}: {what}", "us a data frame", values, note=note)

    figures = [figure(f"encode {DATA}+{r}", partial(codec.encode, blocks, r)) for r in (1, REPAIRS)]
    for many in range(1, REPAIRS + 1):
        data = dict(enumerate(blocks[many:], many))
        figures.append(figure(f"decode {many} of {DATA}", partial(codec.decode, DATA, data, repairs)))
    return figures


def _sending(r: int, runs: int) -> tuple[float, ...]:
    frames = _frames()
    encoder = Encoder(CODEC, Fixed(DATA, r))

    def send() -> None:
        for at in range(0, FRAMES, ROW):
            encoder.add(at, frames[at : at + ROW], 0)

    return _each(send, runs, 5, FRAMES)


def _receiving(r: int, lost: tuple[int, ...], runs: int) -> tuple[float, ...]:
    """Repairs come after their group, and what is lost is known to be."""
    encoder = Encoder(CODEC, Fixed(DATA, r))
    groups = []
    frames = list(enumerate(_frames()))
    for at in range(0, FRAMES, DATA):
        group = frames[at : at + DATA]
        repairs = [repair.frame for repair in encoder.add(at, [frame for _, frame in group], 0)]
        groups.append(([pair for n, pair in enumerate(group) if n not in lost], repairs))

    def receive() -> None:
        decoder = Decoder(CODEC)
        recovered = 0
        for data, repairs in groups:
            add = decoder.add
            for number, frame in data:
                add(number, frame)
            for repair in repairs:
                decoder.passed(decoder.repair(repair, 0.0))
            recovered += len(decoder.due(0.0))
        if recovered != len(groups) * len(lost):
            raise OSError(f"{recovered} of {len(groups) * len(lost)} lost data frames were recovered")

    return _each(receive, runs, 3, FRAMES)


def _frames() -> list[bytes]:
    return [b"\x80\0\0\0\0\0" + number.to_bytes(4, "big") + random.randbytes(SIZE - 10) for number in range(FRAMES)]


def _each(call: Callable[[], object], runs: int, times: int, frames: int) -> tuple[float, ...]:
    """Microseconds a frame, of each run of `times` calls for so many frames."""
    values = []
    call()
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(times):
            call()
        values.append((time.perf_counter() - began) / times / frames * 1e6)
    return tuple(values)
