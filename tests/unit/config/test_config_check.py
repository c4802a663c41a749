# SPDX-License-Identifier: GPL-2.0-or-later
"""What `netpath check` says of files whose single values are right."""

from __future__ import annotations

import pytest

from netpath.config import ForeignMark, Problem, guess_owner, loads, mark_clashes
from netpath.config.check import mask_for

BASE = """\
config interface 'wan'
	option ifname 'eth0'
	list track_targets '192.0.2.1'
config interface 'wan2'
	option ifname 'eth1'
	list track_targets '192.0.2.2'
config member 'wan_m'
	option interface 'wan'
config member 'wan2_m'
	option interface 'wan2'
config policy 'both'
	list members 'wan_m'
	list members 'wan2_m'
"""


def problems(text: str) -> list[Problem]:
    loaded = loads(BASE + text)
    assert (loaded.config is None) == any(p.severity == "error" for p in loaded.problems)
    return list(loaded.problems)


def only(text: str) -> Problem:
    (problem,) = problems(text)
    assert problem.fix
    assert problem.file == "..."
    return problem


def test_the_base_is_clean() -> None:
    assert problems("") == []


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (
            "config rule r\noption policy 'bth'\n",
            ("error", 15, "rule r", "policy"),
            "did you mean both?",
        ),
        (
            "config rule r\noption use_policy 'bth'\n",
            ("error", 15, "rule r", "use_policy"),
            "did you mean both?",
        ),
        (
            "config rule r\noption proto udp\n",
            ("error", 14, "rule r", None),
            "policy is missing",
        ),
        (
            "config rule r\noption policy both\noption dest_port 53\n",
            ("error", 16, "rule r", "dest_port"),
            "add option proto",
        ),
        (
            "config rule r\noption policy both\noption proto icmp\noption src_port 1\n",
            ("error", 17, "rule r", "src_port"),
            "need a protocol",
        ),
        (
            "config rule r\noption policy both\noption proto !tcp\noption src_port 1\n",
            ("error", 17, "rule r", "src_port"),
            "need a protocol",
        ),
        (
            "config rule r\noption policy both\noption family ipv6\noption src_ip 192.0.2.1\n",
            ("error", 17, "rule r", "src_ip"),
            "ipv6 only",
        ),
        (
            "config rule r\noption policy both\noption src_ip 192.0.2.1\noption dest_ip ::1\n",
            ("error", 17, "rule r", "dest_ip"),
            "different families",
        ),
        (
            "config interface 'wan'\n",
            ("error", 14, "interface wan", None),
            "taken already on line 1",
        ),
        (
            "config policy 'both'\nlist members wan_m\n",
            ("error", 14, "policy both", None),
            "taken already on line 11",
        ),
        (
            "config policy 'default'\nlist members wan_m\n",
            ("error", 14, "policy default", None),
            "meaning of its own",
        ),
        (
            "config interface\noption track_method none\n",
            ("error", 14, "interface", None),
            "has no name",
        ),
        (
            "config policy p\nlist members wan_m\nlist members wan3_m\n",
            ("error", 16, "policy p", "members"),
            "did you mean wan",
        ),
        (
            "config member m\noption interface wann\n",
            ("error", 15, "member m", "interface"),
            "did you mean wan?",
        ),
        (
            "config globals\noption mark_mask 0x0300\n",
            ("error", 15, "globals", "mark_mask"),
            "2 bits",
        ),
        (
            "config globals\noption mark_mask 0x3F10\n",
            ("error", 15, "globals", "mark_mask"),
            "not one run",
        ),
        (
            "config globals\nconfig globals\n",
            ("error", 15, "globals", None),
            "more than one globals",
        ),
        (
            "config globals\nlist rt_table_lookup 1060\n",
            ("error", 15, "globals", "rt_table_lookup"),
            "NetPath's own",
        ),
        (
            "config globals\nlist rt_table_lookup main\n",
            ("warning", 15, "globals", "rt_table_lookup"),
            "always looked up",
        ),
        (
            "config globals\noption enabeld 1\n",
            ("warning", 15, "globals", "enabeld"),
            "did you mean enabled?",
        ),
        (
            "config rlue r\noption a 1\n",
            ("warning", 14, "rlue r", None),
            "did you mean config rule?",
        ),
        (
            "config member m\noption interface wan\n",
            ("warning", 14, "member m", None),
            "no policy uses",
        ),
        (
            "config policy p\n",
            ("warning", 14, "policy p", None),
            "last_resort, unreachable",
        ),
        (
            "config interface w\n",
            ("warning", 14, "interface w", None),
            "counts as online",
        ),
        (
            "config interface w\noption reliability 2\nlist track_targets 192.0.2.3\n",
            ("warning", 15, "interface w", "reliability"),
            "all of them must answer",
        ),
        (
            "config interface w\nlist track_targets 192.0.2.3\noption ifname eth1\n",
            ("warning", 16, "interface w", "ifname"),
            "interface wan2",
        ),
        (
            "config interface w\nlist track_targets 192.0.2.3\noption check_quality 1\noption recovery_loss 50\n",
            ("warning", 17, "interface w", "recovery_loss"),
            "failure_loss (40)",
        ),
        (
            "config interface w\nlist track_targets 192.0.2.3\noption track_method nping-tcp\n",
            ("warning", 16, "interface w", "track_method"),
            "tcp_port",
        ),
        (
            "config rule r\noption policy default\noption sticky 1\n",
            ("warning", 16, "rule r", "sticky"),
            "no effect",
        ),
        (
            "config rule r\noption policy both\noption logging 1\n",
            ("warning", 16, "rule r", "logging"),
            "globals",
        ),
        (
            "config rule r\noption policy both\noption family ipv6\noption proto icmp\n",
            ("warning", 17, "rule r", "proto"),
            "write icmpv6",
        ),
        (
            "config rule r\noption policy both\noption src_iface a_very_long_lan_name\n",
            ("warning", 16, "rule r", "src_iface"),
            "too long for a device",
        ),
        (
            "config rule r\noption policy both\nlist domain a.example\noption dest_ip 192.0.2.1\n",
            ("error", 17, "rule r", "dest_ip"),
            "two rules",
        ),
        (
            "config rule r\noption policy both\noption ipset s\nlist domain a.example\n",
            ("error", 16, "rule r", "ipset"),
            "two rules",
        ),
        (
            "config rule r\noption policy both\nlist domain b.example\nlist domain *.a.example\n",
            ("warning", 17, "rule r", "domain"),
            "a.example itself matches too",
        ),
        (
            "config interface w\noption family ipv6\noption track_method none\nlist dns 192.0.2.1\n",
            ("error", 17, "interface w", "dns"),
            "ipv4 interface",
        ),
        (
            "config rule a\noption policy both\nlist domain b.example\n"
            "config rule b\noption policy both\nlist domain a.b.example\noption proto tcp\n",
            ("warning", 17, "rule b", None),
            "rule a (line 14)",
        ),
        (
            "config interface w\nlist track_targets 192.0.2.3\noption nat6 prefix\n",
            ("error", 16, "interface w", "nat6"),
            "write option family 'ipv6'",
        ),
        (
            "config interface w\nlist track_targets 192.0.2.3\nlist nat6_prefix 2001:db8:b00::/56\n",
            ("error", 16, "interface w", "nat6_prefix"),
            "the interface is ipv4",
        ),
        (
            "config interface w\noption family ipv6\nlist track_targets 2001:db8::1\nlist nat6_from fd00:1:2:3::/64\n",
            ("warning", 17, "interface w", "nat6_from"),
            "has no effect with nat6 off. write option nat6 'prefix'",
        ),
        (
            "config rule a\noption policy both\nconfig rule b\noption policy both\n",
            ("warning", 16, "rule b", None),
            "rule a (line 14)",
        ),
    ],
)
def test_one_finding(text: str, place: tuple[str, int, str, str | None], words: str) -> None:
    problem = only(text)
    assert (problem.severity, problem.line, problem.section, problem.option) == place
    assert words in f"{problem.message}. {problem.fix}"


