# SPDX-License-Identifier: GPL-2.0-or-later
"""Accounts of LuCI and users of the router: OpenWrt's own rpcd, uhttpd, ubusd and uci, NetPath installed by opkg."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from netpath.tracker.arguments import METHODS
from tests.openwrt.conftest import NETPATH, install, packages, root, sh
from tests.openwrt.openwrt_root import Router
from tests.packages.ipk import Ipk
from tests.security.somebody import SECRET

__all__ = ["packages", "root"]

READER, WRITER = "reader", "writer"
ANONYMOUS = "0" * 32
WRITING = {"enable", "disable", "reload"}
ACCOUNT = """
config login
	option username '{name}'
	option password '{password}'
	list read 'unauthenticated'
	list read 'luci-base'
	list read 'luci-app-netpath'
{more}"""
WITH_PASSWORDS = f"""
config monitor 'monitor'
	option mqtt_host '192.0.2.1'
	option mqtt_username 'netpath'
	option mqtt_password '{SECRET}'

config source 'proxy'
	option type 'clash'
	option url 'ws://192.0.2.1/connections?token={SECRET}'

config notify 'mail'
	option type 'email'
	option server 'mail.example.com'
	option from 'a@example.com'
	list to 'b@example.com'
	option username 'a'
	option password '{SECRET}'
"""


def hashed(password: str) -> str:
    argv = ["openssl", "passwd", "-1", password]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def router(root: None, packages: dict[str, Ipk]) -> Iterator[Router]:
    """With an account that may read NetPath's pages, and one that may change its configuration too."""
    with Router(installed=False) as booted:
        booted.write("/etc/config/netpath", "")  # an older version's: everybody may read it
        sh(booted, "chmod 644 /etc/config/netpath")
        install(booted, *(packages[name] for name in ("python3-nftables", "netpath", "luci-app-netpath")))
        booted.write("/etc/config/netpath", NETPATH + WITH_PASSWORDS)
        writing = "\tlist write 'luci-base'\n\tlist write 'luci-app-netpath'\n"
        accounts = [
            ACCOUNT.format(name=name, password=hashed(name), more=more)
            for name, more in ((READER, ""), (WRITER, writing))
        ]
        booted.write("/etc/config/rpcd", booted.run("cat", "/etc/config/rpcd") + "".join(accounts))
        sh(booted, "/etc/init.d/rpcd restart; /etc/init.d/netpath restart")
        booted.wait(lambda: "netpath" in sh(booted, "ubus list"), "object netpath")
        booted.wait(lambda: "error" not in booted.ubus("netpath", "status"), "the tracker to answer")
        yield booted


