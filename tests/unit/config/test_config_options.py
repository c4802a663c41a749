# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option: accepted, its default, its range, and what is said of a bad value."""

from __future__ import annotations

from typing import Any

import pytest

from netpath.config import loads
from netpath.config.schema import SECTIONS
from netpath.model import (
    AddressMatch,
    AddressSpec,
    Config,
    Globals,
    Interface,
    LastResort,
    Member,
    Mode,
    NameSpec,
    Nat6,
    Quality,
    Quota,
    RangeSpec,
    Rule,
    Schedule,
    State,
    Tracking,
    TrackMethod,
)


def config(text: str) -> Config:
    loaded = loads(text)
    assert loaded.config is not None, [str(p) for p in loaded.problems]
    return loaded.config


def interface(*options: str) -> Interface:
    return config("config interface 'wan'\n" + "\n".join(options)).interfaces[0]


def rule(*options: str) -> Rule:
    return config("config rule 'r'\noption policy default\n" + "\n".join(options)).rules[0]


def test_defaults_of_globals() -> None:
    for text in ("", "config globals\n", "config globals 'globals'\n"):
        assert config(text).globals == Globals(True, "netpath", 0x3F00, 6000, (), False, "notice", True, "", "auto")


def test_defaults_of_an_interface() -> None:
    tracking = Tracking(
        method=TrackMethod.PING,
        targets=(),
        reliability=1,
        count=1,
        size=56,
        max_ttl=60,
        timeout=None,
        interval=5.0,
        failure_interval=0.1,
        recovery_interval=2.0,
        keep_failure_interval=False,
        down=3,
        up=5,
        stable_time=0.0,
        quality=None,
        httping_ssl=False,
        dns_query="example.com",
        tcp_port=443,
    )
    assert interface() == Interface(
        name="wan",
        enabled=True,
        device=None,
        family="ipv4",
        gateway=None,
        initial_state=State.ONLINE,
        tracking=tracking,
        flush_conntrack=("ifdown", "disconnected"),
        metered=False,
    )


def test_short_intervals_follow_a_short_interval() -> None:
    tracking = interface("option interval 200ms").tracking
    assert (tracking.failure_interval, tracking.recovery_interval) == (0.1, 0.2)
    assert interface("option interval 50ms").tracking.failure_interval == 0.05
    tracking = interface("option interval 1", "option failure_interval 3", "option recovery_interval 4").tracking
    assert (tracking.failure_interval, tracking.recovery_interval) == (3.0, 4.0)


SEVERAL = ("list track_targets 192.0.2.1", "list track_targets 192.0.2.2")


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (SEVERAL[:1], 0.1),
        (SEVERAL, 0.3),
        ((*SEVERAL, "list track_targets 192.0.2.3"), 0.3),
        ((SEVERAL[0], SEVERAL[0]), 0.1),  # one, named twice
        ((*SEVERAL, "option interval 200ms"), 0.2),
        ((*SEVERAL, "option interval 50ms"), 0.05),
        ((*SEVERAL, "option failure_interval 100ms"), 0.1),
        ((*SEVERAL, "option failure_interval 2"), 2.0),
        ((*SEVERAL, "option keep_failure_interval 1"), 0.5),
        ((*SEVERAL, "option keep_failure_interval 1", "option interval 400ms"), 0.4),
    ],
)
def test_several_targets_take_longer_to_confirm_a_failure(options: tuple[str, ...], seconds: float) -> None:
    assert interface(*options).tracking.failure_interval == seconds


def test_knocking_for_a_whole_outage_is_no_burst_unless_asked_for() -> None:
    assert interface("option keep_failure_interval 1").tracking.failure_interval == 0.5
    assert interface("option keep_failure_interval 1", "option failure_interval 1").tracking.failure_interval == 1.0


