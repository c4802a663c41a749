# SPDX-License-Identifier: GPL-2.0-or-later
"""`/metrics`: what NetPath knows, for Prometheus and whatever else reads OpenMetrics.

A request goes by `server` (`listener`, `http`) to `scrape`, which has `facts` read and hands them to a module a subject
(`interfaces`, `probes`, ...). Each of those declares its families; docs/monitor.md lists them, and a test compares.
"""

from netpath.monitor.metrics.server import MetricsServer

__all__ = ["MetricsServer"]
