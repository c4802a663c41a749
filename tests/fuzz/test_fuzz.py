# SPDX-License-Identifier: GPL-2.0-or-later
"""The targets on their corpus, on changes of it, and on inputs that are well formed but for one thing."""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.bondfuzz import mutated
from netpath.config import loads
from netpath.config.schema import SECTIONS
from netpath.probe import dns_message
from netpath.tracker.arguments import METHODS
from tests.fuzz import configuration
from tests.fuzz.probes import COOKIE, ICMP_ID, NAME, QUERY_ID
from tests.fuzz.targets import CORPUS, TARGETS, seeds, target
from tests.kernel.nsbox import Box

SEEDS = [(name, path) for name in TARGETS for path in seeds(name)]
LARGEST, MOST = 4096, 300_000
"""Bytes of a seed, and of all: a corpus is not where a fuzzer keeps what it has seen."""
CHANGES = 60
"""Examples of each target: all of them together take some seconds."""
some = settings(max_examples=CHANGES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def piece(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def test_the_corpus_is_small_and_every_target_has_one() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)
    sizes = [path.stat().st_size for _, path in SEEDS]
    assert max(sizes) <= LARGEST and sum(sizes) <= MOST


@pytest.mark.parametrize(("name", "path"), SEEDS, ids=[f"{name}-{path.name}" for name, path in SEEDS])
def test_what_was_found_once_is_not_found_again(name: str, path: Any) -> None:
    target(name)(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds_do_no_harm(name: str) -> None:
    pool = [path.read_bytes() for path in seeds(name)]

    @some
    @given(st.integers(0, 1 << 32), st.integers(1, 6))
    def changed(seed: int, times: int) -> None:
        random = Random(seed)
        data = random.choice(pool)
        for _ in range(times):
            data = mutated(data or b"\0", random, pool)
        target(name)(data[:8192])

    changed()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_do_no_harm(name: str) -> None:
    settings(max_examples=20, deadline=None)(given(st.binary(max_size=300))(target(name)))()


# -- Configurations: sound but for one value --------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=24)
NUMBERS = st.integers(-(10**12), 10**12).map(str) | st.floats().map(str) | st.integers(0, 1 << 64).map(hex)
ADDRESSES = st.sampled_from(
    ["192.0.2.1", "192.0.2.0/24", "0.0.0.1/0.0.0.1", "::/0", "2001:db8::/32", "!198.51.100.7", "::ffff:192.0.2.1",
     "fe80::1%eth0", "192.0.2.1/33", "0x7f.1", "2001:db8::1/-1", "255.255.255.255/0", "ff02::1"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["1", "0", "wan", "m1", "balanced", "default", "unreachable", "blackhole", "tcp", "udp", "!tcp", "all", "ipv4",
     "ipv6", "any", "443", "!80-90", "65535:", ":0", "63", "cs7-be", "00:00:5e:00:53:01", "example.com",
     "*.xn--bcher-kva.example", "200ms", "24h", "1e3", "22:00-06:00", "sat-mon", "500M", "prefix", "masquerade",
     "auto", "lan", "wan.1@x", "ping", "httping", "arping", "https://[2001:db8::1]:1/", "0x3F00", "0xFFFFFFFF",
     "0x1", "main", '"', "\\", "}", "; drop", "#", "$(reboot)", "\u2018x\u2019", "\u202e", "st_x_4", "netpath",
     "accept"]
)  # fmt: skip
VALUES = st.lists(WORDS | ADDRESSES | NUMBERS | TEXT, min_size=1, max_size=3).map(" ".join)
OPTIONS = [
    (kind.name, name) for kind in SECTIONS.values() for name in kind.by_name if kind.name not in ("source", "notify")
]
NAMED = {"interface": "wan", "member": "m1", "policy": "balanced", "rule": "https", "globals": "globals"}


def with_option(text: str, kind: str, option: str, value: str) -> str:
    """The sound file with one more line in the first section of this kind, or in a new one."""
    line = f"\toption {option} '" + value.replace("'", "'\\''") + "'\n"
    head = f"config {kind} '{NAMED.get(kind, 'x')}'\n"
    return text.replace(head, head + line, 1) if head in text else text + head + line


USUAL = (CORPUS / "load_uci" / "usual.uci").read_text()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(OPTIONS), VALUES)
def test_a_sound_file_with_any_value_of_any_option_is_refused_or_renders(where: tuple[str, str], value: str) -> None:
    text = with_option(USUAL, *where, value)
    configuration.whole(text, "uci")
    configuration.mwan3(text.encode())


TOML_VALUES = st.recursive(
    VALUES.map(json.dumps)
    | NUMBERS
    | st.sampled_from(["true", "1979-05-27", "07:32:00", "nan", "-inf", "0x" + "f" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | inner.map(lambda item: f"{{ a = {item} }}")
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([("global", "globals"), ("interfaces.wan", "interface"), ("rules.r", "rule"), ("bonds.b", "bond")]),
    st.data(),
)
def test_a_toml_table_with_any_value_is_refused_or_renders(table: tuple[str, str], data: st.DataObject) -> None:
    option = data.draw(st.sampled_from(sorted(SECTIONS[table[1]].by_name)))
    configuration.whole(f"[{table[0]}]\n{option} = {data.draw(TOML_VALUES)}\n", "toml")


RULE_VALUES = {
    "src_ip": ADDRESSES, "dest_ip": ADDRESSES, "src_port": WORDS, "dest_port": WORDS, "proto": WORDS, "dscp": WORDS,
    "src_iface": WORDS, "src_mac": WORDS, "family": WORDS, "domain": WORDS, "nft_set": TEXT, "sticky": WORDS,
    "logging": WORDS, "use_policy": WORDS,
}  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> str:
    """The usual file with a few rules more, of whatever name."""
    found = USUAL
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["a", "a.b-c", "x" * 64, "add", "0", "A_", "w_1", "rules_4"]))
        found += f"config rule '{name}{len(found)}'\n".replace("'0", "'0")[:90]
        for option in draw(st.sets(st.sampled_from(sorted(RULE_VALUES)), max_size=5)):
            value = draw(RULE_VALUES[option]).replace("'", "").replace("\n", " ")
            found += f"\toption {option} '{value}'\n"
        found += "\toption use_policy 'balanced'\n"
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: run as root")
def test_what_renders_is_what_nft_takes() -> None:
    """A sample, as each takes a process: configurations that hypothesis found to be sound."""
    sound: dict[str, None] = {USUAL: None}

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(rules())
    def collect(text: str) -> None:
        if loads(text).config is not None:
            sound[text] = None

    collect()
    with Box() as box:
        step = max(1, len(sound) // 12)
        for text in [*sound][::step][:14]:
            config = loads(text).config
            assert config is not None
            box.nft(configuration.renders(config))
            box.run("nft", "delete", "table", "inet", "netpath")


# -- Requests ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = sorted({name for known in METHODS.values() for name in known} | {"file", "keep", "follow", "args", "cmd"})
FITTING = st.sampled_from(
    ["wan", "192.0.2.7", "2001:db8::1", "fe80::1%x", "tcp", "ipv4", "members", 0, 1, 65536, 1e999, "\ud800"]
)
OBJECTS = st.dictionaries(st.sampled_from(ARGUMENTS), FITTING | JSON, max_size=6)
COMMANDS = st.sampled_from([*METHODS, "use", "ifup", "ifdown", "stop", "follow", ""])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(COMMANDS, OBJECTS, st.booleans()), max_size=4))
def test_well_formed_requests_with_any_arguments(asked: list[tuple[str, dict[str, Any], bool]]) -> None:
    lines = [{"args": given, "cmd": cmd} if of_ubus else {**given, "cmd": cmd} for cmd, given, of_ubus in asked]
    target("socket")("".join(json.dumps(line) + "\n" for line in lines).encode())


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 24), OBJECTS | JSON, st.sampled_from([b'{"a":1}\n', b"", b"[]\n", b"{"]))
def test_the_plugin_with_any_arguments(method: int, given_: Any, answer: bytes) -> None:
    target("rpcd")(bytes([method]) + piece(json.dumps(given_, indent=1).encode()) + answer)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_replies_with_one_field_changed_still_print(data: st.DataObject) -> None:
    reply = json.loads(data.draw(st.sampled_from(seeds("cli"))).read_text().splitlines()[0])
    where: Any = reply
    while True:
        key = data.draw(st.sampled_from([*(where if isinstance(where, dict) else range(len(where)))]))
        if not (isinstance(where[key], dict | list) and where[key] and data.draw(st.integers(0, 4))):
            break
        where = where[key]
    where[key] = data.draw(JSON)
    target("cli")(json.dumps(reply).encode() + b"\n")


