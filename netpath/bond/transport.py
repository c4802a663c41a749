# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings -> the parts of the data plane that follow them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netpath.bond.assemble import Write
from netpath.bond.fec.adaptive import policy
from netpath.bond.handshake import Cipher
from netpath.bond.peer import Peer
from netpath.bond.rules import Rules
from netpath.bond.schedule import Scheduler
from netpath.bond.status import CIPHERS
from netpath.bond.toobig import TooBig
from netpath.bond.wire import Veil
from netpath.bonding import BondRule, Transport


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


def peer(
    transport: Transport, heartbeat: float, random: Callable[[int], bytes], write: Write, *, follows: bool = False
) -> Peer:
    """A far end that is treated as configured; `follows`: as Peer takes it."""
    correction = transport.correction
    made = Peer(
        random,
        scheduler(transport),
        write,
        correction=policy(str(correction.mode), correction.group, correction.repairs),
        obfuscate=transport.obfuscate,
        heartbeat=heartbeat,
        follows=follows,
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
