# SPDX-License-Identifier: GPL-2.0-or-later
"""The reply of `{"cmd":"bond"}` (docs/bond.md). No I/O."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

from netpath.bond.engine import Place
from netpath.bond.handshake import Cipher
from netpath.bond.links import Address
from netpath.bond.paths import Path
from netpath.bond.peer import Peer
from netpath.bonding import BondClient, BondServer, Transport

CIPHERS = {"aes-256-gcm": Cipher.AES256_GCM, "chacha20-poly1305": Cipher.CHACHA20_POLY1305}
"""By their names in the configuration."""
_NAMES = {cipher: name for name, cipher in CIPHERS.items()}


class Rates:
    """Bytes a second of each path, over about the last second: `sample` once a second."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, int, int]] = {}
        self.of: dict[int, tuple[float, float]] = {}
        """Path -> (out, in)."""

    def sample(self, paths: Mapping[int, Path], now: float) -> None:
        for number, path in paths.items():
            then, sent, received = self._before.get(number, (now, path.sent_bytes, path.received_bytes))
            if now > then:
                out, into = path.sent_bytes - sent, path.received_bytes - received
                self.of[number] = max(0.0, out / (now - then)), max(0.0, into / (now - then))
            self._before[number] = now, path.sent_bytes, path.received_bytes
        for gone in self._before.keys() - paths.keys():
            del self._before[gone]
            self.of.pop(gone, None)


def base(settings: BondClient | BondServer, public: bytes, mtu: int, since: float, now: float) -> dict[str, Any]:
    """What is the same for both roles, but for counters and peers."""
    transport: Transport = settings.transport
    correction = transport.correction
    return {
        "running": True,
        "time": round(time.time(), 3),
        "role": "client" if isinstance(settings, BondClient) else "server",
        "name": settings.name,
        "device": settings.device,
        "since": epoch(since, now),
        "public_key": key(public),
        "mtu": mtu,
        "mode": str(transport.mode),
        "fec": {"mode": str(correction.mode), "group": correction.group, "repairs": correction.repairs},
        "port": settings.port if isinstance(settings, BondServer) else None,
    }


def strange(unknown: int, refused: int, rejected: int, strangers: int) -> dict[str, int]:
    """What came and was dropped without an answer, of whoever it was."""
    return {"unknown": unknown, "refused": refused, "rejected": rejected, "strangers": strangers}


def row(
    name: str, public: bytes, state: tuple[str, float, str | None], cipher: Cipher | None, addresses: Sequence[str]
) -> dict[str, Any]:
    """A peer's, without its counters and paths. `state`: its name, since when (epoch), what is wrong."""
    return {
        "name": name,
        "public_key": key(public),
        "state": state[0],
        "since": state[1],
        "problem": state[2],
        "cipher": None if cipher is None else _NAMES[cipher],
        "addresses": list(addresses),
    }


def figures(peer: Peer | None) -> dict[str, int]:
    """A peer's counters; zeros without one."""
    if peer is None:
        names = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "dropped", "given_up")
        return dict.fromkeys((*names, "recovered", "repairs_sent", "sent_again", "headless", "faulty"), 0)
    sent, received, assembler = peer.sender.counts, peer.receiver.counts, peer.receiver.assembler
    return {
        "rx_bytes": received.bytes,
        "tx_bytes": sent.bytes,
        "rx_packets": received.packets,
        "tx_packets": sent.packets,
        "dropped": sent.dropped,
        "given_up": peer.receiver.order.given_up,
        "recovered": received.recovered,
        "repairs_sent": peer.sender.repairs,
        "sent_again": peer.sent_again,
        "headless": assembler.headless,
        "faulty": peer.faulty + received.faulty + assembler.faulty,
    }


class Totals:
    """Counters of one far end, over all its peers: with a new session there may be a new one."""

    def __init__(self) -> None:
        self._counts = figures(None)

    def add(self, peer: Peer | None) -> None:
        """It is no more."""
        for name, count in figures(peer).items():
            self._counts[name] += count

    def of(self, peer: Peer | None) -> dict[str, int]:
        """With those of the peer of now."""
        return {name: count + self._counts[name] for name, count in figures(peer).items()}


def path_rows(
    peer: Peer, rates: Rates, names: Mapping[int, tuple[str, str | None]], now: float
) -> list[dict[str, Any]]:
    """`names`: path -> (link, device)."""
    total = sum(rates.of.get(number, (0.0, 0.0))[0] for number in peer.paths)
    rows = []
    for number, path in sorted(peer.paths.items()):
        out, into = rates.of.get(number, (0.0, 0.0))
        link, device = names.get(number, (None, None))
        place = path.address.proven or path.address.candidate
        rows.append(
            {
                "number": number,
                "link": link,
                "device": device,
                "address": written(place.address) if isinstance(place, Place) else None,
                "state": str(path.state),
                "since": epoch(path.since, now),
                "rtt": None if path.round_trip is None else round(path.round_trip * 1e3, 2),
                "variance": round(path.variance * 1e3, 2),
                "loss_out": round(path.loss_out * 100, 2),
                "loss_in": round(path.loss_in * 100, 2),
                "rate": round(path.rate.rate),
                "capacity": None if path.rate.capacity is None else round(path.rate.capacity),
                "tx_rate": round(out),
                "rx_rate": round(into),
                "share": round(100 * out / total, 1) if total else 0.0,
                "mtu": path.mtu.size,
                "queue": round(max(0.0, path.rate.delay) * 1e3, 2),
            }
        )
    return rows


def cipher_name(cipher: Cipher) -> str:
    return _NAMES[cipher]


def key(public: bytes) -> str:
    return base64.b64encode(public).decode()


def epoch(then: float, now: float) -> float:
    """A monotonic time as the clock says it now."""
    return round(time.time() - (now - then), 3)


def written(address: Address) -> str:
    """`192.0.2.7:9001`, `[2001:db8::7]:9001`."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
