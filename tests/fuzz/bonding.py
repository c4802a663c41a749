# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets: the bond's datagrams, on what `bench.bondfuzz` has for a million random ones; here the bytes are the
fuzzer's, so that it finds its way by itself. After encryption nothing can be guessed: what is inside of it is fed to
what reads it there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from random import Random

from bench.bondfuzz import NOW, Server, bounded, right_mac
from bench.bondsim import opened, stream_packet
from netpath.bond import handshake, inner
from netpath.bond.assemble import STREAMS, Assembler
from netpath.bond.dataframes import FLOWS, HEADER, ORDERS, SLICE, flow_of, header
from netpath.bond.dataframes import HEAD as HEAD_FLAG
from netpath.bond.fec import CODEC
from netpath.bond.fec.groups import ACTIVE, GROUPS, HELD, Decoder
from netpath.bond.frames import MOST, FrameError, pack, unpack
from netpath.bond.handshake import Cipher, HandshakeError, Keys
from netpath.bond.peer import Peer
from netpath.bond.schedule import Scheduler
from netpath.bond.session import ExpiredError, Session
from netpath.bond.slices import VNET, SliceError, plan, read_block
from netpath.bond.wire import HEAD, LEAST, MAC, unpack_head
from netpath.bonding import BondMode
from tests.fuzz.draw import Draw

MODES = tuple(BondMode)
LEAST_ROOM = 500


@cache
def _server() -> Server:
    return Server(Random(1))


def strangers(data: bytes) -> None:
    """A datagram from anywhere, raw or as a change of a genuine one: at a server and at a client."""
    draw = Draw(data)
    server = _server()
    how = draw.number()
    datagram = bytearray(b"" if how & 1 else draw.choice(server.genuine))
    if how & 1:
        datagram += draw.rest()
    while draw and datagram:
        at = draw.number(2) % len(datagram)
        change = draw.take(draw.number() % 32 + 1)
        datagram[at : at + len(change)] = change
    if how & 2 and len(datagram) > MAC:
        datagram[-MAC:] = right_mac(bytes(datagram[:-MAC]), server.public)
    found = bytes(datagram)
    if any(found[HEAD:-MAC] == each[HEAD:-MAC] for each in server.genuine if len(each) == len(found)):
        return  # a genuine one, perhaps with another head
    before = server.state()
    assert server.arrives(found, "somewhere") is None
    assert server.state() == before
    current = server.client.current
    assert server.client.respond(found, server.now) is None
    if len(found) >= LEAST:
        session = server.client.of(unpack_head(found).receiver, server.now)
        assert session is None or not opened(session, found, server.now)[0]
    assert server.client.current is current


def handshakes(data: bytes) -> None:
    """What a handshake says once it is open, on either side."""
    with suppress(HandshakeError):
        offer = handshake._offer(data)
        assert len(offer.run) == 8
        with suppress(HandshakeError):
            version, cipher = handshake.agreed(offer, list(Cipher))
            assert version == 1 and cipher in offer.ciphers
    with suppress(HandshakeError):
        answer = handshake._answer(data)
        assert answer.mtu >= handshake.LEAST_MTU and len(answer.run) == 8
        for address in answer.client:
            assert inner.parse(inner.text(address))[1] <= 8 * (len(address) - 1)
        for address in answer.server:
            inner.parse(inner.text(address))


def plaintexts(data: bytes) -> None:
    """Authentic plaintexts of a peer that has lost its mind, each with path, time and two bytes of length before it."""
    draw = Draw(data)
    now = NOW
    written: list[int] = []

    def write(buffers: Sequence[bytes | memoryview]) -> None:
        size = sum(map(len, buffers))
        assert len(buffers[0]) == VNET.size and size >= VNET.size + 20
        assert bytes(buffers[1][:1])[0] >> 4 in (4, 6)
        written.append(size)

    peer = Peer(Random(1).randbytes, Scheduler(draw.choice(MODES)), write)
    session = Session(Keys(bytes(32), bytes(32), Cipher.CHACHA20_POLY1305, 1), 1, 2, now)
    peer.use(session)
    for number in (0, 1):
        peer.add_path(number, "home", 1472, 28, now)
    while draw:
        what = draw.number()
        now += draw.number() / 256
        plaintext = draw.piece()
        with suppress(FrameError):
            frames, at = unpack(plaintext)
            assert len(frames) <= MOST and at <= len(plaintext)
            assert all(unpack(pack(frame))[0] == [frame] for frame in frames)
        path = peer.paths.get(what & 1) or peer.add_path(what & 1, "home", 1472, 28, now)
        try:
            if plaintext:
                peer.opened_all(
                    path, [plaintext], ("home", "cafe", None)[what >> 1 & 3 if what & 6 != 6 else 0], session, now
                )
            if what & 8:
                peer.packet(memoryview(stream_packet(3, what, 5000)), now)
                peer.rest(now)
            peer.finish(now)
            peer.tick(now)
        except ExpiredError:
            return
        bounded(peer, session)
    assert sum(written) <= 64 * len(data) + 70_000