def test_a_prefix_belongs_to_one_uplink() -> None:
    interfaces = "".join(
        f"config interface w{n}\noption family ipv6\nlist track_targets 2001:db8::1\noption ifname eth{n}\n"
        "list nat6_prefix 2001:db8:b00::/56\n"
        for n in (2, 3)
    )
    found = [(p.severity, p.line, p.value) for p in problems(interfaces) if p.option == "nat6_prefix"]
    assert found == [("warning", 18, "2001:db8:b00::/56"), ("warning", 23, "2001:db8:b00::/56")]


def test_no_false_alarms() -> None:
    text = """
config interface 'wan6'
	option family 'ipv6'
	option ifname 'eth0'
	list track_targets '2001:db8::1'
config interface 'spare'
	option enabled '0'
	option ifname 'eth0'
	option track_method 'none'
config rule 'a'
	option proto 'tcp udp'
	option dest_port '53'
	option policy 'both'
config rule 'b'
	option proto 'tcp'
	option dest_port '53,443'
	option policy 'both'
config rule
	option policy 'default'
"""
    assert problems(text) == []


def test_a_policy_whose_interfaces_are_all_disabled() -> None:
    text = BASE.replace("option ifname 'eth0'", "option enabled 0") + "config policy one\nlist members wan_m\n"
    loaded = loads(text)
    assert loaded.config is not None
    assert [i.enabled for i in loaded.config.interfaces] == [False, True]
    (problem,) = loaded.problems
    assert (problem.severity, problem.section, problem.option) == ("warning", "policy one", "members")