def test_defaults_of_member_policy_and_rule() -> None:
    text = "config interface wan\nconfig member m\noption interface wan\nconfig policy p\nlist members m\n"
    (policy,) = config(text).policies
    assert policy.members == (Member("m", "wan", 1, 1),)
    assert (policy.mode, policy.last_resort) == (Mode.BALANCED, LastResort.UNREACHABLE)
    assert rule() == Rule("r", "any", "default")


def test_quality_is_set_only_when_checked() -> None:
    assert interface("option failure_latency 300").tracking.quality is None
    assert interface("option check_quality 1").tracking.quality == Quality(1000.0, 500.0, 40.0, 10.0, None, None)
    given = interface(
        "option check_quality 1", "option failure_jitter 50", "option recovery_jitter 20.5"
    ).tracking.quality
    assert given is not None
    assert (given.failure_jitter, given.recovery_jitter) == (50.0, 20.5)


GLOBALS: list[tuple[str, str, str, Any]] = [
    ("enabled", "0", "enabled", False),
    ("nft_table", "my_table2", "nft_table", "my_table2"),
    ("mark_mask", "0xFF0000", "mark_mask", 0xFF0000),
    ("mark_mask", "16128", "mark_mask", 0x3F00),
    ("mmx_mask", "0x3f", "mark_mask", 0x3F),
    ("rule_priority", "1000", "rule_priority", 1000),
    ("rule_priority", "31000", "rule_priority", 31000),
    ("rt_table_lookup", "220 local,300", "rt_table_lookup", (220, 255, 300)),
    ("logging", "yes", "logging", True),
    ("dns_failover", "0", "dns_failover", False),
    ("dnsmasq_dir", "auto", "dnsmasq_dir", ""),
    ("dnsmasq_dir", "/tmp/dnsmasq.cfg01411c.d/", "dnsmasq_dir", "/tmp/dnsmasq.cfg01411c.d"),
    ("dnsmasq_restart", "none", "dnsmasq_restart", "none"),
    ("loglevel", "debug", "loglevel", "debug"),
    ("loglevel", "WARN", "loglevel", "warning"),
]
INTERFACE: list[tuple[str, str, str, Any]] = [
    ("enabled", "0", "enabled", False),
    ("enabled", "off", "enabled", False),
    ("ifname", "eth0.2", "device", "eth0.2"),
    ("device", "pppoe-wan", "device", "pppoe-wan"),
    ("family", "IPv6", "family", "ipv6"),
    ("gateway", "192.0.2.1", "gateway", "192.0.2.1"),
    ("initial_state", "offline", "initial_state", State.OFFLINE),
    ("flush_conntrack", "never", "flush_conntrack", ()),
    ("flush_conntrack", "always", "flush_conntrack", ("ifup", "ifdown", "connected", "disconnected")),
    ("flush_conntrack", "connected ifup", "flush_conntrack", ("ifup", "connected")),
    ("dns", "192.0.2.53 198.51.100.53 192.0.2.53", "resolvers", ("192.0.2.53", "198.51.100.53")),
    ("metered", "1", "metered", True),
]
IPV6: list[tuple[str, str, str, Any]] = [
    *(("nat6", way.value, "nat6", way) for way in Nat6),
    ("nat6_prefix", "2001:DB8:b00::1/56,2001:db8:c00::/64", "nat6_prefix", ("2001:db8:b00::/56", "2001:db8:c00::/64")),
    ("nat6_from", "fd00:1:2:3::/64 fd00:1:2:3::/64", "nat6_from", ("fd00:1:2:3::/64",)),
]
TRACKING: list[tuple[str, str, str, Any]] = [
    *(("track_method", method.value, "method", method) for method in TrackMethod),
    ("track_method", "nslookup", "method", TrackMethod.DNS),
    ("track_method", "nping-tcp", "method", TrackMethod.TCP),
    ("track_method", "nping-udp", "method", TrackMethod.PING),
    ("track_method", "nping-icmp", "method", TrackMethod.PING),
    ("track_method", "nping-arp", "method", TrackMethod.ARPING),
    ("track_targets", "192.0.2.1 192.0.2.2", "targets", ("192.0.2.1", "192.0.2.2")),
    ("track_ip", "192.0.2.1", "targets", ("192.0.2.1",)),
    ("reliability", "100", "reliability", 100),
    ("count", "3", "count", 3),
    ("size", "0", "size", 0),
    ("max_ttl", "255", "max_ttl", 255),
    ("timeout", "4", "timeout", 4.0),
    ("timeout", "250ms", "timeout", 0.25),
    ("interval", "0.2", "interval", 0.2),
    ("interval", "10", "interval", 10.0),
    ("interval", "2m", "interval", 120.0),
    ("interval", "24h", "interval", 86400.0),
    ("failure_interval", ".1", "failure_interval", 0.1),
    ("recovery_interval", "1s", "recovery_interval", 1.0),
    ("keep_failure_interval", "true", "keep_failure_interval", True),
    ("down", "1", "down", 1),
    ("up", "1000", "up", 1000),
    ("stable_time", "60", "stable_time", 60.0),
    ("httping_ssl", "1", "httping_ssl", True),
    ("dns_query", "www.example.org.", "dns_query", "www.example.org."),
    ("tcp_port", "65535", "tcp_port", 65535),
]
QUALITY: list[tuple[str, str, str, Any]] = [
    ("failure_latency", "900ms", "failure_latency", 900.0),
    ("recovery_latency", "200", "recovery_latency", 200.0),
    ("failure_loss", "50%", "failure_loss", 50.0),
    ("recovery_loss", "0", "recovery_loss", 0.0),
    ("failure_jitter", "30", "failure_jitter", 30.0),
    ("recovery_jitter", "10.5", "recovery_jitter", 10.5),
]
POLICY: list[tuple[str, str, str, Any]] = [
    *(("mode", mode.value, "mode", mode) for mode in Mode),
    ("mode", "round_robin", "mode", Mode.ROUND_ROBIN),
    ("mode", "roundrobin", "mode", Mode.ROUND_ROBIN),
    *(("last_resort", resort.value, "last_resort", resort) for resort in LastResort),
]
TCP, UDP = (6, 6), (17, 17)
RULE: list[tuple[str, str, str, Any]] = [
    ("family", "ipv6", "family", "ipv6"),
    ("family", "any", "family", "any"),
    ("proto", "all", "proto", RangeSpec()),
    ("proto", "0", "proto", RangeSpec()),
    ("proto", "TCP udp", "proto", RangeSpec((TCP, UDP))),
    ("proto", "esp,ah", "proto", RangeSpec(((50, 51),))),
    ("proto", "!icmp", "proto", RangeSpec((), ((1, 1),))),
    ("proto", "255", "proto", RangeSpec(((255, 255),))),
    ("src_iface", "br-lan,lan", "src_iface", NameSpec(("br-lan", "lan"))),
    ("src_iface", "! guest", "src_iface", NameSpec((), ("guest",))),
    ("src_mac", "00:00:5E:00:53:01 !00-00-5e-00-53-02", "src_mac",
     NameSpec(("00:00:5e:00:53:01",), ("00:00:5e:00:53:02",))),
    ("dscp", "EF,cs1,10-12", "dscp", RangeSpec(((8, 8), (10, 12), (46, 46)))),
    ("dscp", "AF41-AF43", "dscp", RangeSpec(((34, 38),))),
    ("dscp", "!0", "dscp", RangeSpec((), ((0, 0),))),
    ("domain", "Example.org. .cdn.example.org", "domains", ("example.org", "cdn.example.org")),
    ("domain", "b\u00fccher.example", "domains", ("xn--bcher-kva.example",)),
    ("domain", "_sip.example 1.example", "domains", ("_sip.example", "1.example")),
    ("domain", "org *.example.net", "domains", ("org", "example.net")),
    ("nft_set", "streaming", "nft_set", "streaming"),
    ("ipset", "my-set.v4", "nft_set", "my-set.v4"),
    ("sticky", "1", "sticky", True),
    ("timeout", "300", "timeout", 300),
    ("timeout", "10m", "timeout", 600),
    ("policy", "blackhole", "policy", "blackhole"),
    ("use_policy", "unreachable", "policy", "unreachable"),
]  # fmt: skip
PORTS = [
    ("443", RangeSpec(((443, 443),))),
    ("80,443", RangeSpec(((80, 80), (443, 443)))),
    ("443 80", RangeSpec(((80, 80), (443, 443)))),
    ("8000-8100", RangeSpec(((8000, 8100),))),
    ("8000:8100,8050:9000", RangeSpec(((8000, 9000),))),
    ("1024:", RangeSpec(((1024, 65535),))),
    (":1023", RangeSpec(((0, 1023),))),
    ("!22", RangeSpec((), ((22, 22),))),
    ("1-100,!22", RangeSpec(((1, 100),), ((22, 22),))),
    ("0-65535", RangeSpec()),
]


