# SPDX-License-Identifier: GPL-2.0-or-later
"""A provider gave a line other IPv6 prefixes: connections with addresses of the old ones can never work again.

Left alone they hang until they time out, since connection tracking goes on translating to an address that nobody routes
here any more. Deleted, they start again with what the rules say now.
"""

from __future__ import annotations

from collections.abc import Sequence

from netpath.kernel import conntrack
from netpath.kernel.prefixes import Prefix, inside, own_prefixes
from netpath.model import Uplink
from netpath.steering.marks import MarkSpace


class Renumbering:
    """Remembers each uplink's prefixes, also over the time for which it is down: lines often change then."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[Prefix]] = {}

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
            gone = self._known.get(uplink.name, now) - now
            self._known[uplink.name] = now
            if gone:
                deleted[uplink.name] = _delete(marks.of(uplink.id), marks.mask, gone, now)
        return deleted


def _delete(mark: int, mask: int, gone: frozenset[Prefix], now: frozenset[Prefix]) -> int:
    return conntrack.delete_by_source(mark, mask, lambda address: inside(address, gone) and not inside(address, now))
