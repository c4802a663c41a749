# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of a session, one at a time."""

from __future__ import annotations

from netpath.bond.session import Session
from netpath.bond.wire import HEAD


def open_one(session: Session, datagram: bytes, now: float) -> bytes | None:
    """The plaintext, of a batch of one; None: it is dropped."""
    data = memoryview(datagram)
    plaintexts, *_ = session.open_all(data, len(data), 0, int.from_bytes(data[:HEAD], "big") >> 48, now)
    return plaintexts[0] if plaintexts else None