@pytest.mark.parametrize(("option", "value", "field", "expected"), GLOBALS)
def test_globals(option: str, value: str, field: str, expected: object) -> None:
    assert getattr(config(f"config globals\noption {option} '{value}'").globals, field) == expected


@pytest.mark.parametrize(("option", "value", "field", "expected"), INTERFACE)
def test_interface(option: str, value: str, field: str, expected: object) -> None:
    assert getattr(interface(f"option {option} '{value}'", "option track_targets ''"), field) == expected


@pytest.mark.parametrize(("option", "value", "field", "expected"), IPV6)
def test_ipv6_interface(option: str, value: str, field: str, expected: object) -> None:
    assert getattr(interface("option family ipv6", f"option {option} '{value}'"), field) == expected


NOT_ROUTED = ("::/16", "fe80::/64", "ff02::/16", "::ffff:192.0.2.0/120")
NO_PREFIXES = ("2001:db8::", "2001:db8::1", "192.0.2.0/24", "2001:db8::/15", "2001:db8::/129", "2001:db8::/x")


@pytest.mark.parametrize("value", [*NOT_ROUTED, *NO_PREFIXES])
def test_what_is_no_prefix_that_is_routed(value: str) -> None:
    loaded = loads(f"config interface wan\noption family ipv6\nlist nat6_prefix '{value}'\n")
    (problem,) = [p for p in loaded.problems if p.severity == "error"]
    assert (problem.option, problem.value, problem.line) == ("nat6_prefix", value, 3)
    assert "/" in problem.fix


