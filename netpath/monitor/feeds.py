# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources of traffic figures by their type."""

from __future__ import annotations

from netpath.monitor import clash, openwrt
from netpath.monitor.local import Local
from netpath.monitor.readings import Feed, ServiceError
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Source, SourceType


def feed(source: Source, tracker: Tracker) -> Feed:
    """What reads `source`. Whatever is wrong with it, its address too, is an error of each attempt."""
    match source.type:
        case SourceType.CLASH:
            return clash.Clash(source)
        case SourceType.OPENWRT:
            return openwrt.OpenWrt(source)
        case SourceType.LOCAL:
            return Local(source, tracker)


def target(source: Source) -> str:
    """The address for people, without credentials, token and query."""
    try:
        match source.type:
            case SourceType.CLASH:
                return clash.address(source).shown(("ws", "wss"))
            case SourceType.OPENWRT:
                return openwrt.address(source).shown()
            case SourceType.LOCAL:
                return "this router"
    except ServiceError:
        return "an address that is not understood"
