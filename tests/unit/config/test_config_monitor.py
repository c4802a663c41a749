# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections monitor, source and notify: what they come to, what is refused, and whom that concerns."""

from __future__ import annotations

from pathlib import Path

import pytest

from netpath.config import load, loads
from netpath.config.monitor import Given, load_monitor, loads_monitor
from netpath.config.schema_monitor import MONITOR, NOTIFY, SOURCE
from netpath.monitoring import PRESETS, Channel, Format, Monitor, Shape, Source, SourceType
from netpath.paths import locate
from netpath.worker.reports import check

TRACKER = """\
config globals 'globals'
	option nft_table 'mine'
config interface 'wan'
	option ifname 'eth0'
	option track_method 'none'
"""
PROXY = """\
config source 'proxy'
	option type 'clash'
	option url 'ws://192.0.2.1:9090/connections?token=hunter2'
"""
ROUTER = """\
config source 'attic'
	option type 'openwrt'
	option url 'http://192.0.2.2/'
	option password 'hunter2'
"""
ON = "config monitor 'monitor'\n\toption enabled '1'\n"
MAIL = """\
config notify 'mail'
	option type 'email'
	option server 'mail.example.com'
	option from 'router@example.com'
	option to 'a@example.com b@example.com'
"""


def good(text: str, *given: Given) -> Monitor:
    loaded = loads_monitor(text, given=given)
    assert loaded.monitor is not None, [str(p) for p in loaded.problems]
    return loaded.monitor


def by_name(monitor: Monitor) -> dict[str, Source]:
    return {source.name: source for source in monitor.sources}


def test_without_a_section_the_monitor_is_off_and_has_every_default() -> None:
    monitor = good(TRACKER)
    assert not monitor.enabled
    assert [(s.name, s.type) for s in monitor.sources] == [("local", SourceType.LOCAL)]
    assert (monitor.datagrams.addresses, monitor.datagrams.port) == (("::",), 17890)
    assert "192.168.0.0/16" in monitor.datagrams.networks
    assert monitor.datagrams.format is Format.COMBINED
    assert (monitor.metrics.addresses, monitor.metrics.port) == (("127.0.0.1", "::1"), 9919)
    assert (monitor.broker, monitor.notify) == (None, ())


def test_choices_are_those_of_the_model() -> None:
    assert SOURCE.by_name["type"].choices == tuple(SourceType)
    assert NOTIFY.by_name["type"].choices == tuple(Channel)
    assert MONITOR.by_name["format"].choices == tuple(Format)
    assert NOTIFY.by_name["format"].choices == tuple(Shape)
    assert {kind.by_name["retry"].choices for kind in (MONITOR, SOURCE, NOTIFY)} == {tuple(PRESETS)}


def test_the_table_is_the_trackers() -> None:
    assert loads_monitor(TRACKER).nft_table == "mine"
    assert loads_monitor(ON).nft_table == "netpath"
    broken = loads_monitor(TRACKER + "config globals 'again'\n" + ON)
    assert (broken.nft_table, broken.monitor is not None) == ("mine", True)


def test_sources_and_their_retry() -> None:
    monitor = good(
        ON + "\toption retry 'slow'\n" + PROXY + ROUTER + "\toption retry 'fast'\n\toption retry_attempts 0\n"
    )
    found = by_name(monitor)
    assert [*found] == ["proxy", "attic", "local"]
    assert found["proxy"].retry == PRESETS["slow"]
    assert (found["attic"].retry.attempts, found["attic"].retry.most) == (None, 5.0)
    assert (found["attic"].username, found["attic"].password) == ("root", "hunter2")


@pytest.mark.parametrize(
    ("text", "wan"),
    [
        (PROXY + ROUTER, ("attic",)),
        (PROXY, ("local",)),
        (ROUTER.replace("password", "enabled '0'\n\toption password"), ("local",)),
        (ROUTER + "config monitor\n\toption enabled 1\n\tlist wan local\n\tlist wan attic\n", ("local", "attic")),
        (PROXY + "config monitor\n\toption local '0'\n", ()),
    ],
)
def test_what_counts_as_the_wan(text: str, wan: tuple[str, ...]) -> None:
    assert good(text).wan == wan


def test_a_section_of_type_local_takes_the_place_of_the_automatic_source() -> None:
    monitor = good(TRACKER + ON + "config source 'lines'\n\toption type local\n\tlist interface wan\n")
    assert [(s.name, s.interfaces) for s in monitor.sources] == [("lines", ("wan",))]