@pytest.mark.parametrize(("option", "value", "field", "expected"), TRACKING)
def test_tracking(option: str, value: str, field: str, expected: object) -> None:
    assert getattr(interface(f"option {option} '{value}'").tracking, field) == expected


@pytest.mark.parametrize(("option", "value", "field", "expected"), QUALITY)
def test_quality(option: str, value: str, field: str, expected: object) -> None:
    quality = interface("option check_quality 1", f"option {option} '{value}'").tracking.quality
    assert getattr(quality, field) == expected


@pytest.mark.parametrize(("option", "value", "field", "expected"), POLICY)
def test_policy(option: str, value: str, field: str, expected: object) -> None:
    assert getattr(config(f"config policy p\noption {option} '{value}'").policies[0], field) == expected


@pytest.mark.parametrize(("option", "value", "field", "expected"), RULE)
def test_rule(option: str, value: str, field: str, expected: object) -> None:
    text = f"config globals\noption logging 1\nconfig rule r\noption policy default\noption {option} '{value}'"
    assert getattr(config(text).rules[0], field) == expected


MEMBER: list[tuple[str, str, str, Any]] = [
    ("interface", "wan", "interface", "wan"),
    ("metric", "65535", "metric", 65535),
    ("weight", "1000", "weight", 1000),
    ("time", "08:00-18:00", "schedule", Schedule(((480, 1080),), ())),
    ("time", "8:00-12:00,22:30-6:15 00:00-24:00", "schedule", Schedule(((480, 720), (1350, 375), (0, 1440)), ())),
    ("weekdays", "mon-fri", "schedule", Schedule((), (0, 1, 2, 3, 4))),
    ("weekdays", "Sunday,sat mon", "schedule", Schedule((), (0, 5, 6))),
    ("weekdays", "sat-mon", "schedule", Schedule((), (0, 5, 6))),
    ("quota", "1500", "quota", Quota(1500, 1)),
    ("quota", "500M", "quota", Quota(500_000_000, 1)),
    ("quota", "1.5gb", "quota", Quota(1_500_000_000, 1)),
    ("quota", "10Gi", "quota", Quota(10 * 2**30, 1)),
    ("quota", "2KiB", "quota", Quota(2048, 1)),
    ("quota", "1T", "quota", Quota(10**12, 1)),
    ("quota_reset", "31", "quota", Quota(1000, 31)),
]


