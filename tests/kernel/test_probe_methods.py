# SPDX-License-Identifier: GPL-2.0-or-later
"""dns, tcp, httping and arping against real servers, and against servers that misbehave."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.model import Uplink
from netpath.probe.base import MAX_SOCKETS
from netpath.probe.dns import DnsProber
from netpath.probe.http import HttpProber
from netpath.probe.icmp import IcmpProber
from netpath.probe.named import NamedProber
from netpath.probe.neighbour import ArpProber, SolicitationProber
from netpath.probe.resolve import Resolver
from netpath.probe.tcp import TcpProber
from tests.kernel.probe_lab import FAR, FAR6, WAN1, WAN1_6, WAN2, Counter, ProbeLab, probe_lab, run

pytestmark = pytest.mark.lab

HTTP_SERVER = """
import http.server, socket, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(int(self.path.strip("/") or 403))
        self.end_headers()
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
server = Server(("::", int(sys.argv[1])), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready")
server.serve_forever()
"""

RUDE_SERVER = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready")
kept = []
while True:
    client, _ = server.accept()
    kept.append(client)
    if sys.argv[2] == "close":
        client.close()
    elif sys.argv[2] != "mute":
        client.sendall(bytes.fromhex(sys.argv[2]))
"""

DNS_SERVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 53))
print("ready")
while True:
    query, client = sock.recvfrom(4096)
    bare = bytes([query[2] | 0x80, int(sys.argv[2])]) + query[4:]
    wrong_id = bytes([query[0] ^ 1]) + query[1:2] + bare
    stumps = b"", b"\\0", query, query[:5], query[:2] + bare[:10]
    for reply in (*stumps, wrong_id, query[:2] + bytes(3000), b"\\xff" * 60000):
        sock.sendto(reply, client)
    sock.sendto(query[:2] + bare, client)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[ProbeLab]:
    with probe_lab() as made:
        yield made


@pytest.fixture(scope="module")
def dnsmasq(lab: ProbeLab) -> None:
    """Knows host.example and far.example (both families); refuses everything else."""
    lab.start(
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--log-facility=-",
        "--no-resolv",
        "--no-hosts",
        "--pid-file",
        "--user=root",
        "--bind-interfaces",
        f"--listen-address={FAR},{FAR6}",
        *[f"--address=/host.example/{address}" for address in (FAR, FAR6)],
        "--address=/gone.example/",
    )


# dns


@pytest.mark.parametrize(("uplink", "target"), [(WAN1, FAR), (WAN2, FAR), (WAN1_6, FAR6)], ids=["wan1", "wan2", "ipv6"])
@pytest.mark.usefixtures("dnsmasq")
def test_a_name_server_that_answers(lab: ProbeLab, uplink: Uplink, target: str) -> None:
    rule = f"oifname {uplink.device} meta mark 0x3f00 udp dport 53"
    with Counter(lab.router, "output", rule) as seen:
        context, outcome = lab.context(uplink)
        prober = DnsProber(context, "host.example")
        prober.send(1, target)
        prober.send(2, target)
        outcome.wait(1, 2)
        prober.close()
        assert seen.packets == 2
    assert sorted(outcome.replies) == [1, 2]


@pytest.mark.usefixtures("dnsmasq")
def test_no_such_name_is_an_answer_but_refused_is_not(lab: ProbeLab) -> None:
    for name, failures in (("gone.example", {}), ("other.test", {1: "DNS answer: refused"})):
        context, outcome = lab.context()
        prober = DnsProber(context, name)
        prober.send(1, FAR)
        outcome.wait(1)
        prober.close()
        assert outcome.failures == failures


def test_no_name_server_is_told_at_once_and_harms_no_other_query(lab: ProbeLab) -> None:
    server = lab.python(DNS_SERVER, "198.51.100.1", "0")
    context, outcome = lab.context(WAN2)
    prober = DnsProber(context, "host.example")
    prober.send(1, "198.51.100.1")
    outcome.wait(1)
    server.kill()
    server.wait()
    prober.send(2, "198.51.100.1")
    outcome.wait(2)
    prober.send(3, "198.51.100.1")
    outcome.wait(3)
    prober.close()
    assert outcome.replies == [1]
    assert outcome.failures == {2: "connection refused", 3: "connection refused"}


def test_an_error_about_one_query_does_not_fail_the_next(lab: ProbeLab) -> None:
    """The kernel would report it to whoever sends next on the socket."""
    server = lab.python(DNS_SERVER, "198.51.100.1", "0")
    context, outcome = lab.context(WAN2)
    prober = DnsProber(context, "host.example")
    prober.send(1, "192.0.2.1")
    poll = select.poll()
    assert prober._socket is not None
    poll.register(prober._socket, 0)  # POLLERR is always told
    assert poll.poll(10_000)
    prober.send(2, "198.51.100.1")
    outcome.wait(1, 2)
    prober.close()
    server.kill()
    server.wait()
    assert outcome.failures == {1: "connection refused"}
    assert outcome.replies == [2]


