# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms judge values as the readers do, and preview shares as the tracker computes them: JavaScript in node,
held against Python on the same inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netpath.config.luci import schema_js
from netpath.config.schema import SECTIONS
from netpath.lab.world import PACKAGE_ROOT
from netpath.model import LastResort, Member, Mode, Policy
from netpath.steering.slots import shares
from tests.luci.forms_logic import KEY, KNOWN, Node, refused_by_forms, refused_by_reader

_WRITTEN = """
    0 1 2 3 4 5 56 60 99 100 101 253 254 255 256 999 1000 1001 1060 1061 6000 31000 31001 60000 60001 65535 65536
    86400 86401 2592000 2592001 4294967295 4294967296 9999999999 99999999999 007 +1 -1 1.5 0.5 .5 5. 1e3 0.0199999
    0.02 0.0199996 1ms 20ms 200ms 5s 10m 1h 24h 24.1h 720h 60.0000001 1.0s 1.2s 5d yes no On oFF true enabled
    disabled maybe ipv4 IPv6 any ping nping-icmp nslookup arping PING tcp udp httping dns none online offline
    balanced round_robin Failover hash unreachable blackhole default notice err emerg auto systemd never always ifup
    ifdown connected disconnected eth0 br-lan wan wan6 wan_m1 no_such_one wwan0.5 eth0:1 a@b averylongdevicename .
    .. -x _x x/y x' "x" $(x) 0x3F00 0X700 0xF0F0 0x3 0x0 0x1FFFFFFFF 16128 192.0.2.1 192.0.2.1. 192.0.2.256
    192.0.02.1 192.0.2 192.0.2.0/24 192.0.2.0/33 192.0.2.0/ 192.0.2.0/255.0.255.0 0.0.0.0/0 0.0.0.1/0.0.0.1
    !192.0.2.0/24 !0.0.0.0/0 127.0.0.1 169.254.1.1 224.0.0.1 2001:db8::1 2001:db8::/32 2001:db8::/129 ::/0 !::/0 ::
    ::1 fe80::1 ff02::1 ::ffff:192.0.2.1 ::192.0.2.256 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: 1::2:3:4:5:6:7:8
    ::2:3:4:5:6:7:8 1:::2 :1 1: 12345:: 2001:db8::/ffff:: [2001:db8::1] [2001:db8::1]:443 [2001:db8::1]:0
    192.0.2.1:443 192.0.2.1:65536 192.0.2.1: example.com:853 https://example.com/x http://192.0.2.1:8080
    http://[2001:db8::1]/ https://example.com:99999/ ftp://x/ example.com example.com. a..b *.example.com
    .example.com. _dmarc.example.com xn--bcher-kva.example bücher.example straße.example ä/b.example EXAMPLE.COM 443
    80,443 80-90 90-80 80:90 1024: :1023 : - 0-65535 !443 !0-65535 !! ! http all 6 17 icmp ipv6-icmp !tcp tcp,udp
    300 CS1 af41 EF 64 0-63 !0-63 ef-cs1 cs1-ef 00:00:5e:00:53:01 00-00-5E-00-53-01 00:00:5e:00:53
    !00:00:5e:00:53:01 streaming st_x dom_x set inet mwan3 fw4 netpath 9lives /etc/dnsmasq.d /etc/ / /../x relative
    08:00-18:00 8:00-9:00 22:00-06:00 00:00-24:00 24:00-01:00 08:60-09:00 8-18 mon mon-fri Sat-Mon mon-xyz monday 1k
    999 1K 10G 1.5T 1000T 1001T 10GiB 10Gi 500MB 0.9995k main local 1002 1252 1253
    clash luci openwrt webhook email starttls tls combined pair slack fast infinite open closed ws://192.0.2.1:9090/c?token=x
    ws://192.0.2.1:0 WS://x wss://[2001:db8::1]:443/ ws://[2001:db8::g]/ ws://[::1 http://user:word@example.com/
    http://a@b https://example.com:65536 http://example.com?x#y http://bücher.example/ http:/x http:// mail.example.com
    /etc/ssl/ca.pem /etc//ca.pem ssl/ca.pem /etc/../ca.pem a/b /a a//b a/ +/x router@example.com a@b@c @example.com a@
    json slack cabin client server home vps aggregate low-latency low_latency redundant adaptive fixed 50mbit 6MB/s
    7kbit 1000.1gbit 8.kbit
    10.99.0.2/24 10.99.0.2/33 10.99.0.2/0 127.0.0.1/8 224.0.0.1/24 ::/64 ::1/64 2001:db8::2/64 ff02::1/64 10.0.0.1/
    192.0.2.1:9001 [2001:db8::1]:9001 [2001:db8::1] [192.0.2.1]:9 vps.example.com:0 1.0 1.01 0.1234567 -0.5
    q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s= q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6t= aes chacha20 aes-256-gcm
    proxy router 10.0.0.0/8 10.0.0.0/255.255.0.0 10.0.0.0/255.0.255.0 fc00::/7 0.1 0.05 3600 100000 1000000 1000001
"""
TEXTS = [
    *_WRITTEN.split(),
    "two words",
    "a\u00a0b",
    "a\u2028b",
    "a\u202eb",
    "a\tb",
    "\U0001f600" * 255,
    "\U0001f600" * 256,
]
COMBINATIONS: list[tuple[str, dict[str, str | list[str]]]] = [
    ("interface", {"gateway": "2001:db8::1"}),
    ("interface", {"gateway": "2001:db8::1", "family": "ipv6"}),
    ("interface", {"dns": ["192.0.2.53", "2001:db8::53"]}),
    ("interface", {"track_targets": ["example.com"], "track_method": "arping"}),
    ("interface", {"track_targets": ["[2001:db8::1]:53"], "track_method": "tcp", "family": "ipv6"}),
    ("interface", {"track_targets": ["2001:db8::1"], "track_method": "none"}),
    ("interface", {"track_targets": ["2001:db8::1"], "family": "ipv7"}),
    ("interface", {"flush_conntrack": ["never", "ifup"]}),
    ("interface", {"flush_conntrack": ["never", "ifup", "always"]}),
    ("interface", {"flush_conntrack": "ifup,ifdown"}),
    ("rule", {"policy": "default", "dest_port": "443"}),
    ("rule", {"policy": "default", "dest_port": "443", "proto": "tcp udp"}),
    ("rule", {"policy": "default", "dest_port": "443", "proto": "tcp icmp"}),
    ("rule", {"policy": "default", "dest_port": "443", "proto": "!tcp"}),
    ("rule", {"policy": "default", "dest_port": "443", "proto": "tcpp"}),
    ("rule", {"policy": "default", "dest_port": "0-65535"}),
    ("rule", {"policy": "default", "dest_port": ["80", "!80"], "proto": "tcp"}),
    ("rule", {"policy": "default", "dest_port": ["80-90", "! 80-85", "!86-90"], "proto": "tcp"}),
    ("rule", {"policy": "default", "src_ip": "192.0.2.1", "dest_ip": "2001:db8::1"}),
    ("rule", {"policy": "default", "src_ip": "192.0.2.1", "dest_ip": "2001:db8::1", "family": "ipv4"}),
    ("rule", {"policy": "default", "src_ip": "192.0.2.1 !2001:db8::1", "family": "ipv4"}),
    ("rule", {"policy": "default", "src_ip": "!192.0.2.1", "dest_ip": "192.0.2.1 2001:db8::1"}),
    ("rule", {"policy": "default", "domain": "example.com", "dest_ip": "192.0.2.1"}),
    ("rule", {"policy": "default", "domain": "example.com", "nft_set": "streaming", "dest_ip": "x"}),
    ("rule", {"policy": "default", "src_iface": "lan, ! lan"}),
    ("rule", {"policy": "balanced"}),
    ("rule", {}),
    ("member", {}),
    ("member", {"interface": "wan"}),
    ("globals", {"mark_mask": "0x0F0", "rt_table_lookup": ["1013", "1012", "main"]}),
    ("globals", {"mark_mask": "0x7"}),
    ("monitor", {"listen_address": ["::", "::1"]}),
    ("monitor", {"listen_address": ":: 0::0"}),
    ("monitor", {"listen_address": "0.0.0.0, ::1"}),
    ("monitor", {"metrics_address": "0.0.0.0 127.0.0.1 ::1"}),
    ("monitor", {"metrics_address": ["0.0.0.0", "::"]}),
    ("monitor", {"wan": ["router", "local"]}),
    ("monitor", {"wan": ["local"], "local": "0"}),
    ("monitor", {"wan": ["proxy"]}),
    ("monitor", {"wan": ["luci"], "luci_url": "http://192.0.2.3/"}),
    ("monitor", {"wan": ["clash"], "clash_url": "ws://192.0.2.3/"}),
    ("monitor", {"mqtt_host": "192.0.2.9", "mqtt_password": "secret"}),
    ("monitor", {"mqtt_password": "secret"}),
    ("monitor", {"mqtt_host": "192.0.2.9", "mqtt_password": "secret", "mqtt_username": "me"}),
    ("source", {"type": "clash"}),
    ("source", {"type": "mihomo", "url": "http://192.0.2.1/"}),
    ("source", {"type": "openwrt", "url": "ws://192.0.2.1/"}),
    ("source", {"type": "openwrt", "url": "192.0.2.1"}),
    ("source", {"type": "local"}),
    ("source", {"type": "clash", "url": "ws://192.0.2.1/", "interval": "10"}),
    ("source", {"type": "clash", "url": "ws://192.0.2.1/", "timeout": "1s"}),
    ("source", {"type": "openwrt", "url": "http://192.0.2.1/", "timeout": "1", "interval": "2"}),
    ("source", {"type": "other", "url": "ftp://192.0.2.1/"}),
    ("source", {}),
    ("notify", {"type": "webhook"}),
    ("notify", {"type": "email"}),
    ("notify", {"type": "email", "server": "x y", "from": "a@b", "to": ["a@b", "c"]}),
    ("notify", {"type": "email", "server": "192.0.2.1", "from": "a@b", "to": "a@b, c@d", "password": "secret"}),
    ("notify", {"type": "webhook", "url": "https://example.com/x", "password": "secret"}),
    ("notify", {"type": "webhook", "url": "https://example.com/x", "events": "online,Open closed"}),
    ("notify", {"type": "webhook", "url": "https://example.com/x", "events": "online up"}),
    ("notify", {}),
    ("bond", {}),
    ("bond", {"role": "client"}),
    ("bond", {"role": "server"}),
    ("bond", {"role": "server", "server": "x y", "server_key": "short"}),
    ("bond", {"role": "client", "server": "192.0.2.1", "server_key": KEY, "port": "65532"}),
    ("bond", {"role": "client", "server": "192.0.2.1", "server_key": KEY, "port": "65532", "ports": "4"}),
    ("bond", {"role": "client", "server": "192.0.2.1", "server_key": KEY, "mtu": "1200", "address": "2001:db8::2/64"}),
    ("bond", {"role": "server", "address": ["10.99.0.1", "2001:db8::1/64"]}),
    ("bond", {"role": "server", "private_key": KEY, "private_key_file": "/etc/key"}),
    ("bond_link", {}),
    ("bond_link", {"interface": "wan", "source": "192.0.2.1"}),
    ("bond_link", {"source": "192.0.2.300"}),
    ("bond_link", {"interface": "wan", "bond": "vps"}),
    ("bond_link", {"interface": "wan", "bond": "nobody"}),
    ("bond_peer", {}),
    ("bond_peer", {"public_key": KEY, "addresses": "10.99.0.2", "bond": "home"}),
    ("bond_peer", {"public_key": KEY, "addresses": "10.99.0.2", "preshared_key": KEY, "preshared_key_file": "/k"}),
    ("bond_rule", {}),
    ("bond_rule", {"mode": "redundant", "dest_port": "443"}),
    ("bond_rule", {"mode": "redundant", "dest_port": "443", "proto": "udp"}),
    ("bond_rule", {"mode": "redundant", "src_ip": "192.0.2.1", "dest_ip": "2001:db8::1"}),
    ("bond_rule", {"mode": "redundant", "bond": "home vps", "peer": "cabin"}),
    ("bond_rule", {"mode": "redundant", "bond": "home nobody", "peer": "cabin nobody"}),
    ("globals", {"rt_table_lookup": [str(table) for table in range(2000, 2098)]}),
    ("globals", {"rt_table_lookup": [str(table) for table in range(2000, 2099)]}),
]
BASE: dict[str, dict[str, str | list[str]]] = {
    "member": {"interface": "wan"},
    "rule": {"policy": "default"},
    "source": {"type": "openwrt", "url": "http://192.0.2.1/"},
    "notify": {"type": "webhook", "url": "https://192.0.2.1/"},
    "bond": {"role": "client", "server": "192.0.2.1", "server_key": KEY},
    "bond_link": {"interface": "wan"},
    "bond_peer": {"public_key": KEY, "addresses": "10.99.0.2/24"},
    "bond_rule": {"mode": "redundant"},
}
OPTIONS = [(kind.name, o.name) for kind in SECTIONS.values() for o in kind.options if not o.ignored]
BY_KIND = {kind: [option for of, option in OPTIONS if of == kind] for kind in SECTIONS}
RANDOM = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    running = Node()
    yield running
    running.close()