@pytest.mark.parametrize(("option", "value", "field", "expected"), MEMBER)
def test_member(option: str, value: str, field: str, expected: object) -> None:
    given = {"interface": "wan", **({"quota": "1k"} if option == "quota_reset" else {}), option: value}
    options = "".join(f"option {name} '{text}'\n" for name, text in given.items())
    (policy,) = config(f"config interface wan\nconfig member m\n{options}config policy p\nlist members m\n").policies
    assert getattr(policy.members[0], field) == expected


@pytest.mark.parametrize("option", ["src_port", "dest_port"])
@pytest.mark.parametrize(("value", "expected"), PORTS)
def test_ports(option: str, value: str, expected: RangeSpec) -> None:
    assert getattr(rule("option proto tcp", f"option {option} '{value}'"), option) == expected


def test_logging_of_a_rule_and_its_enabled() -> None:
    assert rule("option logging 1").logging is True
    assert config("config rule r\noption policy default\noption enabled 0").rules == ()


def test_every_option_of_the_schema_is_in_these_tables() -> None:
    tables = {
        "globals": GLOBALS,
        "interface": [*INTERFACE, *IPV6, *TRACKING, *QUALITY],
        "member": MEMBER,
        "policy": POLICY,
        "rule": RULE,
    }
    elsewhere = {
        "member": set(),
        "globals": set(),
        "interface": {"check_quality"},
        "policy": {"members", "use_member"},
        "rule": {"enabled", "logging", "src_port", "dest_port", "src_ip", "dest_ip"},
    }
    for name, rows in tables.items():
        known = {n for o in SECTIONS[name].options if not o.ignored for n in o.names}
        assert {option for option, *_ in rows} | elsewhere[name] == known


V4 = "ipv4"
ADDRESSES = [
    ("192.0.2.1", (AddressMatch(V4, 0xC0000201, 0xFFFFFFFF),), ()),
    ("192.0.2.77/24", (AddressMatch(V4, 0xC0000200, 0xFFFFFF00),), ()),
    ("192.0.2.0/255.255.255.0", (AddressMatch(V4, 0xC0000200, 0xFFFFFF00),), ()),
    ("0.0.0.1/0.0.0.1", (AddressMatch(V4, 1, 1),), ()),
    ("0.0.0.3/0.0.0.1", (AddressMatch(V4, 1, 1),), ()),
    ("0.0.0.0/0", (AddressMatch(V4, 0, 0),), ()),
    ("192.0.2.1,192.0.2.1 192.0.2.2",
     (AddressMatch(V4, 0xC0000201, 0xFFFFFFFF), AddressMatch(V4, 0xC0000202, 0xFFFFFFFF)), ()),
    ("! 192.0.2.1", (), (AddressMatch(V4, 0xC0000201, 0xFFFFFFFF),)),
    ("2001:db8::/32", (AddressMatch("ipv6", 0x20010DB8 << 96, 0xFFFFFFFF << 96),), ()),
    ("::1/::3", (AddressMatch("ipv6", 1, 3),), ()),
]  # fmt: skip


