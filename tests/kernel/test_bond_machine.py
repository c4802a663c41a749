# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bond's server changes on its machine, how it puts that back, and what it says of others' firewalls."""

from __future__ import annotations

import ctypes
import errno
import gc
import socket
import struct
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netpath.bond import surroundings
from netpath.bond.device import limits
from netpath.bond.forwarding import Forwarding
from netpath.bond.surroundings import Machine
from netpath.bond.tun import Tun
from netpath.bonding import BondServer
from netpath.kernel import sysctl, xtables
from netpath.lab.namespace import wait_until
from tests.kernel.kernel_world import World
from tests.unit.bond.settings import peer, server

pytestmark = pytest.mark.lab

FORWARD = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")


@pytest.fixture
def machine(world: World) -> Iterator[World]:
    """A server without forwarding, with a device."""
    world.uplinks(2)
    for path in FORWARD:
        world.sysctl(path, 0)
    tun = Tun("tun-bond")
    yield world
    tun.close()


def values() -> dict[str, str]:
    """Every parameter of IPv4 and IPv6 that may follow forwarding."""
    roots = [Path("/proc/sys/net/ipv4/ip_forward")]
    for family in ("ipv4", "ipv6"):
        for name in ("forwarding", "accept_ra", "accept_redirects", "send_redirects", "rp_filter", "mc_forwarding"):
            roots += Path(f"/proc/sys/net/{family}/conf").glob(f"*/{name}")
    return {str(path): path.read_text().strip() for path in roots}


def value(path: str) -> int:
    return int(Path("/proc/sys/net", path).read_text())


def test_forwarding_is_switched_on_and_all_is_as_before_afterwards(machine: World, tmp_path: Path) -> None:
    machine.sysctl("ipv4/conf/all/accept_redirects", 0)
    machine.sysctl("ipv4/conf/wan2/forwarding", 1)
    machine.sysctl("ipv6/conf/wan2/forwarding", 1)
    machine.sysctl("ipv6/conf/wan1/accept_ra", 1)
    machine.nft("table inet mine {\nchain one {\ncounter\n}\n}\n")
    before = values(), machine.run("nft", "list", "ruleset")
    forwarding = Forwarding("home", tmp_path)
    assert forwarding.apply(server(), 1400) == []
    assert [value(path) for path in FORWARD] == [1, 1]
    assert value("ipv6/conf/wan1/accept_ra") == 2
    assert forwarding.apply(server(), 1400) == []
    assert forwarding.close() == []
    assert (values(), machine.run("nft", "list", "ruleset")) == before
    assert list(tmp_path.glob("*.json")) == []


def test_a_bond_without_ipv6_inside_leaves_ipv6_alone(machine: World, tmp_path: Path) -> None:
    forwarding = Forwarding("home", tmp_path)
    forwarding.apply(server(inner=("203.0.113.1/24",), clients=(peer("a", ("203.0.113.2/24",)),)), 1400)
    assert [value(path) for path in FORWARD] == [1, 0]
    forwarding.close()


def test_a_reload_without_forward_puts_the_sysctls_back(machine: World, tmp_path: Path) -> None:
    before = values()
    forwarding = Forwarding("home", tmp_path)
    forwarding.apply(server(), 1400)
    assert forwarding.apply(server(forward=False), 1400) == []
    assert values() == before
    forwarding.apply(server(), 1400)
    assert value(FORWARD[0]) == 1
    forwarding.close()
    assert values() == before


def test_what_was_on_before_stays_on(machine: World, tmp_path: Path) -> None:
    for path in FORWARD:
        machine.sysctl(path, 1)
    before = values()
    forwarding = Forwarding("home", tmp_path)
    forwarding.apply(server(), 1400)
    assert values() == before
    forwarding.close()
    assert values() == before


def test_somebody_elses_later_choice_is_kept(machine: World, tmp_path: Path) -> None:
    machine.sysctl("ipv6/conf/wan1/accept_ra", 1)
    forwarding = Forwarding("home", tmp_path)
    forwarding.apply(server(), 1400)
    machine.sysctl("ipv6/conf/wan1/accept_ra", 0)
    forwarding.close()
    assert value("ipv6/conf/wan1/accept_ra") == 0