@pytest.mark.parametrize(("rcode", "failures"), [("0", {}), ("2", {1: "DNS answer: server failure"})])
def test_only_the_answer_to_our_question_counts(lab: ProbeLab, rcode: str, failures: dict[int, str]) -> None:
    server = lab.python(DNS_SERVER, "192.0.2.1", rcode)
    context, outcome = lab.context()
    prober = DnsProber(context, "host.example")
    prober.send(1, "192.0.2.1")
    outcome.wait(1)
    prober.close()
    server.kill()
    server.wait()
    assert outcome.failures == failures


def test_an_impossible_name_is_a_failure(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = DnsProber(context, "a..b")
    prober.send(1, FAR)
    prober.close()
    assert "not a host name" in outcome.failures[1]


# tcp


def test_a_listening_and_a_closed_port_are_both_alive(lab: ProbeLab) -> None:
    lab.python(RUDE_SERVER, "8081", "mute")
    with Counter(lab.router, "output", "oifname wan2 meta mark 0x3f00 tcp flags syn") as seen:
        context, outcome = lab.context(WAN2)
        prober = TcpProber(context, port=8081)
        prober.send(1, FAR)
        prober.send(2, f"{FAR}:9")
        outcome.wait(1, 2)
        prober.close()
        assert seen.packets >= 2
    assert sorted(outcome.replies) == [1, 2]


def test_an_unreachable_host_is_a_failure(lab: ProbeLab) -> None:
    context, outcome = lab.context(WAN1_6)
    prober = TcpProber(context, port=80)
    prober.send(1, "2001:db8:99::66")
    prober.send(2, "[2001:db8:99::66]:x")
    prober.send(3, "192.0.2.1")
    outcome.wait(1, 2, 3)
    prober.close()
    assert outcome.failures[1] in ("network is unreachable", "no route to host")
    assert "no valid port" in outcome.failures[2]
    assert outcome.failures[3] == "not an ipv6 address"


def test_sockets_without_an_answer_are_bounded(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = TcpProber(context, port=80)
    try:
        lab.drop("tcp dport 80")
        for token in range(MAX_SOCKETS + 10):
            prober.send(token, FAR)
        assert sorted(outcome.failures) == list(range(10))
        for token in range(10, MAX_SOCKETS + 5):
            prober.cancel(token)
        assert len(prober._sockets) == 5
    finally:
        prober.close()
        lab.heal()
    assert prober._sockets == {}


# httping


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For host.example; its own authority."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    _make_certificate(file, "host.example", "-days 2")
    return file


def _make_certificate(file: Path, name: str, validity: str) -> None:
    key = file.with_suffix(".key")
    run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {file}"
        f" -subj /CN={name} -addext subjectAltName=DNS:{name} {validity}"
    )
    file.write_text(file.read_text() + key.read_text())


@pytest.fixture(scope="module")
def web(lab: ProbeLab, certificate: Path) -> None:
    lab.python(HTTP_SERVER, "80")
    lab.python(HTTP_SERVER, "443", str(certificate))


@pytest.fixture
def resolv_conf(tmp_path: Path) -> Path:
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {FAR}\nnameserver {FAR6}\n")
    return file


def ask(lab: ProbeLab, target: str, *, uplink: Uplink = WAN1, tls: bool = False, names: Path | None = None) -> str:
    """ "alive", or the reason why not."""
    context, outcome = lab.context(uplink)
    prober = HttpProber(context, tls, Resolver(context, (names,)) if names else None)
    prober.send(1, target)
    outcome.wait(1)
    prober.close()
    return outcome.failures.get(1, "alive")


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (f"http://{FAR}/204", "alive"),
        (f"http://{FAR}/302", "alive"),
        (f"http://{FAR}/405", "alive"),
        (f"http://{FAR}/404", "HTTP status 404"),
        (f"http://{FAR}/503", "HTTP status 503"),
        (FAR, "alive"),  # status 403, but nobody promised a page
        (f"{FAR}:9", "connection refused"),
        (f"ftp://{FAR}", f"'ftp://{FAR}' is neither http nor https"),
        (FAR6, "not an ipv4 address"),
    ],
)
@pytest.mark.usefixtures("web")
def test_http_status(lab: ProbeLab, target: str, verdict: str) -> None:
    assert ask(lab, target) == verdict