def test_the_committed_schema_is_what_the_table_gives() -> None:
    committed = PACKAGE_ROOT / "htdocs/luci-static/resources/netpath/schema.js"
    assert committed.read_text() == schema_js(), "run: python -m netpath.config.luci > " + str(committed)


def _beside(kind: str, option: str) -> dict[str, str | list[str]]:
    """A section that is whole but for the option."""
    return {} if (kind, option) == ("bond_link", "source") else BASE.get(kind, {})


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_every_option_takes_the_same_values(node: Node, kind: str, option: str) -> None:
    taken = 0
    for text in TEXTS:
        values = {**_beside(kind, option), **({"family": "ipv6"} if option.startswith("nat6") else {}), option: text}
        refused = refused_by_reader(kind, values)
        assert refused_by_forms(node, kind, values) == refused, f"{option} '{text}'"
        taken += option not in refused
    assert 0 < taken < len(TEXTS), "the table must have good and bad values for it"


@pytest.mark.parametrize(
    ("kind", "values"), COMBINATIONS, ids=lambda each: each if isinstance(each, str) else str(each)
)
def test_options_are_held_against_each_other_alike(node: Node, kind: str, values: dict[str, str | list[str]]) -> None:
    assert refused_by_forms(node, kind, values) == refused_by_reader(kind, values)