@pytest.mark.parametrize("option", ["src_ip", "dest_ip"])
@pytest.mark.parametrize(("value", "any_of", "none_of"), ADDRESSES)
def test_networks(option: str, value: str, any_of: tuple[AddressMatch, ...], none_of: tuple[AddressMatch, ...]) -> None:
    found = rule(f"option {option} '{value}'")
    assert getattr(found, option) == AddressSpec(any_of, none_of)
    assert found.family == (*any_of, *none_of)[0].family


def test_addresses_of_both_families_leave_the_rule_to_both() -> None:
    assert rule("list src_ip 192.0.2.0/24", "list src_ip 2001:db8::/32").family == "any"
    assert rule("option src_ip '192.0.2.0/24 2001:db8::/32'", "option dest_ip ::/0").family == "ipv6"


BAD = [
    ("globals", "dns_failover", "maybe"),
    ("globals", "dnsmasq_dir", "dnsmasq.d"),
    ("globals", "dnsmasq_dir", "/etc/../root"),
    ("globals", "dnsmasq_dir", "/etc/a b"),
    ("globals", "dnsmasq_dir", "/etc/$(reboot)"),
    ("globals", "dnsmasq_restart", "/bin/sh"),
    ("interface", "dns", "dns.example"),
    ("interface", "dns", "127.0.0.1"),
    ("interface", "dns", "::1"),
    ("interface", "dns", "fe80::1"),
    ("interface", "dns", "169.254.1.1"),
    ("interface", "dns", "224.0.0.251"),
    ("interface", "dns", "0.0.0.0"),
    ("interface", "dns", "2001:db8::53"),
    ("rule", "domain", "192.0.2.1"),
    ("rule", "domain", "exa/mple.org"),
    ("rule", "domain", "a*.example.org"),
    ("rule", "domain", "*.*.example.org"),
    ("rule", "domain", "#"),
    ("rule", "domain", "example..org"),
    ("rule", "domain", "-a.example"),
    ("rule", "domain", "a" * 64 + ".example"),
    ("rule", "domain", "a." * 127 + "toolong"),
    ("rule", "domain", "stra\u00dfe.example"),
    ("rule", "domain", "example.42"),
    ("rule", "nft_set", "dom_x"),
    ("globals", "enabled", "maybe"),
    ("globals", "nft_table", "fw4"),
    ("globals", "nft_table", "table"),
    ("globals", "nft_table", "a b"),
    ("globals", "nft_table", "x; flush ruleset"),
    ("globals", "mark_mask", "0"),
    ("globals", "mark_mask", "0x1FFFFFFFF"),
    ("globals", "mark_mask", "3F00"),
    ("globals", "mark_mask", "0x3F0F"),
    ("globals", "mark_mask", "0x300"),
    ("globals", "rule_priority", "999"),
    ("globals", "rule_priority", "31001"),
    ("globals", "rt_table_lookup", "0"),
    ("globals", "rt_table_lookup", "vpn"),
    ("globals", "rt_table_lookup", "1001"),
    ("globals", "loglevel", "loud"),
    ("interface", "ifname", "sixteen_chars_xx"),
    ("interface", "ifname", "eth0;reboot"),
    ("interface", "ifname", "a/b"),
    ("interface", "ifname", ".."),
    ("interface", "ifname", 'eth0"'),
    ("interface", "family", "any"),
    ("interface", "gateway", "192.0.2"),
    ("interface", "gateway", "2001:db8::1"),
    ("interface", "initial_state", "up"),
    ("interface", "flush_conntrack", "sometimes"),
    ("interface", "flush_conntrack", "never ifup"),
    ("interface", "track_method", "carrier-pigeon"),
    ("interface", "track_targets", "one..example"),
    ("interface", "track_targets", "2001:db8::1"),
    ("interface", "track_targets", "$(reboot)"),
    ("interface", "reliability", "0"),
    ("interface", "count", "0"),
    ("interface", "size", "65508"),
    ("interface", "max_ttl", "256"),
    ("interface", "timeout", "1ms"),
    ("interface", "timeout", "61"),
    ("interface", "interval", "0"),
    ("interface", "interval", "25h"),
    ("interface", "interval", "-1"),
    ("interface", "interval", "soon"),
    ("interface", "down", "1.5"),
    ("interface", "up", "٣"),
    ("interface", "failure_loss", "101"),
    ("interface", "failure_latency", "0"),
    ("interface", "dns_query", "a..b"),
    ("interface", "dns_query", "192.0.2.1"),
    ("interface", "tcp_port", "65536"),
    ("member", "metric", "0"),
    ("member", "weight", "1001"),
    ("policy", "mode", "fair"),
    ("policy", "last_resort", "drop"),
    ("rule", "proto", "tpc"),
    ("rule", "proto", "256"),
    ("rule", "proto", "!all"),
    ("rule", "src_ip", "192.0.2.0/33"),
    ("rule", "src_ip", "192.0.2.0/"),
    ("rule", "src_ip", "192.0.2.300"),
    ("rule", "src_ip", "192.0.2.0/2001:db8::"),
    ("rule", "src_ip", "!0.0.0.0/0"),
    ("rule", "dest_ip", "example.com"),
    ("rule", "dest_ip", "};accept;{"),
    ("rule", "src_port", "0-65536"),
    ("rule", "dest_port", "44x"),
    ("rule", "dest_port", "90-80"),
    ("rule", "dest_port", "80 !80"),
    ("rule", "src_iface", "br lan\""),
    ("rule", "src_iface", "lan !lan"),
    ("rule", "src_mac", "00:00:5e:00:53"),
    ("rule", "dscp", "64"),
    ("rule", "dscp", "AF51"),
    ("rule", "nft_set", "a b"),
    ("rule", "nft_set", "@x"),
    ("rule", "nft_set", "counter"),
    ("rule", "nft_set", "st_mine"),
    ("rule", "timeout", "0"),
    ("rule", "timeout", "1.5"),
    ("rule", "policy", "no; such"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "option", "value"), BAD)