def test_the_shorthands() -> None:
    text = (
        ON + "\toption clash_url 'wss://p.example.com/connections'\n\toption luci_url 'http://192.0.2.3/cgi-bin/luci'\n"
    )
    found = by_name(good(text + "\toption luci_password 'x'\n"))
    assert (found["clash"].type, found["clash"].url) == (SourceType.CLASH, "wss://p.example.com/connections")
    assert (found["luci"].type, found["luci"].username, found["luci"].password) == (SourceType.OPENWRT, "root", "x")
    loaded = loads_monitor(text)
    assert loaded.monitor is not None
    assert by_name(loaded.monitor)["luci"].password == "", "never the password that everybody knows"
    assert [p.message for p in loaded.problems] == ["there is no luci_password, so an empty one is sent"]


def test_mail_and_broker() -> None:
    text = ON + "\toption mqtt_host 'mqtt.example.com'\n\toption mqtt_tls 1\n\toption mqtt_discovery none\n" + MAIL
    monitor = good(text + "\toption security tls\n")
    assert monitor.broker is not None
    assert (monitor.broker.port, monitor.broker.discovery, monitor.broker.topic) == (8883, "", "netpath")
    (mail,) = monitor.notify
    assert (mail.port, mail.recipients, mail.sender) == (465, ("a@example.com", "b@example.com"), "router@example.com")
    assert mail.events == ("online", "offline")


def test_toml_says_the_same() -> None:
    toml = """
        [monitor]
        enabled = true
        listen_address = ["192.0.2.1", "2001:db8:0::1"]
        clients = ["192.0.2.7/24"]
        wan = ["attic"]
        [sources.attic]
        type = "openwrt"
        url = "http://192.0.2.2/"
        password = "hunter2"
        [notify.hook]
        type = "webhook"
        url = "https://example.com/x"
    """
    uci = (
        ON + "\tlist listen_address 192.0.2.1\n\tlist listen_address 2001:db8::1\n\toption clients 192.0.2.0/24\n"
        "\toption wan attic\n"
        + ROUTER
        + "config notify hook\n\toption type webhook\n\toption url https://example.com/x\n"
    )
    assert loads_monitor(toml, format="toml").monitor == good(uci)


BAD = [
    (ON + "\tlist wan 'atic'\n" + ROUTER, "atic", "did you mean attic?"),
    (ON + "\tlist wan 'proxy'\n" + PROXY, "proxy", "openwrt or local"),
    (ON + PROXY.replace("ws://", "http://"), "ws or wss", "ws://"),
    (ON + PROXY.replace("ws://", "ftp://"), "ftp:// does not fit", "ws or wss"),
    (ON + PROXY.replace("192.0.2.1", "user:pw@192.0.2.1"), "ends up in logs", "as options"),
    (ON + "config source 'p'\n\toption type clash\n", "url is missing", "add option url 'ws://"),
    (ON + "config source 'p'\n\toption url 'ws://192.0.2.1/'\n", "type is missing", "add option type"),
    (ON + PROXY + "\toption interval 10s\n", "silent for 10 s", "longer than interval"),
    (ON + "\tlist listen_address ::\n\tlist listen_address 0.0.0.0\n", "taken twice", "remove ::"),
    (ON + "\toption metrics_address '0.0.0.0 127.0.0.1'\n", "taken twice", "remove 0.0.0.0"),
    (ON + "\toption mqtt_host h\n\toption mqtt_password hunter2\n", "needs a user name", "mqtt_username"),
    (ON + "\toption mqtt_topic 'a/#'\n", "not the beginning of a topic", "letters"),
    (ON + "\toption clients '192.0.2.0/255.0.255.0'\n", "gaps", "LENGTH"),
    (ON + "\toption clash_url ws://192.0.2.1/\nconfig source clash\n\toption type local\n", "source clash", "rename"),
    (ON + MAIL.replace("\toption to 'a@example.com b@example.com'\n", ""), "to is missing", "add option to"),
    (ON + MAIL.replace("b@example.com", "b\\r\\nBcc:x@example.com"), "not a mail address", "router@example.com"),
    (ON + MAIL.replace("email", "webhook"), "url is missing", "add option url"),
    (ON + ON, "more than one", "join"),
    (ON + ROUTER + ROUTER, "taken already", "rename"),
]


@pytest.mark.parametrize(("text", "message", "fix"), BAD, ids=[case[1] for case in BAD])
def test_what_is_refused_names_its_place_and_remedy(text: str, message: str, fix: str) -> None:
    loaded = loads_monitor(text, "f")
    assert loaded.monitor is None
    errors = [p for p in loaded.problems if p.severity == "error"]
    assert any(message in str(p) and fix in p.fix and p.line for p in errors), [str(p) for p in errors]
    assert "hunter2" not in repr(loaded.problems)


UNWISE = [
    (PROXY, "no section monitor"),
    (ON + "\tlist wan attic\n" + ROUTER + "\toption enabled 0\n", "disabled"),
    (ON + ROUTER + "\toption token hunter2\n", "no effect with type openwrt"),
    (ON + MAIL + "\toption interface wna\n" + TRACKER, "no such interface"),
    (ON + "\toption mqtt_host h\n\toption mqtt_ca /etc/ca.pem\n", "without mqtt_tls"),
    (ON + "\toption pasword hunter2\n", "unknown option"),
]


