# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server of a probe's can make the router do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netpath.probe.http import HttpProber
from tests.kernel.probe_lab import FAR, Counter, ProbeLab, probe_lab

pytestmark = pytest.mark.lab

REDIRECTING = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(302)
        self.send_header("Location", sys.argv[1])
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("0.0.0.0", 8300), Handler)
print("ready")
server.serve_forever()
"""
ENDLESS = """
import socket
server = socket.create_server(("0.0.0.0", 8301))
print("ready")
while True:
    client, _ = server.accept()
    try:
        client.sendall(b"HTTP/1.1 200 OK\\r\\nX: ")
        while True:
            client.sendall(b"x" * 65536)
    except OSError:
        client.close()
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[ProbeLab]:
    with probe_lab() as made:
        yield made


def ask(lab: ProbeLab, target: str) -> str:
    context, outcome = lab.context()
    prober = HttpProber(context, False, None)
    prober.send(1, target)
    outcome.wait(1)
    prober.close()
    return outcome.failures.get(1, "alive")


def test_a_redirection_is_an_answer_and_sends_the_router_nowhere(lab: ProbeLab) -> None:
    lab.python(REDIRECTING, f"http://{FAR}:8302/")
    with Counter(lab.provider, "prerouting", "tcp dport 8302") as seen:
        assert ask(lab, f"http://{FAR}:8300/page") == "alive"
        assert seen.packets == 0
        assert ask(lab, f"http://{FAR}:8302/") == "connection refused"
        assert seen.packets > 0, "the counter would have seen it"


def test_an_answer_without_end_is_read_no_further_than_its_first_line(lab: ProbeLab) -> None:
    lab.python(ENDLESS)
    with Counter(lab.provider, "postrouting", "tcp sport 8301") as seen:
        assert ask(lab, f"http://{FAR}:8301/") == "alive"
        assert seen.packets < 100
