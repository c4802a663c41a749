# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages to people: transitions by webhook and e-mail, through an uplink that works."""

from __future__ import annotations

from netpath.monitor.notify.notifier import Notifier, target

__all__ = ["Notifier", "target"]