def test_all_problems_come_at_once_in_file_order() -> None:
    found = problems("config rule r\noption polcy both\noption proto tpc\nnonsense\nconfig member m\noption weight x\n")
    assert [(p.line, p.severity) for p in found] == [
        (14, "error"),
        (15, "warning"),
        (16, "error"),
        (17, "error"),
        (18, "error"),
        (19, "error"),
    ]


def interfaces(count: int, mask: str) -> str:
    return f"config globals\noption mark_mask {mask}\n" + "".join(
        f"config interface w{n}\noption track_method none\n" for n in range(count)
    )


@pytest.mark.parametrize(("mask", "capacity"), [("0x7", 4), ("0xF0", 12), ("0x3F00", 60)])
def test_the_mask_holds_what_it_can_and_no_more(mask: str, capacity: int) -> None:
    assert loads(interfaces(capacity, mask)).problems == ()
    loaded = loads(interfaces(capacity + 1, mask))
    assert loaded.config is None
    (error,) = loaded.problems
    assert (error.line, error.option, error.value) == (2, "mark_mask", mask)
    assert f"holds {capacity}" in error.message
    better = error.fix.split("'")[1]
    assert loads(interfaces(capacity + 1, better)).problems == ()


@pytest.mark.parametrize("mask", ["0xFF000000", "0xFFFF00"])
def test_there_is_room_for_252_however_wide_the_mask(mask: str) -> None:
    assert loads(interfaces(252, mask)).problems == ()
    (error,) = loads(interfaces(253, mask)).problems
    assert "holds 252" in error.message
    assert error.fix == "use at most 252 interfaces"


def test_a_suggested_mask_keeps_clear_of_others() -> None:
    assert mask_for(2) == 0x3F00
    for avoid in (0x3F00, 0x0000FF00, 0xFFFF0000, 0x00FF00FF):
        mask = mask_for(2, avoid)
        assert mask is not None
        assert not mask & avoid
        assert loads(interfaces(2, hex(mask))).config is not None
    assert mask_for(2, 0xFFFFFFFF) is None


def clashes(mask: str, *foreign: ForeignMark) -> tuple[Problem, ...]:
    config = loads(interfaces(2, mask)).config
    assert config is not None
    return mark_clashes(config, foreign)


