# SPDX-License-Identifier: GPL-2.0-or-later
"""Ping through real uplinks: what counts as an answer, what as a failure, and by which way the packets go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netpath.model import Uplink
from netpath.probe.icmp import IcmpProber
from netpath.probe.icmp_packet import echo_request
from tests.kernel.probe_lab import FAR, FAR6, REFUSED, REFUSED6, WAN1, WAN1_6, WAN2, Counter, ProbeLab, probe_lab, run

pytestmark = pytest.mark.lab

SEND = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
sock.bind((sys.argv[1], 0))
for packet in sys.argv[2:]:
    sock.sendto(bytes.fromhex(packet), ("192.0.2.2", 0))
print("sent")
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[ProbeLab]:
    with probe_lab() as made:
        yield made


@pytest.fixture
def own_lab() -> Iterator[ProbeLab]:
    """For tests that break it."""
    with probe_lab() as made:
        yield made


@pytest.mark.parametrize(("uplink", "target"), [(WAN1, FAR), (WAN2, FAR), (WAN1_6, FAR6), (WAN1_6, "fe80::1")], ids=str)
def test_replies_come_back(lab: ProbeLab, uplink: Uplink, target: str) -> None:
    context, outcome = lab.context(uplink)
    prober = IcmpProber(context, size=56, max_ttl=60)
    prober.send(1, target)
    prober.send(2, target)
    outcome.wait(1, 2)
    prober.close()
    assert sorted(outcome.replies) == [1, 2]


def test_probes_use_their_uplink_and_the_mark_that_no_policy_touches(lab: ProbeLab) -> None:
    """The default route of the router is wan1."""
    rule = "oifname wan2 meta mark 0x3f00 icmp type echo-request ip length 1028 ip ttl 33"
    with Counter(lab.router, "output", rule) as seen:
        context, outcome = lab.context(WAN2)
        prober = IcmpProber(context, size=1000, max_ttl=33)
        prober.send(1, FAR)
        outcome.wait(1)
        prober.close()
        assert seen.packets == 1
    assert outcome.replies == [1]


@pytest.mark.parametrize("size", [0, 3, 8, 1472])
def test_any_payload_size(lab: ProbeLab, size: int) -> None:
    context, outcome = lab.context()
    prober = IcmpProber(context, size=size, max_ttl=60)
    prober.send(1, FAR)
    outcome.wait(1)
    prober.close()
    assert outcome.replies == [1]


@pytest.mark.parametrize(
    ("uplink", "target", "reason"),
    [(WAN1, REFUSED, "host unreachable, says 192.0.2.1"), (WAN1_6, REFUSED6, "no route, says 2001:db8:1::1")],
    ids=["ipv4", "ipv6"],
)
def test_routers_that_refuse_are_quoted(lab: ProbeLab, uplink: Uplink, target: str, reason: str) -> None:
    context, outcome = lab.context(uplink)
    prober = IcmpProber(context, size=56, max_ttl=60)
    prober.send(1, target)
    outcome.wait(1)
    prober.close()
    assert outcome.failures == {1: reason}


def test_max_ttl_limits_the_way(lab: ProbeLab) -> None:
    context, outcome = lab.context(WAN1)
    prober = IcmpProber(context, size=56, max_ttl=1)
    prober.send(1, "192.0.2.1")
    prober.send(2, "198.51.100.2")  # behind the provider
    outcome.wait(1, 2)
    prober.close()
    assert outcome.replies == [1]
    assert outcome.failures == {2: "time to live exceeded, says 192.0.2.1"}


def test_silence_is_no_answer_and_a_cancelled_probe_reports_nothing(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = IcmpProber(context, size=56, max_ttl=60)
    try:
        lab.drop("ip saddr 192.0.2.2")
        prober.send(1, FAR)
    finally:
        lab.heal()
    prober.send(2, FAR)
    prober.cancel(2)
    prober.send(3, FAR)
    outcome.wait(3)
    prober.close()
    assert outcome.replies == [3]
    assert outcome.failures == {}


def test_forged_replies_do_not_count(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = IcmpProber(context, size=16, max_ttl=60)
    try:
        lab.drop("icmp type echo-request")
        prober.send(1, FAR)
        good = b"\0" + echo_request(False, prober._ident, 1, prober._payload)[1:]
        payload = prober._payload
        forged = [
            echo_request(False, prober._ident ^ 1, 1, payload),
            echo_request(False, prober._ident, 2, payload),
            echo_request(False, prober._ident, 1, bytes(16)),
            echo_request(False, prober._ident, 1, b""),
            b"\x03\x01\0\0" + bytes(4),
            b"\x0b\0\0\0" + bytes(40),
        ]
        replies = [(b"\0" if p[0] == 8 else p[:1]) + p[1:2] + p[2:] for p in forged]
        lab.python(SEND, FAR, *[_with_checksum(p).hex() for p in replies]).wait()
        lab.python(SEND, "192.0.2.1", _with_checksum(good).hex()).wait()  # another source
    finally:
        lab.heal()
    prober.send(9, FAR)
    outcome.wait(9)
    assert outcome.replies == [9]
    assert outcome.failures == {}
    lab.python(SEND, FAR, _with_checksum(good).hex()).wait()  # the real one, late
    outcome.wait(1)
    prober.close()
    assert outcome.replies == [9, 1]


def _with_checksum(packet: bytes) -> bytes:
    from netpath.probe.icmp_packet import checksum

    bare = packet[:2] + b"\0\0" + packet[4:]
    return bare[:2] + checksum(bare).to_bytes(2) + bare[4:]


def test_a_local_firewall_is_a_failure_with_its_reason(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = IcmpProber(context, size=56, max_ttl=60)
    chain = "add chain inet no out { type filter hook output priority 0; }"
    lab.at_router("nft -f -", f"add table inet no\n{chain}\nadd rule inet no out icmp type echo-request drop")
    try:
        prober.send(1, FAR)
    finally:
        lab.at_router("nft delete table inet no")
    prober.send(2, FAR)
    outcome.wait(2)
    prober.close()
    assert outcome.failures == {1: "operation not permitted"}
    assert outcome.replies == [2]


def test_a_device_that_goes_away_and_comes_back(own_lab: ProbeLab) -> None:
    lab = own_lab
    context, outcome = lab.context(WAN2)
    prober = IcmpProber(context, size=56, max_ttl=60)
    prober.send(1, FAR)
    outcome.wait(1)
    run(f"ip -n {lab.router} link set wan2 down")
    prober.send(2, FAR)
    run(f"ip -n {lab.router} link del wan2")
    prober.send(3, FAR)
    prober.send(4, FAR)
    assert outcome.failures[2] == "network is unreachable"
    assert outcome.failures[3] == outcome.failures[4] == "no such device"
    lab.wire(2, "198.51.100", "2001:db8:2")
    prober.send(5, FAR)
    outcome.wait(5)
    prober.close()
    assert outcome.replies == [1, 5]


@pytest.mark.parametrize("target", ["host.example", "2001:db8::1", "", "gateway"])
def test_what_is_no_address_fails_without_asking_anybody(lab: ProbeLab, target: str) -> None:
    context, outcome = lab.context(WAN1)
    prober = IcmpProber(context, size=56, max_ttl=60)
    prober.send(1, target)
    prober.close()
    assert outcome.failures == {1: "not an ipv4 address"}