@st.composite
def sections(draw: st.DrawFn) -> tuple[str, dict[str, str | list[str]]]:
    kind = draw(st.sampled_from(list(BY_KIND)))
    joined = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)
    pieces = st.text("0123456789.:-/!, abcdefxms[]*_%\t\u00a0ä", min_size=1, max_size=8)
    texts = st.one_of(
        st.sampled_from(TEXTS), pieces.filter(str.strip), joined.map(" ".join), joined.map(",".join), joined
    )
    options = draw(st.lists(st.sampled_from(BY_KIND[kind]), max_size=5, unique=True))
    return kind, {**BASE.get(kind, {}), **{option: draw(texts) for option in options}}


@RANDOM
@given(section=sections())
def test_random_sections_are_judged_alike(node: Node, section: tuple[str, dict[str, str | list[str]]]) -> None:
    assert refused_by_forms(node, *section) == refused_by_reader(*section)


NAMES = ("wan", "wanb", "lte", "fibre")
members = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from((1, 1, 2)), st.integers(1, 1000), st.booleans()), max_size=6
)


@RANDOM
@given(mode=st.sampled_from(list(Mode)), rows=members, up=st.sets(st.sampled_from(NAMES)), swap=st.booleans())
def test_shares_are_those_of_the_tracker(
    node: Node, mode: Mode, rows: list[tuple[str, int, int, bool]], up: set[str], swap: bool
) -> None:
    ids = {name: number for number, name in enumerate(reversed(NAMES) if swap else NAMES, 1)}
    policy = Policy(
        "tested",
        tuple(
            Member(f"m{n}", name, metric, weight, closed=shut) for n, (name, metric, weight, shut) in enumerate(rows)
        ),
        mode,
        LastResort.UNREACHABLE,
    )
    given_rows = [{"interface": name, "metric": m, "weight": w, "closed": shut} for name, m, w, shut in rows]
    expected = shares(policy, dict.fromkeys(NAMES, "ipv4"), ids, up, "ipv4")
    assert node.call("shares", "of", mode.value, given_rows, ids, sorted(up)) == expected


