# SPDX-License-Identifier: GPL-2.0-or-later
"""A provider gave a line other IPv6 prefixes: connections with addresses of the old ones can never work again.

Left alone they hang until they time out, since connection tracking goes on translating to an address that nobody routes
here any more. Deleted, they start again with what the rules say now. So do those which have no answer yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from netpath.kernel import conntrack
from netpath.kernel.prefixes import Prefix, inside, own_prefixes
from netpath.model import Uplink
from netpath.steering.marks import MarkSpace


class Renumbering:
    """Remembers each uplink's prefixes and addresses, also while it is down: lines often change then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[frozenset[Prefix], frozenset[str]]] = {}

    def follow(self, uplinks: Sequence[Uplink], marks: MarkSpace) -> dict[str, int]:
        """Delete the connections of prefixes that are gone; how many, by uplink. Raises OSError.

        An uplink seen for the first time has lost nothing.
        """
        for name in self._known.keys() - {u.name for u in uplinks}:
            del self._known[name]
        deleted = {}
        for uplink in uplinks:
            if uplink.family != "ipv6" or uplink.device is None:
                continue
            now = own_prefixes(uplink)
            addresses, mark = frozenset(uplink.addresses), marks.of(uplink.id)
            known, had = self._known.get(uplink.name, (now, addresses))
            self._known[uplink.name] = now, addresses
            if gone := known - now:
                deleted[uplink.name] = _delete(mark, marks.mask, gone, now)
            if addresses - had:
                # While the line was without one, what began was masqueraded by the address of another device.
                conntrack.delete_by_mark(mark, marks.mask, unreplied_only=True)
        return deleted


def _delete(mark: int, mask: int, gone: frozenset[Prefix], now: frozenset[Prefix]) -> int:
    return conntrack.delete_by_source(mark, mask, lambda address: inside(address, gone) and not inside(address, now))
