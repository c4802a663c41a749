# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends the probes that `netpath.health` orders and tells it what came of them. One scheduler, no task per probe."""

from __future__ import annotations

from netpath.probe.scheduler import Scheduler

__all__ = ["Scheduler"]