def test_a_killed_servers_leftovers_are_taken_over(machine: World, tmp_path: Path) -> None:
    before = values()
    killed = Forwarding("home", tmp_path)
    killed.apply(server(table="old"), 1400)
    del killed
    forwarding = Forwarding("home", tmp_path)
    assert forwarding.apply(server(table="new"), 1400) == []
    assert machine.run("nft", "list", "tables") == "table inet new\n"
    forwarding.close()
    assert machine.run("nft", "list", "tables") == ""
    assert values() == before


@pytest.mark.parametrize("first_goes_first", [True, False])
def test_two_servers_forward_until_the_last_one_goes(machine: World, tmp_path: Path, first_goes_first: bool) -> None:
    before = values()
    servers = [Forwarding(name, tmp_path) for name in ("one", "two")]
    for n, each in enumerate(servers):
        each.apply(server(table=f"t{n}"), 1400)
    for n, each in enumerate(servers if first_goes_first else reversed(servers)):
        assert [value(path) for path in FORWARD] == [1, 1], f"{n} gone"
        assert each.apply(server(table=f"t{n if first_goes_first else 1 - n}"), 1400) == []
        assert each.close() == []
    assert values() == before


def test_a_foreign_table_of_that_name_is_not_touched(machine: World, tmp_path: Path) -> None:
    machine.nft("table inet netpath-bond {\nchain one {\ncounter\n}\n}\n")
    before = machine.run("nft", "list", "ruleset")
    forwarding = Forwarding("home", tmp_path)
    assert forwarding.apply(server(), 1400) == [
        "there is a table inet netpath-bond of somebody else: choose another name for this bond's"
    ]
    assert value(FORWARD[0]) == 0, "nothing is forwarded without our rules"
    assert forwarding.close() == []
    assert machine.run("nft", "list", "ruleset") == before


def test_a_flushed_table_is_noticed(machine: World, tmp_path: Path) -> None:
    forwarding, settings = Forwarding("home", tmp_path), server()
    forwarding.apply(settings, 1400)
    whole = machine.run("nft", "list", "ruleset")
    assert forwarding.intact("netpath-bond")
    machine.nft("flush ruleset\n")
    assert not forwarding.intact("netpath-bond")
    forwarding.apply(settings, 1400)
    assert machine.run("nft", "list", "ruleset") == whole
    forwarding.close()


def test_a_state_directory_that_cannot_be_written_is_told_and_all_is_put_back(machine: World, tmp_path: Path) -> None:
    before = values()
    blocked = tmp_path / "file"
    blocked.write_text("")
    forwarding = Forwarding("home", blocked)
    told = forwarding.apply(server(), 1400)
    assert told
    assert all(str(blocked) in line for line in told)
    assert value(FORWARD[0]) == 1
    forwarding.close()
    assert values() == before
    assert machine.run("nft", "list", "tables") == ""


