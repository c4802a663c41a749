# SPDX-License-Identifier: GPL-2.0-or-later
"""How healthy one uplink is: sliding windows and a state machine. Pure: no sockets, no sleeping, no clock of its own.

`InterfaceHealth` says which probes to send and when it wants to be asked again; its owner (`netpath.probe.scheduler`)
sends them, reports replies, failures and link events, and passes the monotonic time of each with it.
"""

from __future__ import annotations

from netpath.health.machine import InterfaceHealth
from netpath.health.report import HealthSnapshot, TargetSnapshot
from netpath.health.transitions import Actions, ProbeOrder, Transition

__all__ = ["Actions", "HealthSnapshot", "InterfaceHealth", "ProbeOrder", "TargetSnapshot", "Transition"]