@pytest.mark.usefixtures("web")
def test_http_by_the_right_uplink_and_over_ipv6(lab: ProbeLab) -> None:
    with Counter(lab.router, "output", "oifname wan2 meta mark 0x3f00 tcp dport 80 tcp flags syn") as seen:
        assert ask(lab, FAR, uplink=WAN2) == "alive"
        assert seen.packets == 1
    assert ask(lab, f"http://[{FAR6}]/200", uplink=WAN1_6) == "alive"


@pytest.mark.usefixtures("web", "dnsmasq")
def test_names_are_resolved_through_the_uplink(lab: ProbeLab, resolv_conf: Path) -> None:
    with Counter(lab.router, "output", "oifname wan2 meta mark 0x3f00 udp dport 53") as seen:
        context, outcome = lab.context(WAN2)
        prober = HttpProber(context, False, Resolver(context, (resolv_conf,)))
        prober.send(1, "http://host.example/204")
        outcome.wait(1)
        prober.send(2, "http://host.example/204")
        outcome.wait(2)
        prober.close()
        assert seen.packets == 2  # both servers were asked, once
    assert outcome.replies == [1, 2]
    assert ask(lab, "http://host.example/204", uplink=WAN1_6, names=resolv_conf) == "alive"


@pytest.mark.usefixtures("dnsmasq")
@pytest.mark.parametrize("uplink", [WAN2, WAN1_6])
def test_targets_by_name_for_methods_that_probe_addresses(lab: ProbeLab, resolv_conf: Path, uplink: Uplink) -> None:
    """mwan3's track_ip takes names; they are resolved by the uplink that is probed, once."""
    with Counter(lab.router, "output", f"oifname {uplink.device} meta mark 0x3f00 udp dport 53") as seen:
        context, outcome = lab.context(uplink)
        prober = NamedProber(context, IcmpProber(context, 56, 60), Resolver(context, (resolv_conf,)))
        for token in (1, 2):
            prober.send(token, "host.example")
            outcome.wait(token)
        prober.send(3, FAR6 if uplink.family == "ipv6" else FAR)
        outcome.wait(3)
        prober.close()
        assert seen.packets == 2  # both servers were asked, once
    assert outcome.replies == [1, 2, 3]
    assert not outcome.failures


def test_a_name_with_a_port(lab: ProbeLab, resolv_conf: Path) -> None:
    context, _ = lab.context()
    asked: list[str] = []

    class Recorder:
        def send(self, token: int, target: str) -> None:
            asked.append(target)

        def cancel(self, token: int) -> None: ...

        def close(self) -> None: ...

    prober = NamedProber(context, Recorder(), Resolver(context, (resolv_conf,)))
    prober.send(1, f"{FAR}:81")
    prober.send(2, f"[{FAR6}]:82")
    prober.send(3, FAR6)
    assert asked == [f"{FAR}:81", f"[{FAR6}]:82", FAR6]
    prober.close()


def test_an_unknown_name_fails_and_can_be_given_up(lab: ProbeLab, tmp_path: Path) -> None:
    context, outcome = lab.context()
    prober = NamedProber(context, IcmpProber(context, 56, 60), Resolver(context, (tmp_path / "missing",)))
    prober.send(1, "host.example")
    assert outcome.failures == {1: "cannot resolve host.example: no name server known"}
    prober.cancel(1)
    prober.close()


def test_a_name_that_cannot_be_resolved_says_so(lab: ProbeLab, tmp_path: Path) -> None:
    assert ask(lab, "host.example", names=tmp_path / "missing") == ("cannot resolve host.example: no name server known")


