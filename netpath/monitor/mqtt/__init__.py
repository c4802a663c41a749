# SPDX-License-Identifier: GPL-2.0-or-later
"""States, figures and events to an MQTT broker, in a form that Home Assistant finds by itself. Nothing is taken from
there: no message makes NetPath do anything but publish again.
"""

from netpath.monitor.mqtt.publisher import Publisher

__all__ = ["Publisher"]