def test_a_bad_value_is_named_with_everything(section: str, option: str, value: str) -> None:
    text = f"config interface i\nconfig {section} 'name'\n"
    extra = {"member": "option interface i\n", "rule": "option proto tcp\noption policy default\n"}.get(section, "")
    text += extra.replace(f"option {option} ", "# ") + f"option {option} '{value}'\n"
    line = text.count("\n")
    loaded = loads(text, "/etc/config/netpath")
    assert loaded.config is None
    (error,) = [p for p in loaded.problems if p.severity == "error"]
    assert (error.file, error.line, error.section, error.option) == (
        "/etc/config/netpath",
        line,
        f"{section} name",
        option,
    )
    assert error.value is not None
    assert error.value in value
    assert error.message
    assert error.fix
    shown = str(error)
    assert "\n" not in shown
    for part in ("/etc/config/netpath", str(line), section, option, error.fix):
        assert part in shown


def test_every_bad_item_of_a_list_is_reported_with_its_line() -> None:
    text = (
        "config rule r\noption policy default\nlist src_ip 192.0.2.1\nlist src_ip bad1\nlist src_ip 'x 192.0.2.2 y'\n"
    )
    assert [(p.line, p.value) for p in loads(text).problems] == [(4, "bad1"), (5, "x"), (5, "y")]


def test_the_line_of_a_bad_item_is_its_own() -> None:
    text = "config rule r\noption policy default\nlist src_ip 192.0.2.1x,x1\nlist src_ip '1x x'\n"
    assert [(p.line, p.value) for p in loads(text).problems] == [(3, "192.0.2.1x"), (3, "x1"), (4, "1x"), (4, "x")]


def test_one_option_under_two_names() -> None:
    loaded = loads("config interface w\nlist track_ip 192.0.2.1\nlist track_targets 192.0.2.2\n")
    assert loaded.config is not None
    assert loaded.config.interfaces[0].tracking.targets == ("192.0.2.1", "192.0.2.2")
    loaded = loads("config rule r\noption use_policy default\noption policy blackhole\n")
    assert loaded.config is not None
    assert loaded.config.rules[0].policy == "blackhole"
    assert [(p.severity, p.line, p.option) for p in loaded.problems] == [("warning", 2, "use_policy")]