@pytest.mark.usefixtures("web", "dnsmasq")
def test_certificates(lab: ProbeLab, certificate: Path, resolv_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untrusted = ask(lab, "https://host.example/204", names=resolv_conf)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert untrusted.startswith("certificate: self")
    assert ask(lab, "https://host.example/204", names=resolv_conf) == "alive"
    assert ask(lab, "host.example", tls=True, names=resolv_conf) == "alive"
    assert ask(lab, "https://host.example/503", names=resolv_conf) == "HTTP status 503"
    assert "Hostname mismatch" in ask(lab, "https://www.host.example/204", names=resolv_conf)
    assert ask(lab, f"https://{FAR}/204") == "alive"  # a bare address: nothing to check


@pytest.mark.usefixtures("dnsmasq")
def test_a_certificate_from_the_future_passes_and_an_old_one_does_not(
    lab: ProbeLab, tmp_path: Path, resolv_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router that boots in 1970 must get on line to learn the time."""
    for port, dates, verdict in (
        (4431, ("20900101000000Z", "20910101000000Z"), "alive"),
        (4432, ("20200101000000Z", "20210101000000Z"), "certificate: certificate has expired"),
    ):
        file = tmp_path / f"{port}.pem"
        _dated_certificate(tmp_path, file, *dates)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        lab.python(HTTP_SERVER, str(port), str(file))
        assert ask(lab, f"https://host.example:{port}/204", names=resolv_conf) == verdict


def _dated_certificate(directory: Path, file: Path, start: str, end: str) -> None:
    """`openssl req` of older releases cannot set dates; `openssl ca` can."""
    _make_certificate(file, "host.example", "")
    (directory / "index.txt").write_text("")
    (directory / "index.txt.attr").write_text("unique_subject = no\n")
    config = directory / "ca.cnf"
    config.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={directory}/index.txt\nnew_certs_dir={directory}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
        "[x]\nsubjectAltName=DNS:host.example\nbasicConstraints=CA:true\n"
    )
    key, request = file.with_suffix(".key"), file.with_suffix(".csr")
    run(f"openssl req -new -key {key} -out {request} -subj /CN=host.example")
    run(
        f"openssl ca -batch -notext -config {config} -selfsign -keyfile {key} -in {request} -out {file}"
        f" -startdate {start} -enddate {end}"
    )
    file.write_text(file.read_text() + key.read_text())


@pytest.mark.parametrize(
    ("port", "answer", "verdict"),
    [
        (8101, "close", "not an HTTP answer"),
        (8102, (b"\xff\xfe" * 2000).hex(), "not an HTTP answer"),
        (8103, (b"HTTP/1.1 " + b"2" * 5000).hex(), "not an HTTP answer"),
        (8104, b"SSH-2.0-x\r\n".hex(), "not an HTTP answer"),
    ],
)
def test_servers_that_do_not_speak_http(lab: ProbeLab, port: int, answer: str, verdict: str) -> None:
    lab.python(RUDE_SERVER, str(port), answer)
    assert ask(lab, f"{FAR}:{port}") in (verdict, "connection reset by peer")


def test_a_server_that_speaks_no_tls(lab: ProbeLab) -> None:
    lab.python(RUDE_SERVER, "8105", b"HTTP/1.1 200 OK\r\n\r\n".hex())
    assert ask(lab, f"https://{FAR}:8105/").startswith("TLS: ")


@pytest.mark.usefixtures("web")
def test_a_mute_server_reports_nothing_after_cancel(lab: ProbeLab) -> None:
    lab.python(RUDE_SERVER, "8106", "mute")
    context, outcome = lab.context()
    prober = HttpProber(context, False)
    prober.send(1, f"{FAR}:8106")
    prober.send(2, FAR)
    outcome.wait(2)
    prober.cancel(1)
    assert prober._sockets == {}
    assert prober._requests == {}
    prober.close()
    assert outcome.failures == {}


# arping


@pytest.mark.parametrize(
    ("uplink", "target"), [(WAN1, "gateway"), (WAN2, "198.51.100.1"), (WAN1_6, "gateway"), (WAN1_6, "2001:db8:1::1")]
)
def test_neighbours_answer(lab: ProbeLab, uplink: Uplink, target: str) -> None:
    context, outcome = lab.context(uplink)
    prober = (SolicitationProber if context.is_ipv6 else ArpProber)(context)
    for token in (1, 2, 3):
        prober.send(token, target)
    outcome.wait(1, 2, 3)
    prober.close()
    assert sorted(outcome.replies) == [1, 2, 3]


def test_an_absent_neighbour_is_silent_and_requests_of_others_are_no_answer(lab: ProbeLab) -> None:
    context, outcome = lab.context()
    prober = ArpProber(context)
    prober.send(1, "192.0.2.77")
    subprocess.run(  # makes the provider broadcast requests
        ["ip", "netns", "exec", lab.provider, "ping", "-c1", "-W1", "192.0.2.78"], check=False, capture_output=True
    )
    prober.send(2, "192.0.2.1")
    outcome.wait(2)
    prober.close()
    assert outcome.replies == [2]
    assert outcome.failures == {}


def test_devices_without_neighbours_say_so(lab: ProbeLab) -> None:
    run(f"ip -n {lab.router} tuntap add dev tun9 mode tun")
    try:
        run(f"ip -n {lab.router} link set tun9 up")
        context, outcome = lab.context(Uplink("tun", 9, "ipv4", "tun9", None, (), False, ()))
        prober = ArpProber(context)
        prober.send(1, "192.0.2.1")
        prober.send(2, "gateway")
        prober.close()
        assert "no Ethernet" in outcome.failures[1] or "no ethernet" in outcome.failures[1]
        assert outcome.failures[2] == "the uplink has no gateway to ask"
    finally:
        run(f"ip -n {lab.router} link del tun9")