def test_a_preview_tells_what_comes_after_what(node: Node) -> None:
    rows = [{"interface": "lte", "metric": 2, "weight": 1}, {"interface": "wan", "metric": 1, "weight": 3},
            {"interface": "wanb", "metric": 1, "weight": 1}]  # fmt: skip
    assert node.call("shares", "tiers", "balanced", rows, {}) == [
        {"metric": 1, "shares": {"wan": 75, "wanb": 25}},
        {"metric": 2, "shares": {"lte": 100}},
    ]


@pytest.mark.parametrize(
    ("kind", "name", "good"),
    [("policy", "p1", True), ("policy", "default", False), ("rule", "default", True), ("member", "wan", False),
     ("interface", "a.b", False), ("interface", "", False), ("rule", "x" * 65, False)],
)  # fmt: skip
def test_names_of_new_sections(node: Node, kind: str, name: str, good: bool) -> None:
    assert (node.call("valid", "sectionName", kind, name, KNOWN["interfaces"]) is None) == good


def test_a_file_of_mwan3_is_recognised(node: Node) -> None:
    theirs = [{"track_ip": ["192.0.2.1"]}, {"use_policy": "balanced"}]
    assert node.call("valid", "speaksMwan3", theirs)
    assert not node.call("valid", "speaksMwan3", [*theirs, {"members": ["wan_m1"]}])
    assert not node.call("valid", "speaksMwan3", [{"metric": "1"}])
