# SPDX-License-Identifier: GPL-2.0-or-later
"""Two whole ends over networks that lose, repeat, change, delay, reorder and go away: what is delivered, and how."""

from __future__ import annotations

import pytest

from bench.bondsim import Load, Network, Weather, datagram_packet
from netpath.bond.fec.adaptive import policy
from netpath.bond.paths import State
from netpath.bond.serverside import PENDING
from netpath.bond.status import figures
from netpath.bonding import BondMode

ROUGH = (
    Weather(0.010, 0.0, loss=0.01, doubled=0.01, changed=0.01, cuts=((2.0, 2.6), (4.0, 4.2))),
    Weather(0.012, 0.0, loss=0.01, doubled=0.02),
    Weather(0.030, 0.004, loss=0.03, changed=0.02, cuts=((2.3, 3.5),)),
)


def both_up(network: Network) -> bool:
    return all(path.state is State.UP for end in (network.client, network.server) for path in end.peer.paths.values())


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", list(BondMode))
def test_what_is_delivered_was_sent_and_in_order(mode: BondMode, seed: int) -> None:
    network = Network(seed, ROUGH, mode)
    load = Load(network, 12, 3)
    network.run(6.0, load)
    network.run(1.5)
    assert network.changed > 20 and network.lost > 100
    delivered = 0
    for judge, end in zip(network.judges, (network.client, network.server), strict=True):
        receiver = end.peer.receiver
        assert judge.corrupt == 0
        assert end.peer.faulty == receiver.counts.faulty == receiver.assembler.faulty == 0
        # A frame that comes after it was given up is late: only such ones may come out of order, or twice.
        assert sum(judge.backwards.values()) <= receiver.order.late + judge.repeated
        assert judge.repeated == 0, "what was sent again although it had come is dropped"
        delivered += judge.size
    assert delivered > load.offered * (0.99 if mode is BondMode.REDUNDANT else 0.9)


@pytest.mark.parametrize("mode", list(BondMode))
def test_nothing_is_left_when_all_is_over(mode: BondMode) -> None:
    network = Network(5, ROUGH, mode)
    network.run(6.0, Load(network, 200, 4))
    network.run(2.0)
    assert both_up(network)
    for end in (network.client, network.server):
        assert not end.peer.receiver.order.waiting
        assert not end.peer.receiver.assembler._open
        assert len(end.peer.receiver.assembler.streams) < 20
        assert not any(queue.trains for queue in end.peer._unreported._paths.values())
    assert len(network.server.sessions._sessions) <= PENDING


@pytest.mark.parametrize("loss", [0.02, 0.08])
def test_what_is_lost_is_sent_again(loss: float) -> None:
    """Without repairs; the ways are short enough for it."""
    network = Network(5, [Weather(0.01, loss=loss), Weather(0.015, loss=loss)])
    load = Load(network, 40, 3)
    network.run(8.0, load)
    network.run(1.0)
    delivered = sum(judge.size for judge in network.judges)
    assert delivered > 0.998 * load.offered
    assert delivered < load.offered + 1
    assert not any(judge.repeated or judge.corrupt for judge in network.judges)
    assert network.client.peer.sent_again > 10


def test_nothing_is_asked_for_by_a_long_way_or_in_haste() -> None:
    for weather, mode in (
        (Weather(0.2, loss=0.05), BondMode.AGGREGATE),
        (Weather(0.01, loss=0.05), BondMode.LOW_LATENCY),
    ):
        network = Network(5, [weather, weather], mode)
        network.run(4.0, Load(network, 40, 3))
        assert both_up(network)
        assert network.server.peer.receiver.order.given_up > 10
        assert network.server.peer.receiver.order.grace == 0.0


def test_new_keys_in_the_midst_of_it_lose_nothing() -> None:
    network = Network(5, [Weather(0.01), Weather(0.02)])
    load = Load(network, 8, 2)
    network.run(1.0, load)
    for _ in range(5):
        before = network.client.peer.session
        network.client.sessions.rekey(network.now)
        network.run(0.5, load)
        assert network.client.peer.session is not before
    network.run(1.0)
    assert sum(judge.size for judge in network.judges) == load.offered
    assert not any(judge.repeated or judge.corrupt for judge in network.judges)


@pytest.mark.parametrize("which", ["client", "server"])
def test_an_end_that_begins_anew_is_back_soon(which: str) -> None:
    network = Network(4, [Weather(0.01), Weather(0.02, loss=0.01)])
    network.run(2.0, Load(network, 8, 2))
    assert both_up(network)
    if which == "client":
        network.restart_client()
    else:
        network.restart_server()
    network.run(3.0)
    assert both_up(network)
    for judge in network.judges:
        judge.size = 0
    load = Load(network, 8, 2)  # the devices' flows begin anew, too
    for judge in network.judges:
        judge.seen.clear()
        judge.last.clear()
        judge.backwards.clear()
    network.run(2.0, load)
    network.run(1.0)
    assert sum(judge.size for judge in network.judges) > 0.97 * load.offered
    assert not any(judge.corrupt or sum(judge.backwards.values()) for judge in network.judges)


def test_a_client_behind_a_nat_that_rebinds_goes_on() -> None:
    network = Network(5, [Weather(0.01), Weather(0.02)])
    load = Load(network, 8, 2)
    network.run(1.5, load)
    network.ports[0] = "another port"
    network.run(1.5, load)
    assert network.server.peer.paths[0].address.proven == "another port"
    assert both_up(network)
    assert not any(judge.corrupt or judge.repeated for judge in network.judges)


def test_the_status_counts_what_repairs_do() -> None:
    network = Network(5, [Weather(0.01, loss=0.03), Weather(0.02, loss=0.03)])
    for end in (network.client, network.server):
        end.peer.sender.encoder.policy = policy("fixed", 10, 3)
    network.run(1.0)
    before = figures(network.server.peer)
    for position in range(600):
        network.client.send_packet(datagram_packet(0, position, 900, network.random))
        network.run(0.002)
    network.run(0.5)
    sent, received = figures(network.client.peer), figures(network.server.peer)
    assert sent["repairs_sent"] >= 180
    assert received["recovered"] - before["recovered"] > 3
    assert received["rx_packets"] == 600


def test_a_path_that_becomes_narrow_carries_smaller_datagrams() -> None:
    network = Network(5, [Weather(0.01)])
    network.run(2.0)
    path = network.client.peer.paths[0]
    assert path.room == 1472
    network.weather[0].largest = 1300

    def send(first: int, count: int, size: int) -> int:
        for position in range(first, first + count):
            network.client.send_packet(datagram_packet(0, position, size, network.random))
            network.run(0.02)
        return len(network.judges[1].seen[0]) + len(network.judges[0].seen[0])

    assert send(0, 100, 1400) < 10, "nothing tells at once"
    network.run(5.0)
    assert 1200 <= path.room <= 1300
    before = send(100, 1, 1100)
    assert send(101, 50, 1100) >= before + 50
    network.weather[0].largest = 65535
    network.run(700.0)
    assert path.room == 1472