def test_a_container_that_may_not_switch_it_on_says_what_to_do(
    machine: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(changes: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    before = values()
    monkeypatch.setattr(sysctl, "carry_out", refuse)
    (told,) = forwarding_problems(tmp_path, server())
    assert "Read-only file system" in told
    assert "net.ipv4.ip_forward" in told
    assert values() == before


def test_problems_of_forwarding_stay_in_sight_until_they_are_mended(
    machine: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(changes: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(surroundings, "LOOK", 0.05)
    monkeypatch.setattr(surroundings, "RETRY", 0.1)
    log: list[str] = []
    whole = Machine(server(), tmp_path, lambda _, message: log.append(message))  # type: ignore[arg-type]
    machine.nft("table inet netpath-bond {\nchain one {\ncounter\n}\n}\n")
    with monkeypatch.context() as patch:
        patch.setattr(sysctl, "carry_out", refuse)
        whole.raised("tun-bond", ("203.0.113.1/24",), 1400)
        whole.served(server())
        assert any("of somebody else" in each for each in whole.problems)
        machine.nft("delete table inet netpath-bond\n")
        wait_until(lambda: any("net.ipv4.ip_forward" in each for each in whole.problems), 10, "the next problem")
        assert "over: there is a table inet netpath-bond" in " ".join(log)
        assert sum("net.ipv4.ip_forward" in line and "over" not in line for line in log) == 1, (
            "once, however often it is tried"
        )
    wait_until(lambda: not whole.problems, 10, "that to be mended, too")
    assert value(FORWARD[0]) == 1
    whole.ended()


def test_sizes_and_queue_follow_what_the_paths_carry(
    machine: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "LOOK", 0.05)
    whole = Machine(server(), tmp_path, lambda _, message: None)  # type: ignore[arg-type]
    whole.raised("tun-bond", ("203.0.113.1/24",), 1400)

    def shown() -> str:
        return machine.run("ip", "-d", "link", "show", "tun-bond")

    assert ("gso_max_size 65536" in shown(), "qlen 500" in shown()) == (True, True)
    for rate in (1_000_000.0, 20_000_000.0, None):
        whole.paced(rate)
        size, queue = limits(rate, 1400)
        wait_until(lambda: f"gso_max_size {size} " in shown() and f"qlen {queue}\n" in shown(), 10, f"{size}")  # noqa: B023
    whole.ended()


def test_what_peers_and_settings_have_left_is_given_back(
    machine: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the thread that looks at the device: an object that only refers to itself is not collected otherwise."""
    monkeypatch.setattr(surroundings, "LOOK", 0.05)
    monkeypatch.setattr(surroundings, "TIDY", 0.1)
    gc.disable()
    try:
        circle: list[object] = [{"something"}]
        left = weakref.ref(circle[0])
        circle.append(circle)
        del circle
        whole = Machine(server(), tmp_path, lambda _, message: None)  # type: ignore[arg-type]
        whole.raised("tun-bond", ("203.0.113.1/24",), 1400)
        wait_until(lambda: left() is None, 10, "it to be collected")
        whole.ended()
    finally:
        gc.enable()


def test_a_record_that_could_not_be_written_is_told_until_it_is(machine: World, tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("")
    forwarding = Forwarding("home", blocked)
    for _ in range(2):
        assert any("could not be written" in line for line in forwarding.apply(server(), 1400))
    blocked.unlink()
    assert forwarding.apply(server(), 1400) == []
    assert list(blocked.glob("*.json"))
    forwarding.close()


def test_a_server_that_lives_from_router_advertisements_keeps_its_default_route(machine: World, tmp_path: Path) -> None:
    """Without accept_ra 2 the kernel removes it in the moment in which forwarding is switched on."""
    machine.sysctl("ipv6/conf/wan1/accept_ra", 1)
    machine.run("ip", "-6", "address", "add", "fe80::1/64", "dev", "far1", "nodad")

    def defaults() -> str:
        return machine.run("ip", "-6", "route", "show", "default", "proto", "ra")

    def advertise(then: Callable[[], bool]) -> None:
        def there() -> bool:
            _advertise("far1")
            return then()

        wait_until(there, 10, "the default route of a router advertisement")

    advertise(lambda: "wan1" in defaults())
    forwarding = Forwarding("home", tmp_path)
    forwarding.apply(server(), 1400)
    assert "wan1" in defaults()
    machine.run("ip", "-6", "route", "del", "default", "proto", "ra")
    advertise(lambda: "wan1" in defaults())
    forwarding.close()
    assert "wan1" in defaults()
    assert value("ipv6/conf/wan1/accept_ra") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("table ip filter {\nchain DOCKER-USER {\n}\nCHAIN\n}\n", "iptables -I DOCKER-USER -i tun-bond -j ACCEPT"),
        ("table ip6 filter {\nchain ufw6-before-forward {\n}\nCHAIN\n}\n", "ufw route allow in on tun-bond"),
        ("table inet fw4 {\nCHAIN\n}\n", "/etc/config/firewall"),
        ("table inet mine {\nCHAIN\n}\n", "nft insert rule inet mine FORWARD iifname tun-bond accept"),
        (
            "table inet firewalld {\nchain f {\ntype filter hook forward priority 10\nreject\n}\n}\n",
            "firewall-cmd --permanent",
        ),
    ],
)
def test_a_firewall_that_drops_is_told_until_it_knows_the_device(
    machine: World, tmp_path: Path, text: str, says: str
) -> None:
    machine.nft(text.replace("CHAIN", "chain FORWARD {\ntype filter hook forward priority 0; policy drop;\n}"))
    before = machine.run("nft", "list", "ruleset")
    forwarding = Forwarding("home", tmp_path)
    (told,) = forwarding.apply(server(), 1400)
    assert says in told
    forwarding.close()
    assert machine.run("nft", "list", "ruleset") == before
    family, table = text.split()[1:3]
    chain = "f" if table == "firewalld" else "FORWARD"
    # As OpenWrt's firewall has it, in a set without a name.
    machine.nft(f'insert rule {family} {table} {chain} iifname {{ "lan", "tun-bond" }} accept\n')
    assert forwarding_problems(tmp_path, server()) == []


def test_firewalls_that_let_everything_through_are_no_problem(machine: World, tmp_path: Path) -> None:
    machine.nft(
        "table ip filter {\nchain FORWARD {\ntype filter hook forward priority 0; policy accept;\n}\n"
        "chain INPUT {\ntype filter hook input priority 0; policy accept;\n}\n}\n"
    )
    assert forwarding_problems(tmp_path, server()) == []


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("table ip filter {\nchain ufw-user-input {\n}\nchain INPUT", "`ufw allow 9001:9003/udp`"),
        ("table ip6 filter {\nchain INPUT", "`ip6tables -I INPUT -p udp --dport 9001:9003 -j ACCEPT`"),
        ("table inet fw4 {\nchain input", "dest_port 9001-9003"),
        ("table inet firewalld {\nchain filter_INPUT", "firewall-cmd --permanent --add-port=9001-9003/udp"),
        ("table inet mine {\nchain in", "`udp dport 9001-9003`"),
    ],
)
def test_closed_ports_are_told_until_they_are_open(machine: World, tmp_path: Path, head: str, says: str) -> None:
    machine.nft(f"{head} {{\ntype filter hook input priority 0; policy drop;\ntcp dport 22 accept\n}}\n}}\n")
    settings = server(ports=3)
    (told,) = forwarding_problems(tmp_path, settings)
    assert says in told
    (family, table), chain = head.split()[1:3], head.rpartition(" ")[2]
    machine.nft(f"add rule {family} {table} {chain} udp dport {{ 9001, 9003 }} accept\n")
    (told,) = forwarding_problems(tmp_path, settings)
    assert "UDP port 9002," in told
    machine.nft(f"add rule {family} {table} {chain} udp dport 9000-9100 accept\n")
    assert forwarding_problems(tmp_path, settings) == []


def test_legacy_iptables_that_drop_are_told(machine: World, tmp_path: Path) -> None:
    assert xtables.forward("ipv4") is None
    _legacy_policy(drop=False)
    found = xtables.forward("ipv4")
    assert found is not None
    assert not found.drops
    assert forwarding_problems(tmp_path, server()) == []
    _legacy_policy(drop=True)
    (told,) = forwarding_problems(tmp_path, server())
    assert "iptables -I FORWARD -i tun-bond -j ACCEPT" in told
    assert xtables.forward("ipv6") is None, "looking must not make a table"


def forwarding_problems(state: Path, settings: BondServer) -> list[str]:
    forwarding = Forwarding("home", state)
    try:
        return forwarding.apply(settings, 1400)
    finally:
        forwarding.close()


def _advertise(device: str) -> None:
    """A router advertisement with a lifetime of 1800 s (RFC 4861, 4.2)."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        index = socket.if_nametoindex(device)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.bind(("fe80::1", 0, 0, index))
        sock.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, index))


def _legacy_policy(*, drop: bool) -> None:
    """Make the filter table of legacy iptables, and set the policy of FORWARD (`iptables-legacy -P FORWARD`)."""
    library = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        info = ctypes.create_string_buffer(b"filter", 84)
        length = ctypes.c_uint32(84)
        if library.getsockopt(sock.fileno(), 0, 64, info, ctypes.byref(length)):
            pytest.skip("no legacy iptables in this kernel")
        _, hooks, *places, count, size = struct.unpack("=32sI10III", info.raw)
        table = ctypes.create_string_buffer(struct.pack("=32sI4x", b"filter", size), 40 + size)
        length = ctypes.c_uint32(40 + size)
        assert library.getsockopt(sock.fileno(), 0, 65, table, ctypes.byref(length)) == 0
        entries = bytearray(table.raw[40:])
        policy = places[5 + 2]
        (target,) = struct.unpack_from("=H", entries, policy + 88)
        struct.pack_into("=i", entries, policy + target + 32, -1 if drop else -2)
        counters = ctypes.create_string_buffer(16 * count)
        head = struct.pack("=32sIII10IIQ", b"filter", hooks, count, size, *places, count, ctypes.addressof(counters))
        assert len(head) == 96
        whole = ctypes.create_string_buffer(head + bytes(entries), len(head) + size)
        assert library.setsockopt(sock.fileno(), 0, 64, whole, len(whole)) == 0, ctypes.get_errno()