# -- Replies to probes ------------------------------------------------------------------------------------------------

U8, U16, U32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, (1 << 32) - 1)


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


@st.composite
def icmp_packets(draw: st.DrawFn) -> bytes:
    """Echo replies and errors with the right fields, or others."""

    def mostly(right: int, other: st.SearchStrategy[int]) -> int:
        return draw(st.just(right) | st.just(right) | other)

    echo = bytes([mostly(0, U8), mostly(0, U8)]) + number(draw(U16), 2)
    echo += number(mostly(ICMP_ID, U16), 2) + number(mostly(1, U16), 2) + draw(st.just(COOKIE) | st.binary(max_size=9))
    inner = (
        bytes([mostly(0x45, U8)])
        + bytes(8)
        + bytes([mostly(1, U8)])
        + bytes(2)
        + draw(st.binary(min_size=4, max_size=4))
    )
    inner += bytes([192, 0, 2, mostly(1, U8)]) + bytes([8]) + echo[1:]
    body = draw(st.sampled_from([echo, bytes([mostly(3, U8), draw(U8)]) + bytes(6) + inner]))
    options = bytes(draw(st.integers(0, 40)))
    head = bytes([0x40 | draw(st.just(5 + len(options) // 4) | st.integers(0, 15))]) + bytes(19)
    return piece((head + options + body)[: draw(st.integers(0, 200))])


@some
@given(st.integers(0, 3), st.lists(icmp_packets(), max_size=4))
def test_icmp_with_any_field_changed(flags: int, packets: list[bytes]) -> None:
    target("icmp")(bytes([flags]) + b"".join(packets))


@st.composite
def dns_replies(draw: st.DrawFn) -> bytes:
    """Answers to the question, whose counts, names, types and lengths may lie."""
    question = dns_message.query(QUERY_ID, NAME, 1)[12:]
    records = b""
    for _ in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from([b"\xc0\x0c", b"\0", b"\3www\xc0\x10", b"\x40x\0", b"\xff", question[:-4]]))
        body = draw(st.just(bytes([198, 51, 100, 1])) | st.binary(max_size=20))
        length = draw(st.just(len(body)) | U16)
        records += (
            name + number(draw(st.sampled_from([1, 5, 28, 41])), 2) + number(draw(st.sampled_from([1, 1, 255])), 2)
        )
        records += number(draw(U32), 4) + number(length, 2) + body
    head = number(QUERY_ID, 2) + number(draw(st.just(0x8180) | U16), 2) + number(draw(st.just(1) | U16), 2)
    return piece(head + number(draw(st.integers(0, 6) | U16), 2) + number(draw(U16), 2) + bytes(2) + question + records)


@some
@given(st.lists(dns_replies(), max_size=3))
def test_dns_answers_that_lie(replies: list[bytes]) -> None:
    target("dns")(b"\0" + b"".join(replies))


HEADERS = st.sampled_from(
    ["Content-Length: 5", "Content-Length: 5, 5", "Content-Length: -1", "Content-Length: 99999999999999999",
     "Transfer-Encoding: chunked", "Connection: close", "Location: https://192.0.2.1/ubus", "Location: //[",
     "Set-Cookie: a=b",
     "A:", ":", "\tfolded", "Location: https://192.0.2.1:99999/"]
)  # fmt: skip
BODIES = st.sampled_from(
    ["hello", "5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "-5\r\n", "+5\r\nhello\r\n0\r\n\r\n", "1_0\r\n", ""]
)
ANSWERS = st.tuples(
    st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.0 307 x", "HTTP/1.1 204", "HTTP/2 200", "HTTP/1.1 099 x", "ICY 200"]),
    st.lists(HEADERS, max_size=4), BODIES,
).map(lambda parts: "\r\n".join([parts[0], *parts[1], "", parts[2]]))  # fmt: skip


@some
@given(st.lists(ANSWERS, min_size=1, max_size=3).map("".join), st.integers(1, 40))
def test_http_answers_that_lie(text: str, size: int) -> None:
    target("http")(text.encode())
    data = text.encode()
    target("http_probe")(b"\0" + b"".join(piece(data[at : at + size]) for at in range(0, len(data), size)))


# -- The seeds --------------------------------------------------------------------------------------------------------

DEEP = {
    "uci": "netpath.config.uci._Reader._store",
    "toml": "netpath.config.toml.as_text",
    "load_uci": "tests.fuzz.configuration.desired",
    "load_toml": "tests.fuzz.configuration.desired",
    "mwan3": "tests.fuzz.configuration.desired",
    "bond_config": "netpath.config.bond_seed._Translation.__init__",
    "dotenv": "netpath.cli.dotenv._value",
    "values": "netpath.config.values._within",
    "socket": "netpath.tracker.metrics.Metrics.history",
    "rpcd": "tests.fuzz.requests.unwrapped",
    "bond_socket": "tests.fuzz.requests.Control._answer",
    "cli": "netpath.cli.figures.metrics_table",
    "udp": "tests.fuzz.peers.FakeListener.send",
    "clash": "netpath.monitor.shares.divide",
    "websocket": "netpath.monitor.websocket._message",
    "http": "netpath.monitor.http_client._chunks",
    "ubus": "netpath.monitor.netifd._bytes",
    "metrics": "netpath.monitor.metrics.http.head",
    "icmp": "netpath.probe.icmp.IcmpProber._packed",
    "dns": "netpath.probe.resolve.Resolver._answered",
    "http_probe": "netpath.probe.stream.StreamProber.succeed",
    "neighbours": "netpath.probe.neighbour.SolicitationProber.answered",
    "netlink": "netpath.kernel.rtnl._next_hops",
    "bond_strangers": "netpath.bond.serverside.ServerSessions.initiate",
    "bond_handshakes": "netpath.bond.handshake.agreed",
    "bond_plaintexts": "netpath.bond.assemble.run",
    "bond_repairs": "netpath.bond.fec.groups.Decoder._recover",
    "bond_slices": "netpath.bond.assemble.run",
    "bond_packets": "netpath.bond.assemble.run",
}
"""Target -> what only an input that is sound comes to."""


class ReachedError(BaseException):
    """Nobody catches it."""


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_come_to_the_heart_of_what_they_are_for(name: str) -> None:
    found = target(name)

    def run_all() -> None:
        for path in seeds(name):
            found(path.read_bytes())

    with mock.patch(DEEP[name], side_effect=ReachedError), pytest.raises(ReachedError):
        run_all()
