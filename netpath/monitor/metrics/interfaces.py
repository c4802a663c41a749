# SPDX-License-Identifier: GPL-2.0-or-later
"""Uplinks: states, quality, traffic."""

from __future__ import annotations

from netpath.model import State
from netpath.monitor.metrics.facts import Facts, Row
from netpath.monitor.metrics.families import Sheet, counter, gauge, info, stateset

STATES = tuple(str(state) for state in State)

INFO = info(
    "netpath_interface_info",
    "What the interface is; tracking is active, none or disabled.",
    *("interface", "device", "family", "gateway", "tracking"),
)
UP = gauge("netpath_interface_up", "1 while policies may send new connections there.", "interface")
STATUS = stateset("netpath_interface_status", "1 for the present status, 0 for the others.", STATES, "interface")
SINCE = gauge("netpath_interface_status_since_timestamp_seconds", "When it entered its status.", "interface")
CHANGES = counter(
    "netpath_interface_status_changes_total",
    "How often it entered a status since the monitor runs.",
    *("interface", "status"),
)
ENABLED = gauge("netpath_interface_enabled", "0 when it is switched off in the configuration or by hand.", "interface")
LINK = gauge("netpath_interface_link_up", "1 while device, carrier and address are there.", "interface")
SCORE = gauge("netpath_interface_score", "mwan3's score: 0 offline, down + up when fully online.", "interface")
LATENCY = gauge("netpath_interface_latency_seconds", "Mean round-trip time of answering targets.", "interface")
JITTER = gauge("netpath_interface_jitter_seconds", "Mean difference of neighbouring round-trip times.", "interface")
LOSS = gauge("netpath_interface_loss_ratio", "Lost probes of those in the window, 0 to 1.", "interface")
RX_BYTES = counter(
    "netpath_interface_receive_bytes_total", "Bytes that its device has received.", "interface", "device"
)
TX_BYTES = counter("netpath_interface_transmit_bytes_total", "Bytes that its device has sent.", "interface", "device")
RX_PACKETS = counter(
    "netpath_interface_receive_packets_total", "Packets that its device has received.", "interface", "device"
)
TX_PACKETS = counter(
    "netpath_interface_transmit_packets_total", "Packets that its device has sent.", "interface", "device"
)
CONNECTIONS = gauge("netpath_interface_connections", "Tracked connections that use it.", "interface")
NEW_FLOWS = counter("netpath_interface_new_flows_total", "Connections that were sent to it.", "interface")
NEW_BYTES = counter("netpath_interface_new_flow_bytes_total", "Bytes of their first packets.", "interface")

FAMILIES = (
    *(INFO, UP, STATUS, SINCE, CHANGES, ENABLED, LINK, SCORE, LATENCY, JITTER, LOSS),
    *(RX_BYTES, TX_BYTES, RX_PACKETS, TX_PACKETS, CONNECTIONS, NEW_FLOWS, NEW_BYTES),
)


def fill(sheet: Sheet, facts: Facts) -> None:
    for row in facts.interfaces:
        name, status = row["name"], row["status"]
        sheet.tell(INFO, name, row["device"], row["family"], row["gateway"], row["tracking"])
        sheet.add(UP, State(status).usable, name)
        sheet.state(STATUS, status, name)
        sheet.add(SINCE, row["since"], name)
        for each in STATES:
            sheet.add(CHANGES, facts.counts.statuses[name, each], name, each)
        sheet.add(ENABLED, row["enabled"], name)
        sheet.add(LINK, row["up"], name)
        sheet.add(SCORE, row["score"], name)
        measured = facts.metrics.get(name)
        if measured is not None:
            _quality(sheet, name, measured)
            _traffic(sheet, name, row["device"], measured)


def _quality(sheet: Sheet, name: str, measured: Row) -> None:
    sheet.add(LATENCY, seconds(measured["latency"]), name)
    sheet.add(JITTER, seconds(measured["jitter"]), name)
    if any(target["sent"] for target in measured["targets"]):
        sheet.add(LOSS, ratio(measured["loss"]), name)


def _traffic(sheet: Sheet, name: str, device: str | None, measured: Row) -> None:
    sheet.add(CONNECTIONS, measured["connections"], name)
    sheet.add(NEW_FLOWS, measured["new_flows"], name)
    sheet.add(NEW_BYTES, measured["new_bytes"], name)
    if device is not None:  # what was counted is the device's, and another one would not go on from there
        sheet.add(RX_BYTES, measured["rx_bytes"], name, device)
        sheet.add(TX_BYTES, measured["tx_bytes"], name, device)
        sheet.add(RX_PACKETS, measured["rx_packets"], name, device)
        sheet.add(TX_PACKETS, measured["tx_packets"], name, device)


def seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 6)


def ratio(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 5)
