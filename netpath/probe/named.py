# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets given by name for methods that probe addresses (mwan3's track_ip takes names too)."""

from __future__ import annotations

from netpath.probe.base import Context, Prober, words
from netpath.probe.resolve import Resolver


class NamedProber:
    """Resolves names by the uplink itself, then lets `inner` probe the address.

    A name that cannot be resolved is no answer: the probe fails, or is lost when the name servers are silent.
    """

    def __init__(self, context: Context, inner: Prober, resolver: Resolver | None = None) -> None:
        self._context = context
        self._inner = inner
        self._resolver = resolver or Resolver(context)

    def send(self, token: int, target: str) -> None:
        host, colon, port = target.partition(":") if target.count(":") == 1 else (target, "", "")
        if self._context.is_address(host) or ":" in host:
            self._inner.send(token, target)
            return
        try:
            self._resolver.resolve(token, host, lambda address: self._inner.send(token, _joined(address, colon, port)))
        except OSError as error:
            self._context.on_failure(token, words(error))
        except ValueError as error:
            self._context.on_failure(token, str(error))

    def cancel(self, token: int) -> None:
        self._resolver.cancel(token)
        self._inner.cancel(token)

    def close(self) -> None:
        self._resolver.close()
        self._inner.close()


def _joined(address: str, colon: str, port: str) -> str:
    if not colon:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
