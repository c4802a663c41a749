# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings -> the parts of the data plane that follow them. No I/O but one look at the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from netpath.bond.assemble import Write
from netpath.bond.dataframes import HEADER
from netpath.bond.device import fit
from netpath.bond.fec.adaptive import policy
from netpath.bond.fec.repair import OVERHEAD as REPAIR
from netpath.bond.handshake import Cipher
from netpath.bond.paths import State
from netpath.bond.peer import Peer
from netpath.bond.rules import Rules
from netpath.bond.schedule import Scheduler
from netpath.bond.status import CIPHERS
from netpath.bond.toobig import TooBig
from netpath.bond.wire import HEAD, TAG, Veil
from netpath.bonding import BondRule, Fec, Transport

OVERHEAD = HEAD + TAG + HEADER + 2 + REPAIR
"""Bytes of a datagram that are not its inner packet, at most."""
MTU = 1400
"""Of the device, until paths have told what fits."""
LEAST = 1280
"""IPv6 needs that (RFC 8200, 5)."""


def scheduler(transport: Transport) -> Scheduler:
    return Scheduler(
        transport.mode,
        copies=transport.copies,
        rtt_weight=transport.rtt_weight,
        loss_weight=transport.loss_weight,
    )


def rules(wanted: Sequence[BondRule]) -> Rules | None:
    """None where there are none, which costs a packet nothing."""
    return Rules(wanted) if wanted else None


def peer(transport: Transport, heartbeat: float, random: Callable[[int], bytes], write: Write) -> Peer:
    """A far end that is treated as configured."""
    correction = transport.correction
    made = Peer(
        random,
        scheduler(transport),
        write,
        correction=policy(str(correction.mode), correction.group, correction.repairs),
        obfuscate=transport.obfuscate,
        heartbeat=heartbeat,
    )
    made.sender.too_big = TooBig(write)
    return made


def ciphers(transport: Transport, processor: str) -> tuple[Cipher, ...]:
    """In order of preference; `processor`: the text of /proc/cpuinfo, which decides when nothing is configured."""
    if transport.ciphers:
        return tuple(CIPHERS[name] for name in transport.ciphers)
    if " aes" in processor:
        return Cipher.AES256_GCM, Cipher.CHACHA20_POLY1305
    return Cipher.CHACHA20_POLY1305, Cipher.AES256_GCM


def veil(transport: Transport, server_key: bytes) -> Veil | None:
    return Veil(server_key) if transport.obfuscate else None


def pace(peers: list[Peer]) -> float | None:
    """Bytes a second of all paths in use together; None while that of one is not known."""
    found = [path.rate.capacity for peer in peers for path in peer.paths.values() if path.state is State.UP]
    known = [capacity for capacity in found if capacity is not None]
    return sum(known) if known and len(known) == len(found) else None


def narrow(configured: int | None, paths: Mapping[str, int], inner: Sequence[str], transport: Transport) -> list[str]:
    """In words, which paths do not carry the device's packets. `paths`: name -> bytes of its largest datagram."""
    corrected = transport.correction.mode is not Fec.OFF
    return list(fit(configured, paths, ipv6=any(":" in each for each in inner), corrected=corrected).problems)


def fitting(peers: list[Peer]) -> int | None:
    """The largest inner packet that every path in use takes whole; None while nothing is known."""
    rooms = [path.room for peer in peers for path in peer.paths.values() if path.state is State.UP and path.mtu.known]
    return max(LEAST, min(rooms) - OVERHEAD) if rooms else None
