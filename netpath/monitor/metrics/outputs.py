# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom the monitor tells: UDP clients, readers of /metrics, an MQTT broker, people."""

from __future__ import annotations

from netpath.monitor.metrics.facts import Facts
from netpath.monitor.metrics.families import Sheet, counter, gauge

CLIENTS = gauge("netpath_udp_clients", "Clients of the UDP server now.")
LIMIT = gauge("netpath_udp_client_limit", "More are refused.")
REFUSED = counter("netpath_udp_refused_total", "Registrations that were refused.")
SCRAPES = counter("netpath_metrics_scrapes_total", "Answers of /metrics.")
PUBLISHED = counter("netpath_mqtt_published_total", "Messages that the broker got.")
SENT = counter("netpath_notify_sent_total", "Messages to people.", "name")
WAITING = gauge("netpath_notify_waiting_events", "Events that wait to be told.", "name")
DROPPED = counter("netpath_notify_dropped_total", "Events that were never told.", "name")

FAMILIES = (CLIENTS, LIMIT, REFUSED, SCRAPES, PUBLISHED, SENT, WAITING, DROPPED)


def fill(sheet: Sheet, facts: Facts) -> None:
    server, metrics, broker = (facts.own[key] for key in ("server", "metrics", "broker"))
    if server is not None:
        sheet.add(CLIENTS, len(server["clients"]))
        sheet.add(LIMIT, server["limit"])
        sheet.add(REFUSED, server["refused"])
    if metrics is not None:
        sheet.add(SCRAPES, metrics["scrapes"])
    if broker is not None:
        sheet.add(PUBLISHED, broker["published"])
    for row in facts.own["notify"]:
        sheet.add(SENT, row["sent"], row["name"])
        sheet.add(WAITING, row["held"], row["name"])
        sheet.add(DROPPED, row["dropped"], row["name"])