@pytest.mark.parametrize(("text", "message"), UNWISE, ids=[case[1] for case in UNWISE])
def test_what_is_unwise_is_said_and_taken(text: str, message: str) -> None:
    loaded = loads_monitor(text)
    assert loaded.monitor is not None
    assert any(message in p.message and p.severity == "warning" for p in loaded.problems)
    assert "hunter2" not in repr(loaded.problems)


@pytest.mark.parametrize(
    "text",
    [
        ROUTER + "\toption password 'hunter3'\n",
        ROUTER.replace("'hunter2'", "'hunter2\x01'"),
        ROUTER.replace("'hunter2'", "\u2018hunter2\u2019"),
        ROUTER.replace("'hunter2'", "x hunter2"),
        PROXY.replace("ws://", "wz://"),
        "option password \u2018hunter2\u2019\n",
        MAIL + "\toption passwd 'hunter2'\n",
    ],
)
def test_no_problem_quotes_a_secret_in_whoever_reads_the_file(text: str) -> None:
    monitor, tracker = loads_monitor(ON + text), loads(ON + text)
    assert monitor.problems
    assert "hunter2" not in repr(monitor.problems) + repr(tracker.problems)


def test_what_is_no_secret_is_quoted() -> None:
    (problem,) = (p for p in loads_monitor(ON + "\toption format 'odd'\n").problems)
    assert problem.value == "odd"


def test_each_program_judges_only_what_it_reads(tmp_path: Path) -> None:
    """A mail server's bad address must not keep a router from steering."""
    bad_monitor, bad_tracker = TRACKER + ON + "\tlist wan nowhere\n", TRACKER.replace("eth0", "no/device") + ON
    assert loads(bad_monitor).config == loads(TRACKER + ON).config
    assert loads(bad_monitor).problems == ()
    assert loads_monitor(bad_tracker).monitor == good(TRACKER + ON)
    assert loads(bad_tracker).config is None
    for text in ("config monitor 'x\n", "nonsense\n"):  # that is no text of sections at all
        assert loads(text).config is None
        assert loads_monitor(text).monitor is None


@pytest.mark.parametrize("text", [ON + "\tlist wan nowhere\n", "config interface 'wan'\n\toption ifname '/'\n"])
def test_check_shows_the_problems_of_both(text: str, tmp_path: Path) -> None:
    path = tmp_path / "netpath"
    path.write_text(text)
    reply = check(locate({"NETPATH_STATE_DIR": str(tmp_path / "state")}, {"--config": str(path)}), {})
    assert [problem["severity"] for problem in reply["problems"]].count("error") == 1


def test_a_fault_of_the_whole_file_is_shown_once(tmp_path: Path) -> None:
    path = tmp_path / "netpath"
    path.write_text("nonsense\n")
    reply = check(locate({"NETPATH_STATE_DIR": str(tmp_path / "state")}, {"--config": str(path)}), {})
    assert [problem["message"] for problem in reply["problems"]] == ["not a UCI statement"]


def test_what_is_given_goes_before_the_file_and_switches_the_monitor_on(tmp_path: Path) -> None:
    given = [Given("listen_port", "4711", "-p"), Given("clash_url", "ws://192.0.2.9/", "CLASH_URL")]
    path = tmp_path / "netpath"
    path.write_text(TRACKER + "config monitor\n\toption listen_port 1\n\toption clash_url 'ws://192.0.2.1/'\n")
    loaded = load_monitor(path, given)
    assert loaded.monitor is not None
    assert loaded.monitor.enabled
    assert loaded.monitor.datagrams.port == 4711
    assert by_name(loaded.monitor)["clash"].url == "ws://192.0.2.9/"
    assert load(path).config is not None


def test_without_a_file_only_what_is_given_runs(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    loaded = load_monitor(missing, [Given("clash_url", "ws://192.0.2.9/?token=hunter2", "CLASH_URL")])
    assert loaded.monitor is not None
    assert [s.name for s in loaded.monitor.sources] == ["clash"]
    assert loaded.monitor.metrics.port == 0
    assert load_monitor(missing).monitor is None


def test_a_bad_value_from_outside_names_where_it_is_from() -> None:
    given = [Given("listen_port", "x", "LISTEN_PORT in the environment"), Given("luci_url", "hunter2", "-l")]
    loaded = loads_monitor("", given=given)
    assert loaded.monitor is None
    assert [p.file for p in loaded.problems] == ["LISTEN_PORT in the environment", "-l"]
    assert "hunter2" not in repr(loaded.problems)
