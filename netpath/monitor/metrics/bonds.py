# SPDX-License-Identifier: GPL-2.0-or-later
"""Bonds that run on this machine. Paths of one link are taken together: their numbers are new with each start."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from netpath.monitor.metrics.facts import Facts, Row
from netpath.monitor.metrics.families import Sheet, counter, gauge

MOST_PEERS = 256
"""Of one bond: each client of a server has samples of its own."""
_WHY = (("unknown", "unknown"), ("changed", "refused"), ("handshake", "rejected"))
"""Label, and where the reply has it."""
_PEER = ("bond", "peer")
_LINK = ("bond", "peer", "link")

UP = gauge("netpath_bond_up", "1 while the other end is there.", *_PEER)
TRAFFIC = counter("netpath_bond_bytes_total", "Inner packets, in and out.", *_PEER, "direction")
RECOVERED = counter("netpath_bond_recovered_total", "Lost datagrams that were made again from repairs.", *_PEER)
REPAIRS = counter("netpath_bond_repairs_total", "Repairs that were sent.", *_PEER)
GIVEN_UP = counter("netpath_bond_given_up_total", "Datagrams of the other end that never came.", *_PEER)
HEADLESS = counter("netpath_bond_headless_total", "Slices dropped as no head of their packet came.", *_PEER)
FAULTY = counter("netpath_bond_faulty_total", "What the other end sent against the rules.", *_PEER)
REFUSED = counter("netpath_bond_refused_datagrams_total", "Dropped without an answer.", "bond", "why")
PATHS = gauge("netpath_bond_link_paths", "Paths of a link that carry data now.", *_LINK)
ROUND_TRIP = gauge("netpath_bond_link_round_trip_seconds", "The least of the link's paths.", *_LINK)
LOSS = gauge("netpath_bond_link_loss_ratio", "Their mean.", *_LINK, "direction")
RATE = gauge("netpath_bond_link_rate_bytes_per_second", "What they may send together.", *_LINK)

FAMILIES = (UP, TRAFFIC, RECOVERED, REPAIRS, GIVEN_UP, HEADLESS, FAULTY, REFUSED, PATHS, ROUND_TRIP, LOSS, RATE)


def fill(sheet: Sheet, facts: Facts) -> None:
    for bond in facts.bonds:
        for why, column in _WHY:
            sheet.add(REFUSED, bond[column], bond["name"], why)
        for peer in islice(bond["peers"], MOST_PEERS):
            name = bond["name"], peer["name"]
            sheet.add(UP, peer["state"] == "up", *name)
            sheet.add(TRAFFIC, peer["rx_bytes"], *name, "in")
            sheet.add(TRAFFIC, peer["tx_bytes"], *name, "out")
            sheet.add(RECOVERED, peer["recovered"], *name)
            sheet.add(REPAIRS, peer["repairs_sent"], *name)
            sheet.add(GIVEN_UP, peer["given_up"], *name)
            sheet.add(HEADLESS, peer["headless"], *name)
            sheet.add(FAULTY, peer["faulty"], *name)
            links: dict[str, list[Row]] = {}
            for path in peer["paths"]:
                links.setdefault(path["link"] or "", []).append(path)
            for link, paths in links.items():
                _link(sheet, (*name, link), paths)


def _link(sheet: Sheet, name: tuple[str, str, str], paths: Sequence[Row]) -> None:
    up = [path for path in paths if path["state"] == "up"]
    sheet.add(PATHS, len(up), *name)
    sheet.add(RATE, sum(path["rate"] for path in up), *name)
    trips = [path["rtt"] / 1000 for path in up if path["rtt"] is not None]
    sheet.add(ROUND_TRIP, min(trips, default=None), *name)
    for direction, column in (("in", "loss_in"), ("out", "loss_out")):
        ratios = [path[column] / 100 for path in up if path[column] is not None]
        sheet.add(LOSS, sum(ratios) / len(ratios) if ratios else None, *name, direction)