def test_a_foreign_mark_on_our_bits_is_a_warning_with_a_free_mask() -> None:
    pbr = ForeignMark("", 0x10000, 0xFF0000, "ip rule 29999")
    assert clashes("0x3F00", pbr) == ()
    (problem,) = clashes("0x3F0000", pbr, pbr)
    assert (problem.severity, problem.section, problem.option, problem.value) == (
        "warning",
        "globals",
        "mark_mask",
        "0x3F0000",
    )
    assert "pbr" in problem.message
    assert "ip rule 29999" in problem.message
    suggested = problem.fix.split("'")[1]
    assert clashes(suggested, pbr) == ()


def test_owners_are_guessed_from_their_marks() -> None:
    assert guess_owner(0x80000, 0xFF0000) == "Tailscale"
    assert guess_owner(0x40000, 0xFF0000) == "Tailscale"
    assert guess_owner(0x10000, 0xFF0000) == "pbr"
    assert guess_owner(0x100, 0x3F00, 2001) == "mwan3"
    assert guess_owner(0x100, 0x3F00, 6401) == ""
    assert guess_owner(0x1, 0xFFFFFFFF) == ""


def test_running_mwan3_beside_is_answered_by_stopping_it() -> None:
    (problem,) = clashes("0x3F00", ForeignMark("mwan3", 0x100, 0x3F00, "ip rule 2001"))
    assert "stop" in problem.fix


def test_a_rule_without_a_mask_is_told_to_have_one() -> None:
    (problem,) = clashes("0x3F00", ForeignMark("", 0x1, 0xFFFFFFFF, "ip rule 100"))
    assert "0x1/0xffffc0ff" in problem.fix


MEMBER = "config member m\noption interface wan\nconfig policy q\nlist members m\nlist members wan2_m\n"


@pytest.mark.parametrize(
    ("options", "severity", "option", "words", "fix"),
    [
        ("option time '8-18'", "error", "time", "not a time of the day", "08:00-18:00"),
        ("option time '08:00-25:00'", "error", "time", "not a time of the day", "08:00-18:00"),
        ("option time '24:00-06:00'", "error", "time", "not a time of the day", "08:00-18:00"),
        ("option time '08:00-08:00'", "warning", "time", "never opens", "00:00-24:00"),
        ("option weekdays 'tuseday'", "error", "weekdays", "not a weekday", "did you mean tue?"),
        ("option weekdays 'mon-fry'", "error", "weekdays", "not a weekday", "did you mean fri?"),
        ("option weekdays '1-5'", "error", "weekdays", "not a weekday", "mon, tue"),
        ("option quota 'much'", "error", "quota", "not a number of bytes", "500M"),
        ("option quota '-1G'", "error", "quota", "not a number of bytes", "500M"),
        ("option quota '999'", "error", "quota", "out of range", "1k to 1000T"),
        ("option quota '2000T'", "error", "quota", "out of range", "1k to 1000T"),
        ("option quota_reset '32'\noption quota 1G", "error", "quota_reset", "out of range", "1 to 31"),
        ("option quota_reset '5'", "warning", "quota_reset", "no effect without a quota", "option quota"),
    ],
)
def test_schedules_and_quotas(options: str, severity: str, option: str, words: str, fix: str) -> None:
    problem = only(MEMBER.replace("interface wan\n", f"interface wan\n{options}\n"))
    assert (problem.severity, problem.section, problem.option) == (severity, "member m", option)
    assert words in problem.message
    assert fix in problem.fix


def test_a_policy_of_quotas_alone_is_warned_of() -> None:
    limited = MEMBER.replace("interface wan\n", "interface wan\noption quota 1G\n")
    assert problems(limited) == [], "wan2 is left"
    problem = only(limited.replace("list members wan2_m\n", ""))
    assert (problem.severity, problem.section, problem.option) == ("warning", "policy q", "members")
    assert "every ipv4 member has a quota" in problem.message
    assert "unreachable" in problem.message
