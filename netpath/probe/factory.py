# SPDX-License-Identifier: GPL-2.0-or-later
"""From a tracking method to its prober. Modules of methods that nobody uses are never imported."""

from __future__ import annotations

from netpath.model import Tracking, TrackMethod
from netpath.probe.base import Context, Prober, is_address


def make_prober(tracking: Tracking, context: Context) -> Prober:
    """The prober of `tracking.method`, which is not NONE. It opens its sockets when it first sends."""
    prober = _make_prober(tracking, context)
    if tracking.method is TrackMethod.HTTPING or not any(map(_is_name, tracking.targets)):
        return prober  # httping resolves by itself
    from netpath.probe.named import NamedProber

    return NamedProber(context, prober)


def _is_name(target: str) -> bool:
    """Whether a target that passed validation is, or begins with, a host name and not an address."""
    host = target.partition(":")[0] if target.count(":") == 1 else target
    return not (is_address(host, "ipv4") or ":" in host)


def _make_prober(tracking: Tracking, context: Context) -> Prober:
    method = tracking.method
    if method is TrackMethod.PING:
        from netpath.probe.icmp import IcmpProber

        return IcmpProber(context, tracking.size, tracking.max_ttl)
    if method is TrackMethod.DNS:
        from netpath.probe.dns import DnsProber

        return DnsProber(context, tracking.dns_query)
    if method is TrackMethod.TCP:
        from netpath.probe.tcp import TcpProber

        return TcpProber(context, tracking.tcp_port)
    if method is TrackMethod.HTTPING:
        from netpath.probe.http import HttpProber

        return HttpProber(context, tracking.httping_ssl)
    if method is TrackMethod.ARPING:
        from netpath.probe.neighbour import ArpProber, SolicitationProber

        return SolicitationProber(context) if context.is_ipv6 else ArpProber(context)
    raise ValueError(f"method {method} sends no probes")


def same_prober(old: Tracking, new: Tracking) -> bool:
    """Whether a prober made for `old` serves `new` as well."""
    return _settings(old) == _settings(new)


def _settings(tracking: Tracking) -> tuple[object, ...]:
    return (
        any(map(_is_name, tracking.targets)),
        tracking.method,
        tracking.size,
        tracking.max_ttl,
        tracking.dns_query,
        tracking.tcp_port,
        tracking.httping_ssl,
    )