def test_rules_without_a_name_get_one_that_is_free() -> None:
    one = "config rule\noption policy default\noption src_ip 192.0.2.{}\n"
    named = "config rule rule_3\noption policy default\noption src_ip 192.0.2.9\n"
    rules = config(one.format(1) + named + one.format(2)).rules
    assert [rule.name for rule in rules] == ["rule_1", "rule_3", "rule_3_"]


def test_one_mistake_is_reported_once() -> None:
    text = "config member m\noption interface gone\nconfig policy p\nlist members m\n"
    assert [(p.line, p.severity) for p in loads(text).problems] == [(2, "error")]
    text = "config rule r\noption policy default\noption proto tpc\noption dest_port 80\n"
    assert [(p.line, p.severity) for p in loads(text).problems] == [(3, "error")]


@pytest.mark.parametrize(
    ("method", "family", "good", "bad"),
    [
        ("ping", "ipv4", "192.0.2.1", "192.0.2.1:80"),
        ("ping", "ipv4", "one.example", "-one.example"),
        ("arping", "ipv6", "2001:db8::1", "one.example"),
        ("ping", "ipv6", "2001:db8::1", "192.0.2.1"),
        ("dns", "ipv4", "dns.example", "dns.example:53"),
        ("arping", "ipv4", "192.0.2.1", "2001:db8::1"),
        ("tcp", "ipv4", "192.0.2.1:8080", "192.0.2.1:0"),
        ("tcp", "ipv6", "[2001:db8::1]:443", "[2001:db8::1]443x"),
        ("tcp", "ipv6", "example.com:443", "example.com:0"),
        ("httping", "ipv4", "http://example.com/generate_204?x=1", "ftp://example.com/"),
        ("httping", "ipv4", "example.com", 'http://exa"mple.com'),
        ("httping", "ipv6", "https://[2001:db8::1]:8443/", "https://192.0.2.1/"),
        ("httping", "ipv4", "192.0.2.1", "http://example.com:99999/"),
    ],
)
def test_targets_suit_the_method_and_family(method: str, family: str, good: str, bad: str) -> None:
    head = f"config interface wan\noption family {family}\noption track_method {method}\nlist track_targets "
    assert config(f"{head}'{good}'").interfaces[0].tracking.targets == (good,)
    loaded = loads(f"{head}'{bad}'")
    assert loaded.config is None
    assert {p.option for p in loaded.problems if p.severity == "error"} == {"track_targets"}


def test_a_name_as_target_is_taken_with_a_warning_because_it_needs_dns() -> None:
    loaded = loads("config interface w\nlist track_targets one.example\nlist track_targets 192.0.2.1\n")
    assert loaded.config is not None
    assert [(p.severity, p.option, p.value) for p in loaded.problems] == [("warning", "track_targets", "one.example")]
    assert "DNS" in loaded.problems[0].message


@pytest.mark.parametrize("name", ["a" * 65, "a b", "a'b", "", "-rf", "..", "a/b", "ä", "a\tb", "a;b", "$(x)"])
def test_hostile_names_are_errors_or_no_names(name: str) -> None:
    quoted = "'" + name.replace("'", "'\\''") + "'"
    loaded = loads(f"config interface {quoted}\n")
    assert loaded.config is None
    assert [p.severity for p in loaded.problems if "name" in p.message and p.severity == "error"] == ["error"]


def test_long_names_are_fine() -> None:
    assert config(f"config interface {'w' * 64}").interfaces[0].name == "w" * 64


def test_a_problem_prints_hostile_text_on_one_line_and_harmlessly() -> None:
    (error,) = [p for p in loads("config rule r\noption policy 'a\n\x1b[2Jb'\n").problems if p.severity == "error"]
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert "\\x1b" in str(error)