def post(router: Router, session: str, path: str, method: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """The answer of uhttpd to the LAN, as to LuCI's pages: [code, data], or {"error": ...}."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "call", "params": [session, path, method, arguments or {}]}
    argv = ["curl", "-s", "--max-time", "20", "-H", "Content-Type: application/json", "-d", "@-"]
    answer = json.loads(router.spaces["lan"].run([*argv, "http://192.168.1.1/ubus"], stdin=json.dumps(call)))
    return answer.get("result", answer)


def login(router: Router, name: str) -> str:
    code, found = post(router, ANONYMOUS, "session", "login", {"username": name, "password": name})
    assert code == 0
    session: str = found["ubus_rpc_session"]
    return session


def denied(answer: Any) -> bool:
    """By the session's access list, or, for what lists it itself, by permission (6 of ubus)."""
    return answer == [6] or (isinstance(answer, dict) and bool(answer["error"]["code"] == -32002))


def test_who_is_not_logged_in_gets_nothing(router: Router) -> None:
    for method in METHODS:
        assert denied(post(router, ANONYMOUS, "netpath", method)), method
    assert denied(post(router, ANONYMOUS, "uci", "get", {"config": "netpath"}))


def test_a_reader_may_ask_and_change_nothing(router: Router) -> None:
    session = login(router, READER)
    for method in METHODS.keys() - WRITING:
        answer = post(router, session, "netpath", method)
        assert answer[0] == 0, (method, answer)
    for method in WRITING | {"bond_genkey"}:
        assert denied(post(router, session, "netpath", method, {"interface": "wan"})), method
    assert router.ubus("netpath", "status")["interfaces"]["wan"]["enabled"] is True


def test_a_reader_gets_no_password_by_any_method_or_file(router: Router) -> None:
    session = login(router, READER)
    said = [json.dumps(post(router, session, "netpath", method)) for method in METHODS.keys() - WRITING]
    said += [
        json.dumps(post(router, session, *asked))
        for asked in (
            ("uci", "get", {"config": "netpath"}),
            ("uci", "get", {"config": "netpath", "section": "monitor", "option": "mqtt_password"}),
            ("uci", "export", {"config": "netpath"}),
            ("file", "read", {"path": "/etc/config/netpath"}),
            ("file", "read", {"path": "/var/run/netpath/applied.uci"}),
            ("file", "exec", {"command": "/bin/cat", "params": ["/etc/config/netpath"]}),
        )
    ]
    assert [text for text in said if SECRET in text] == []
    assert any("********" in text for text in said), "method config masks it"
    assert post(router, session, "uci", "get", {"config": "system"})[0] == 0, "it may use uci, but not for this"
    assert SECRET in sh(router, "cat /var/run/netpath/applied.uci")


def test_a_reader_runs_and_writes_nothing(router: Router) -> None:
    session = login(router, READER)
    for asked in (
        ("uci", "set", {"config": "netpath", "section": "wan", "values": {"enabled": "0"}}),
        ("uci", "delete", {"config": "netpath", "section": "wan"}),
        ("file", "write", {"path": "/etc/netpath.user", "data": "touch /tmp/x"}),
        ("file", "read", {"path": "/etc/netpath.user"}),
        ("file", "exec", {"command": "/usr/bin/netpath", "params": ["stop"]}),
        ("service", "delete", {"name": "netpath"}),
        ("rc", "init", {"name": "netpath", "action": "stop"}),
    ):
        assert denied(post(router, session, *asked)), asked


def test_a_readers_arguments_reach_no_file_and_no_other_command(router: Router) -> None:
    """What only the socket of root takes: another file to check, a stop, a key of the plugin's own line."""
    session = login(router, READER)
    for arguments in ({"file": "/etc/shadow"}, {"args": {}, "cmd": "stop"}, {"cmd": "stop"}):
        code, answer = post(router, session, "netpath", "check", arguments)
        assert code == 0
        assert "unknown argument" in answer["error"]
        assert "root:" not in json.dumps(answer)
    for name in ("../../tmp/x", "-h", "a/b", "..", "x\n", "x\0y"):
        answer = post(router, session, "netpath", "bond", {"name": name})
        assert "error" in (answer[1] if isinstance(answer, list) and len(answer) > 1 else {"error": 1}), name
    assert router.ubus("netpath", "status")["interfaces"]["wan"]["enabled"] is True


def test_a_writer_may_configure_netpath_and_run_no_programs(router: Router) -> None:
    """The user script has an access group of its own."""
    session = login(router, WRITER)
    assert post(router, session, "netpath", "disable", {"interface": "wanb"}) == [0, {"result": "ok"}]
    assert post(router, session, "netpath", "enable", {"interface": "wanb"}) == [0, {"result": "ok"}]
    assert post(router, session, "uci", "get", {"config": "netpath", "section": "monitor"})[0] == 0
    for asked in (
        ("file", "write", {"path": "/etc/netpath.user", "data": "touch /tmp/x"}),
        ("file", "exec", {"command": "/bin/touch", "params": ["/tmp/x"]}),
        ("uci", "set", {"config": "system", "section": "@system[0]", "values": {"hostname": "x"}}),
        ("uci", "get", {"config": "rpcd"}),
        ("netpath", "stop", {}),
    ):
        assert denied(post(router, session, *asked)) or post(router, session, *asked) == [3], asked


def test_another_user_of_the_router_is_refused_by_ubus(router: Router) -> None:
    """ubusd lets everybody connect, and root alone call what no file in /usr/share/acl.d gives away."""
    said = sh(router, "start-stop-daemon -S -c nobody -x /bin/ubus -- call netpath status 2>&1; true")
    assert "interfaces" not in said
    assert "Not found" in said, said
    assert "interfaces" in sh(router, "ubus call netpath status")


def test_the_configuration_stays_roots_alone_when_uci_writes_it(router: Router) -> None:
    """Also where an older version's installation, or a copy, had left it open."""
    assert sh(router, "ls -l /etc/config/netpath").startswith("-rw-------")
    sh(router, "uci set netpath.monitor.mqtt_topic=home; uci commit netpath")
    assert sh(router, "ls -l /etc/config/netpath").startswith("-rw-------")


def test_files_of_the_running_router(router: Router) -> None:
    """/var is below /tmp, where everybody may write: not into these."""
    assert sh(router, "ls -ld /var/run/").startswith("drwxr-xr-x")
    assert sh(router, "ls -ld /var/run/netpath").startswith("drwx------")
    assert sh(router, "ls -l /var/run/netpath.sock").startswith("srw-------")
    for file in ("/usr/libexec/rpcd/netpath", "/etc/init.d/netpath", "/usr/bin/netpath", "/etc/netpath.user",
                 "/etc/hotplug.d/iface/25-netpath", "/usr/lib/netpath/netpath/tracker/hooks.py"):  # fmt: skip
        mode, _, owner, *_ = sh(router, f"ls -l {file}").split()
        assert (owner, mode[5], mode[8]) == ("root", "-", "-"), file
    writable = "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -name '*netpath*' -perm -2 ! -type l -print"
    assert sh(router, f"{writable}; true") == ""


def test_the_service_runs_without_cores(router: Router) -> None:
    listed = router.ubus("service", "list", {"name": "netpath"})["netpath"]["instances"]["tracker"]
    limits = sh(router, f"cat /proc/{listed['pid']}/limits")
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core")]
    assert core.split()[4:6] == ["0", "0"]


HELLO = "import http.server as h; h.HTTPServer(('192.168.1.2', 8080), h.SimpleHTTPRequestHandler).serve_forever()"


def test_the_firewall_keeps_out_what_it_kept_out_before(router: Router) -> None:
    """From a provider's side neither the router nor a host of the LAN is reached, while NetPath steers."""
    outside, lan = router.spaces["wan"], router.spaces["lan"]
    server = lan.popen(["python3", "-c", HELLO], name="server")
    outside.ip("route add 192.168.1.0/24 via 198.51.100.2\n")

    def reached(address: str) -> bool:
        return bool(outside.run(["curl", "-s", "--max-time", "2", f"http://{address}/"], check=False))

    try:
        router.wait(lambda: lan.run(["ss", "-Hltn", "sport = :8080"]), "the server")
        assert "table inet netpath" in sh(router, "nft list tables")
        assert (reached("198.51.100.2"), reached("192.168.1.2:8080")) == (False, False)
        sh(router, "/etc/init.d/firewall stop")
        router.wait(lambda: reached("198.51.100.2") and reached("192.168.1.2:8080"), "what an open router lets in")
    finally:
        sh(router, "/etc/init.d/firewall start")
        server.stop()
        outside.ip("route del 192.168.1.0/24 via 198.51.100.2\n")
    assert (reached("198.51.100.2"), reached("192.168.1.2:8080")) == (False, False)
