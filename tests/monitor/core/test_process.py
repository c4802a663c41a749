# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor as a process: what it does with parts that fail, with its configuration, with signals and strangers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from netpath.cli import monitor as command

ROOT = Path(__file__).parents[3]
TIME = 20.0
ON = (
    "config monitor 'monitor'\n\toption enabled '1'\n\toption metrics_port '0'\n\toption local '0'\n"
    "\toption listen_port 0\n"
)
CLEAN = {name: value for name, value in os.environ.items() if name not in {*command.SETTINGS.values(), "RUST_LOG"}}


def source(name: str, more: str = "", token: str = "hunter2") -> str:
    return (
        f"config source '{name}'\n\toption type clash\n\toption url 'ws://192.0.2.1/connections?token={token}'\n"
        f"\toption token '{token}'\n\toption retry_first 10ms\n\toption retry_max 10ms\n{more}"
    )


class Monitor:
    """One running monitor and its files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "netpath"
        self.socket = home / "monitor.sock"
        self.log = home / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        paths = {"CONFIG": self.config, "SOCKET": self.home / "tracker.sock", "MONITOR_SOCKET": self.socket}
        own = {f"NETPATH_{name}": str(path) for name, path in paths.items()}
        return {**CLEAN, **own, "PYTHONPATH": str(ROOT), **more}

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tests.monitor.core.standins", "monitor", *arguments]

    def start(self, *arguments: str, environment: Mapping[str, str] = {}) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv(*arguments), env=self.environment(**environment), stdout=log, stderr=log, cwd=self.home
            )
        self.until(lambda: "ready" in self.text())

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments), env=self.environment(**environment), capture_output=True, text=True, timeout=TIME,
            check=False, cwd=self.home,
        )  # fmt: skip

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + TIME
        while not condition():
            assert time.monotonic() < end, self.text()
            if self.process is not None:
                assert self.process.poll() is None, self.text()
            time.sleep(0.02)

    def ask(self, **request: Any) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self.exchange(json.dumps({"cmd": "monitor", **request}).encode() + b"\n"))
        return reply

    def exchange(self, data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIME)
            client.connect(str(self.socket))
            client.sendall(data)
            with client.makefile("rb") as stream:
                return stream.readline()

    def sources(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.ask()["sources"]}

    def reload(self, text: str) -> None:
        assert self.process is not None
        seen = len(self.text())
        self.config.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        self.until(lambda: any(word in self.text()[seen:] for word in (": loaded", "has errors", "switched off")))

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(TIME)
        self.process = None
        return code


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    running = Monitor(tmp_path)
    yield running
    if running.process is not None:
        running.process.kill()
        running.process.wait()


def test_parts_that_fail_hang_or_lack_a_library_leave_the_others_alone(monitor: Monitor) -> None:
    names = ("steady", "broken", "dumb", "late")
    monitor.config.write_text(serving(free_port()) + "".join(source(name) for name in names))
    monitor.start()
    monitor.until(lambda: monitor.sources()["broken"]["failures"] > 3 and monitor.sources()["late"]["failures"])
    found = monitor.sources()
    assert {name: row["status"] for name, row in found.items()} == {
        "steady": "healthy", "broken": "failing", "dumb": "starting", "late": "given up",
    }  # fmt: skip
    assert found["steady"]["speeds"]["proxy_down"] == 4000
    assert found["steady"]["connections"] == 5
    assert "python3-websockets" in found["late"]["reason"]
    assert monitor.ask()["speeds"]["proxy_down"] == 4000
    monitor.until(lambda: monitor.ask()["server"]["status"] == "healthy")
    assert "standins.py" in monitor.text(), "the traceback"
    assert "hunter2" not in monitor.text() + json.dumps(monitor.ask())
    assert monitor.stop() == 0
    assert not monitor.socket.exists()


def test_who_had_nothing_to_tell_yet_is_idle(monitor: Monitor) -> None:
    monitor.config.write_text(ON + "config notify 'chat'\n\toption type webhook\n\toption url http://192.0.2.1/\n")
    monitor.start()
    monitor.until(lambda: monitor.ask()["notify"])
    assert [(row["name"], row["status"]) for row in monitor.ask()["notify"]] == [("chat", "idle")]


def test_a_source_that_is_silent_loses_its_figures_and_is_tried_again(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("dumb", "\toption timeout 500ms\n\toption interval 200ms\n"))
    monitor.start()
    monitor.until(lambda: monitor.sources()["dumb"]["failures"])
    assert "nothing came" in monitor.sources()["dumb"]["reason"]
    assert monitor.ask()["speeds"]["proxy_down"] is None


def test_a_reload_changes_what_has_changed(monitor: Monitor) -> None:
    port = free_port()
    first = serving(port) + source("steady") + source("steady2")
    monitor.config.write_text(first)
    monitor.start()
    monitor.until(lambda: monitor.ask()["server"]["status"] == "healthy")
    before = monitor.ask()
    monitor.reload(first.replace(f"{port}\n", f"{port}\n\toption max_clients 3\n") + source("steady3"))
    monitor.until(lambda: monitor.ask()["server"]["status"] == "healthy")
    after = monitor.ask()
    assert [row["name"] for row in after["sources"]] == ["steady", "steady2", "steady3"]
    assert after["sources"][0]["attempts"] == before["sources"][0]["attempts"], "it ran on"
    # The new server has the port of the old one, at its first attempt.
    assert (after["server"]["limit"], after["server"]["attempts"], after["server"]["failures"]) == (3, 1, 0)
    assert after["since"] == before["since"]
    monitor.reload(ON + source("steady2"))
    assert [*monitor.sources()] == ["steady2"]


def test_a_bad_file_changes_nothing_and_is_told(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("steady"))
    monitor.start()
    monitor.reload(ON + "\tlist wan 'nowhere'\n")
    reply = monitor.ask()
    assert [row["name"] for row in reply["sources"]] == ["steady"]
    assert "there is no source named nowhere" in reply["problem"]
    assert "before runs on" in reply["problem"]
    monitor.reload(ON + source("steady"))
    assert monitor.ask()["problem"] is None
    # What is wrong in the tracker's part is the tracker's.
    monitor.reload(ON + source("steady") + "config interface 'wan'\n\toption ifname '/'\n")
    assert monitor.ask()["problem"] is None


def test_a_bad_file_at_the_start_waits_for_a_better_one(monitor: Monitor) -> None:
    monitor.config.write_text(ON + "\tlist wan 'nowhere'\n")
    monitor.start()
    assert "nothing is monitored" in monitor.ask()["problem"]
    monitor.reload(ON + source("steady"))
    monitor.until(lambda: monitor.sources()["steady"]["status"] == "healthy")


def test_switched_off_and_on(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("steady"))
    monitor.start()
    monitor.reload((ON + source("steady")).replace("enabled '1'", "enabled '0'"))
    reply = monitor.ask()
    assert (reply["sources"], reply["server"]) == ([], None)
    assert "switched off" in reply["problem"]
    monitor.reload(ON + source("steady"))
    monitor.until(lambda: monitor.sources()["steady"]["status"] == "healthy")


def test_a_reload_starts_what_was_given_up(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("late"))
    monitor.start()
    monitor.until(lambda: monitor.sources()["late"]["status"] == "given up")
    monitor.reload(ON + source("late"))
    monitor.until(lambda: monitor.text().count("source late is given up") == 2)


def test_history(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("steady"))
    monitor.start()
    monitor.until(lambda: len(monitor.ask(history=True)["history"]["rows"]) >= 3)
    history = monitor.ask(history=True)["history"]
    rows = history["rows"]
    assert rows[-1][1:] == [1000, 2000, 3000, 4000, None, None]
    assert monitor.ask(history=True, since=rows[1][0])["history"]["rows"][0] == rows[1]
    assert "history" not in monitor.ask()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_time_even_with_a_part_that_does_not(monitor: Monitor, number: int) -> None:
    monitor.config.write_text(ON + source("stubborn"))
    monitor.start()
    monitor.until(lambda: monitor.sources()["stubborn"]["status"] == "healthy")
    assert monitor.stop(number) == 1
    assert not monitor.socket.exists()


def test_after_a_kill_the_next_one_takes_the_socket_over(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("steady"))
    monitor.start()
    monitor.stop(signal.SIGKILL)
    assert monitor.socket.exists()
    monitor.log.write_text("")
    monitor.start()
    second = monitor.run()
    assert (second.returncode, "another monitor runs" in second.stderr) == (1, True)
    assert monitor.ask()["running"] is True
    assert monitor.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\n", b"[]\n", b"{}\n", b'{"cmd":"stop"}\n', b'{"cmd":"monitor","history":1}\n', b"[" * 60000 + b"\n",
        b'{"cmd":"monitor","since":"now"}\n', b'{"cmd":"reload","args":{}}\n', b'{"cmd":"events","follow":true}\n',
        b'{"cmd":"monitor","args":{"history":"yes"}}\n', b"x" * 70000 + b"\n",
    ],
)  # fmt: skip
def test_garbage_on_the_socket_is_answered_with_an_error(strangers: Monitor, data: bytes) -> None:
    assert "error" in json.loads(strangers.exchange(data))
    assert strangers.ask()["running"] is True


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    running = Monitor(tmp_path_factory.mktemp("strangers"))
    running.config.write_text(ON)
    running.start()
    yield running
    running.stop()


def test_the_ubus_form_of_a_request(strangers: Monitor) -> None:
    reply = json.loads(strangers.exchange(b'{"args":{"history":true,"ubus_rpc_session":"x"},"cmd":"monitor"}\n'))
    assert (reply["running"], "history" in reply) == (True, True)


def test_options_environment_and_dotenv_in_their_order(monitor: Monitor) -> None:
    (monitor.home / ".env").write_text(
        "CLASH_URL='ws://192.0.2.1/dotenv?token=hunter2'\nLUCI_URL=http://192.0.2.2/dotenv\nLISTEN_PORT=0\n"
    )
    environment = {"LUCI_URL": "http://192.0.2.2/environment", "LISTEN_PORT": "7"}
    port = free_port()
    monitor.start("-p", str(port), environment=environment)
    reply = monitor.ask()
    monitor.until(lambda: all(row["target"] for row in monitor.ask()["sources"]))
    targets = {row["name"]: row["target"] for row in monitor.ask()["sources"]}
    assert targets == {"clash": "ws://192.0.2.1/dotenv", "luci": "http://192.0.2.2/environment"}
    assert (reply["server"]["port"], reply["metrics"]) == (port, None)
    assert "there is no luci_password" in monitor.text()
    assert monitor.run("status").returncode == 0


def test_secrets_leave_the_command_line(monitor: Monitor) -> None:
    """The stand-ins are gone with the new program; it is the real one that is looked at here."""
    monitor.start("-c", "ws://192.0.2.1/?token=hunter2", "-P", "hunter2", "-l", "http://192.0.2.2/", "-p", "0")
    assert monitor.process is not None
    shown = Path(f"/proc/{monitor.process.pid}/cmdline").read_bytes()
    assert b"monitor" in shown
    assert b"hunter2" not in shown
    assert [row["name"] for row in monitor.ask()["sources"]] == ["clash", "luci"]
    assert "use LUCI_PASSWORD" in monitor.text()
    assert "there is no luci_password" not in monitor.text()


@pytest.mark.parametrize(
    ("arguments", "dotenv", "code", "words"),
    [
        (["-p", "70000"], "", 2, "--listen-port: out of range"),
        (["-c", "hunter2"], "", 2, "--clash-url: not an address"),
        ([], "LUCI_URL=hunter2\n", 2, "LUCI_URL in .env: not an address"),
        ([], "LUCI_PASSWORD='hunter2\n", 1, ".env: line 1"),
        (["status"], "", 3, "the monitor is not running"),
    ],
)
def test_what_cannot_be_done_is_said_without_quoting_it(
    monitor: Monitor, arguments: list[str], dotenv: str, code: int, words: str
) -> None:
    (monitor.home / ".env").write_text(dotenv)
    done = monitor.run(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "hunter2" not in done.stderr


def test_the_level_of_the_log(monitor: Monitor) -> None:
    monitor.config.write_text(ON + source("broken"))
    monitor.start(environment={"RUST_LOG": "debug"})
    monitor.until(lambda: "netpath-monitor debug: source broken" in monitor.text())


def test_status_shows_everything(monitor: Monitor) -> None:
    port = free_port()
    monitor.config.write_text(serving(port) + source("steady") + source("broken"))
    monitor.start()
    monitor.until(lambda: monitor.sources()["broken"]["failures"])
    monitor.until(lambda: monitor.ask()["speeds"]["direct_up"])
    monitor.until(lambda: monitor.ask()["server"]["status"] == "healthy")
    shown = monitor.run("status")
    assert shown.returncode == 0
    assert "steady (clash) is healthy (ws://192.0.2.1/connections)" in shown.stdout
    assert (
        "direct 8.0 kbit/s up, 16.0 kbit/s down; proxy 24.0 kbit/s up, 32.0 kbit/s down; 5 connections" in shown.stdout
    )
    assert "broken by ***" in shown.stdout
    assert f"UDP server is healthy: port {port} of ::, 0 of 32 clients" in shown.stdout
    assert json.loads(monitor.run("status", "--json").stdout)["running"] is True


def serving(port: int) -> str:
    return ON.replace("listen_port 0", f"listen_port {port}")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