def repairs(data: bytes) -> None:
    """Data frames and repairs that contradict each other; two bytes of length before each."""
    draw = Draw(data)
    decoder, now = Decoder(CODEC), NOW
    while draw:
        now += draw.number() / 256
        frame = draw.piece()
        if frame[:1] == b"\xa0":
            with suppress(FrameError):
                decoder.passed(decoder.repair(frame, now))
        elif len(frame) > HEADER:
            decoder.add(_number(frame), frame)
        for found in decoder.due(now):
            assert len(found.frame) > HEADER and _number(found.frame) == found.number
        assert len(decoder._groups) <= GROUPS and 0 <= decoder._held <= HELD
        assert len(decoder._new) + len(decoder._old) <= 2 * ACTIVE


def _number(frame: bytes | memoryview) -> int:
    return int.from_bytes(frame[HEADER - 4 : HEADER], "big")


def slices(data: bytes) -> None:
    """Slices of few flows: flags, flow, order, and what follows the header with two bytes of length."""
    draw = Draw(data)

    def write(buffers: Sequence[bytes | memoryview]) -> None:
        vnet, headers, *parts = buffers
        start = VNET.unpack(vnet)[4]
        version = headers[0] >> 4
        size = len(headers) + sum(map(len, parts))
        told = int.from_bytes(headers[2:4] if version == 4 else headers[4:6], "big") + (0 if version == 4 else 40)
        assert version in (4, 6) and size == told and start + 20 <= len(headers)
        inner.source(headers), inner.destination(headers)
        assert 0 <= flow_of(headers) < FLOWS

    assembler = Assembler(write)
    while draw:
        what, flow, order = draw.number(), draw.number() % 4, draw.number(2) % ORDERS
        frame = header(SLICE | what & HEAD_FLAG, order, flow, 0) + draw.piece()
        with suppress(SliceError):
            index, head, at = read_block(frame, HEADER)
            assert index in (0, head.slices - 1) and at <= len(frame) and head.total < 1 << 16
        if what & HEAD_FLAG or len(frame) > HEADER:
            assembler.add(flow, order, [frame])
        if what & 0x80:
            assembler.flush()
    assembler.flush()
    assert len(assembler.streams) <= STREAMS


def packets(data: bytes) -> None:
    """A packet of the device, after two bytes for the room: what is cut is put together again, byte by byte."""
    draw = Draw(data)
    room = draw.number(2) % 1500
    vnet, packet = draw.take(VNET.size), draw.rest()
    if len(vnet) < VNET.size:
        return
    if len(packet) >= 20:
        assert len(inner.source(packet)) in (0, 4, 16) and len(inner.destination(packet)) in (0, 4, 16)
        assert 0 <= flow_of(packet) < FLOWS
    try:
        head = plan(vnet, packet, room)
    except SliceError:
        return
    whole: list[bytes] = []
    assembler = Assembler(lambda buffers: whole.append(b"".join(buffers)))
    begin = len(head.headers)
    for index in range(head.slices):
        ends = index in (0, head.slices - 1)
        at = begin + head.begin(index)
        block = head.block(index) if ends else b""
        payload = packet[at : at + head.length(index)]
        # Equal slices leave a rest of up to their number of bytes; no path has less room than this.
        assert room < LEAST_ROOM or len(block) + len(payload) <= room
        frame = header(SLICE | (HEAD_FLAG if ends else 0), index, 1, index) + block + payload
        assembler.add(1, index, [frame])
    assembler.flush()
    assert not assembler.faulty or not whole
    assert not whole or whole == [vnet + packet]
