# SPDX-License-Identifier: GPL-2.0-or-later
"""The probes that may still be answered, by token, in sending order."""

from __future__ import annotations

from collections.abc import Sequence

from netpath.health.rounds import Round
from netpath.health.target import Target


class Probe:
    """One probe under way. `round` is None for a calm turn."""

    __slots__ = ("round", "sent_at", "serial", "target")

    def __init__(self, target: Target, serial: int, sent_at: float, round_: Round | None) -> None:
        self.target = target
        self.serial = serial
        self.sent_at = sent_at
        self.round = round_


class Outstanding:
    """Token -> probe. Tokens that are given up are collected until `take_expired`."""

    __slots__ = ("_expired", "_last_token", "_probes")

    def __init__(self) -> None:
        self._last_token = 0
        self._probes: dict[int, Probe] = {}
        self._expired: list[int] = []

    def add(self, target: Target, now: float, round_: Round | None) -> int:
        self._last_token += 1
        self._probes[self._last_token] = Probe(target, target.window.sent(now), now, round_)
        return self._last_token

    def take(self, token: int) -> Probe | None:
        """The probe of `token`, once."""
        return self._probes.pop(token, None)

    def give_up(self) -> None:
        """All of them."""
        self._expired.extend(self._probes)
        self._probes.clear()

    def give_up_old(self, before: float, most: int) -> None:
        """Those sent earlier than `before`, and the oldest beyond `most`."""
        while self._probes:
            token, probe = next(iter(self._probes.items()))
            if probe.sent_at >= before and len(self._probes) <= most:
                return
            del self._probes[token]
            self._expired.append(token)

    def keep_only(self, targets: Sequence[Target]) -> None:
        """Give up the probes of other targets; the rest belong to no round any more."""
        for token, probe in list(self._probes.items()):
            probe.round = None
            if probe.target not in targets:
                del self._probes[token]
                self._expired.append(token)

    def take_expired(self) -> tuple[int, ...]:
        expired, self._expired = tuple(self._expired), []
        return expired
