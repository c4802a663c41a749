# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections bond, bond_link and bond_peer, and ChainLightning's config.toml: what they come to, what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from netpath.bonding import BondClient, Bonding, BondMode, BondServer, Correction, Fec, LinkSpec
from netpath.config import load, loads
from netpath.config.bond import LoadedBonds, load_bonds, loads_bonds, own_key
from netpath.config.kinds_bond import parse_key, parse_rate, parse_server
from netpath.config.loading import sections_of
from netpath.config.masked import masked
from netpath.config.schema_bond import BOND, BOND_SECTIONS
from netpath.config.values import BadValueError
from netpath.model import RangeSpec
from netpath.paths import locate
from netpath.worker.reports import check


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


OWN, FAR, OTHER, SHARED = (bytes([first, *range(100, 131)]) for first in (0, 0xFF, 7, 9))
CLIENT = f"""\
config bond 'home'
	option role 'client'
	list server 'vps.example.com'
	option private_key '{text_of(OWN)}'
	option server_key '{text_of(FAR)}'
"""
SERVER = f"""\
config bond 'far'
	option role 'server'
	option device 'tun-far'
	option private_key '{text_of(FAR)}'
"""
PEER = f"""\
config bond_peer 'cabin'
	option public_key '{text_of(OWN)}'
	option addresses '10.99.0.2'
"""
SEED = """\
[general]
server_ip = "203.0.113.7"      # Your VPS public IP
tun_name = "tun-bond"
tun_local_ip = "10.99.0.2"      # Client TUN IP
tun_remote_ip = "10.99.0.1"     # Server TUN IP
tun_netmask = "255.255.255.0"
KEYS
[links]
source_ips = [
    "192.0.2.1",   # IP of your first WAN interface
    "192.0.2.2",   # IP of your second WAN interface
    "192.0.2.3",   # IP of your third WAN interface
    # Add more WAN IPs as needed
]
start_port = 9001
links_per_wan = 2  # 2 UDP streams per physical WAN

[performance]
fec_group_size = 10          # Packets per FEC group
fec_repair_packets = 3       # Redundancy packets per group
heartbeat_interval_ms = 100  # Link health check interval
rtt_weight = 0.7            # Weight for latency in scoring
loss_weight = 0.3           # Weight for packet loss in scoring
"""
CLIENT_KEYS = f'private_key = "{text_of(OWN)}"\nserver_key = "{text_of(FAR)}"\n'
SERVER_KEYS = f'private_key = "{text_of(FAR)}"\nclients = ["{text_of(OWN)}", "{text_of(OTHER)}"]\n'


def good(loaded: LoadedBonds) -> Bonding:
    assert loaded.bonding is not None, [str(p) for p in loaded.problems]
    return loaded.bonding


def client_of(text: str) -> BondClient:
    (client,) = good(loads_bonds(text)).clients
    return client


def server_of(text: str) -> BondServer:
    (server,) = good(loads_bonds(text)).servers
    return server


def test_a_client_with_every_default() -> None:
    client = client_of(CLIENT)
    assert (client.name, client.device, client.servers, client.ports) == (
        "home",
        "tun-bond",
        (("vps.example.com", 9001),),
        5,
    )
    assert (client.private_key, client.server_key, client.preshared_key) == (OWN, FAR, None)
    assert (client.automatic, client.links, client.addresses, client.mtu) == (True, (), (), None)
    assert client.heartbeat == 0.1
    transport = client.transport
    assert (transport.mode, transport.correction) == (BondMode.AGGREGATE, Correction(Fec.ADAPTIVE, 10, 3))
    assert (transport.rtt_weight, transport.loss_weight, transport.obfuscate, transport.ciphers) == (
        0.7,
        0.3,
        False,
        (),
    )


def test_servers_with_ports_of_their_own() -> None:
    more = CLIENT + "\toption port '7000'\n\tlist server '192.0.2.1:80 [2001:db8::1]:443 2001:db8::2'\n"
    assert client_of(more).servers == (
        ("vps.example.com", 7000),
        ("192.0.2.1", 80),
        ("2001:db8::1", 443),
        ("2001:db8::2", 7000),
    )


def test_links_and_their_inheritance() -> None:
    links = """\
config bond_link 'dsl'
	option interface 'wan'
	option cap '50mbit'
config bond_link 'cable'
	option bond 'home'
	option source '192.0.2.7'
	option streams '4'
config bond_link 'spare'
	option interface 'lte'
	option enabled '0'
"""
    client = client_of(CLIENT + "\toption streams '2'\n" + links)
    assert client.links == (
        LinkSpec("dsl", "wan", None, 2, 6_250_000.0),
        LinkSpec("cable", None, "192.0.2.7", 4, None),
    )
    assert not client.automatic
    assert client_of(CLIENT + "\toption automatic '1'\n" + links).automatic


def test_a_server_and_its_client() -> None:
    server = server_of(SERVER + PEER + "\tlist networks '192.168.7.1/24'\n\toption rate '6MB/s'\n")
    assert (server.addresses, server.port, server.ports, server.inner) == ((), 9001, 5, ("10.99.0.1/24",))
    assert (server.masquerade, server.forward, server.table, server.max_clients) == (True, True, "netpath_bond_far", 64)
    (peer,) = server.clients
    assert (peer.name, peer.public_key, peer.addresses) == ("cabin", OWN, ("10.99.0.2/24",))
    assert (peer.networks, peer.streams, peer.rate) == (("192.168.7.0/24",), 16, 6e6)


RULE = """\
config bond_rule 'calls'
	option mode 'redundant'
	list proto 'udp'
	list dest_port '3478-3481 5060'
	list dscp 'EF'
"""


def test_rules_of_both_ends() -> None:
    more = """
config bond_rule 'games'
	option bond 'home'
	option mode 'low_latency'
	option dest_ip '203.0.113.0/24'
config bond_rule 'back'
	option peer 'cabin'
	option mode 'redundant'
	option copies '3'
config bond_rule 'never'
	option enabled '0'
	option mode 'aggregate'
"""
    text = CLIENT + "\toption copies '4'\n" + SERVER + PEER + RULE + more
    bonding = good(loads_bonds(text))
    calls, games = bonding.clients[0].rules
    assert (calls.name, calls.mode, calls.copies, calls.proto) == ("calls", BondMode.REDUNDANT, 4, udp)
    assert (calls.dest_port.any_of, calls.dscp.any_of) == (((3478, 3481), (5060, 5060)), ((46, 46),))
    assert (games.name, games.mode, games.dest_ip.any_of[0].family) == ("games", BondMode.LOW_LATENCY, "ipv4")
    calls, back = bonding.servers[0].rules
    assert (calls.copies, back.name, back.peers, back.copies) == (2, "back", ("cabin",), 3)
    assert client_of(CLIENT).rules == ()
    chosen = loads_bonds(text, name="home")
    assert chosen.problems == (), "peers of other bonds are known"
    assert good(chosen).clients == bonding.clients


udp = RangeSpec(((17, 17),))


@pytest.mark.parametrize(
    ("text", "option", "fragment"),
    [
        (RULE.replace("'redundant'", "'twice'"), "mode", "twice"),
        (RULE.replace("\toption mode 'redundant'\n", ""), None, "mode is missing"),
        (RULE.replace("udp", "icmp"), "dest_port", "ports need a protocol"),
        (RULE + "\toption bond 'hom'\n", "bond", "did you mean home?"),
        (RULE + "\toption peer 'cabn'\n", "peer", "there is no bond_peer cabn"),
        (RULE + "\toption src_ip '192.0.2.1'\n\toption dest_ip '2001:db8::1'\n", "dest_ip", "different families"),
        (RULE.replace("redundant", "aggregate") + "\toption copies '3'\n", "copies", "no effect with mode aggregate"),
    ],
)
def test_wrong_rules(text: str, option: str | None, fragment: str) -> None:
    (problem,) = loads_bonds(CLIENT + text).problems
    assert (problem.option, fragment in str(problem)) == (option, True), str(problem)


def test_who_masquerades() -> None:
    assert client_of(CLIENT).table is None
    assert client_of(CLIENT + "\toption masquerade '1'\n").table == "netpath_bond_home"
    assert client_of(CLIENT + "\toption masquerade '1'\n\toption nft_table 'mine'\n").table == "mine"
    assert not server_of(SERVER + "\toption masquerade '0'\n").masquerade


def test_addresses_of_a_peer_get_the_length_of_the_servers_network() -> None:
    inner = "\tlist address '10.9.0.1/16'\n\tlist address '2001:db8::1/64'\n"
    peer = PEER.replace("'10.99.0.2'", "'10.9.3.4 2001:db8::7 192.0.2.1 10.9.0.8/32'")
    (found,) = server_of(SERVER + inner + peer).clients
    assert found.addresses == ("10.9.3.4/16", "2001:db8::7/64", "192.0.2.1/32", "10.9.0.8/32")


def test_both_forms_say_the_same() -> None:
    toml = f"""
[bonds.home]
role = "client"
server = ["vps.example.com", "[2001:db8::1]:443"]
private_key = "{text_of(OWN)}"
server_key = "{text_of(FAR)}"
heartbeat = 0.2
mode = "redundant"
fec_repairs = 0
[bond_links.dsl]
interface = "wan"
[bonds.far]
role = "server"
device = "tun-far"
private_key = "{text_of(FAR)}"
[bond_peers.cabin]
public_key = "{text_of(OWN)}"
addresses = ["10.99.0.2"]
"""
    uci = (
        CLIENT
        + "\tlist server '[2001:db8::1]:443'\n\toption heartbeat '200ms'\n\toption mode 'redundant'\n"
        + "\toption fec_repairs '0'\nconfig bond_link 'dsl'\n\toption interface 'wan'\n"
    )
    bonding = good(loads_bonds(toml, format="toml"))
    assert bonding == good(loads_bonds(uci + SERVER + PEER))
    assert bonding.clients[0].transport.correction.mode is Fec.OFF


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [
        (CLIENT.replace(text_of(FAR), text_of(FAR)[:-4]), "server_key", "40 characters instead of 44"),
        (CLIENT.replace(text_of(OWN), text_of(OWN)[:-2] + "B="), "private_key", "no base64"),
        (CLIENT.replace("vps.example.com", "<YOUR_SERVER_IP>"), "server", "neither a host name nor an address"),
        (CLIENT.replace("vps.example.com", "vps.example.com:99999"), "server", "out of range"),
        (CLIENT.replace("\tlist server 'vps.example.com'\n", ""), None, "server is missing"),
        (CLIENT.replace(f"\toption server_key '{text_of(FAR)}'\n", ""), None, "server_key is missing"),
        (CLIENT.replace("'client'", "'middle'"), "role", "not one of the known values"),
        (CLIENT + "\toption port '65534'\n", "port", "above 65535"),
        (CLIENT + "\toption private_key_file '/nowhere/home.key'\n", "private_key_file", "there is private_key too"),
        (
            CLIENT + "\toption preshared_key_file '/nowhere/psk'\n",
            "preshared_key_file",
            "there is no file /nowhere/psk",
        ),
        (CLIENT + "\toption automatic '0'\n", "automatic", "no link at all"),
        (CLIENT + "\toption rtt_weight '1.5'\n", "rtt_weight", "not a weight"),
        (CLIENT + "\toption address '10.99.0.2'\n", "address", "has no length"),
        (CLIENT + "\toption address '2001:db8::1/64'\n\toption mtu '1200'\n", "mtu", "IPv6 needs at least 1280"),
        (CLIENT + "config bond_link 'x'\n", None, "neither interface nor source"),
        (CLIENT + "config bond_link 'x'\n\toption interface 'a'\n\toption source '192.0.2.1'\n", "source", "too"),
        (CLIENT + "config bond_link 'x'\n\toption interface 'tun-bond'\n", "interface", "the bond itself"),
        (CLIENT + "config bond_link 'x'\n\toption bond 'hom'\n\toption interface 'a'\n", "bond", "no bond hom"),
        (CLIENT + "config bond_link 'x'\n\toption interface 'a'\n\toption cap '50'\n", "cap", "not a rate"),
        (
            CLIENT + "config bond_link 'x'\n\toption interface 'a'\nconfig bond_link 'y'\n\toption interface 'a'\n",
            "interface",
            "such a link already",
        ),
        (CLIENT + PEER, None, "there are 0 bonds of role server"),
        (CLIENT + PEER + "\toption bond 'home'\n", "bond", "home is not of role server"),
        (CLIENT + SERVER.replace("tun-far", "tun-bond"), "device", "bond home has the device tun-bond too"),
        (SERVER + PEER + PEER.replace("cabin", "hut"), "public_key", "cabin has this key too"),
        (SERVER + PEER.replace("10.99.0.2", "10.99.0.1"), "addresses", "belongs to the server itself"),
        (SERVER + PEER.replace("10.99.0.2", "224.0.0.1"), "addresses", "no machine can have"),
        (SERVER + SERVER.replace("far", "near"), "port", "listens on some of its ports too"),
        (
            SERVER + SERVER.replace("'far'", "'n'").replace("tun-far", "x") + "\toption nft_table 'netpath_bond_far'\n",
            "nft_table",
            "has the table netpath_bond_far too",
        ),
        (
            SERVER
            + PEER
            + PEER.replace("cabin", "hut").replace(text_of(OWN), text_of(OTHER)).replace("0.2'", "0.3'")
            + "\tlist networks '10.1.0.0/16'\nconfig bond_peer 'inn'\n\toption addresses '10.99.0.9'\n"
            + f"\toption public_key '{text_of(SHARED)}'\n\toption networks '10.1.2.3/16'\n",
            "networks",
            "belongs to hut",
        ),
        ("config bond\n\toption role 'client'\n", None, "has no name"),
    ],
)
def test_what_is_refused(text: str, place: str | None, fragment: str) -> None:
    loaded = loads_bonds(text)
    assert loaded.bonding is None
    found = [p for p in loaded.problems if p.option == place and fragment in p.message]
    assert found, [str(p) for p in loaded.problems]
    assert found[0].fix


def test_options_of_the_other_role_are_said_to_do_nothing() -> None:
    loaded = loads_bonds(CLIENT + "\toption forward '1'\n" + SERVER + "\toption server_key 'x'\n")
    assert {(p.option, p.severity) for p in loaded.problems if "has no effect with role" in p.message} == {
        ("forward", "warning"),
        ("server_key", "warning"),
    }
    assert good(loads_bonds(CLIENT + "\toption max_clients '3'\n")).clients


def test_a_bond_is_judged_by_itself() -> None:
    broken = CLIENT + SERVER.replace(text_of(FAR), "short") + PEER + "\toption bond 'far'\n\toption rate 'fast'\n"
    assert loads_bonds(broken).bonding is None
    alone = loads_bonds(broken, name="home")
    assert alone.problems == ()
    assert [client.name for client in good(alone).clients] == ["home"]
    wrong = loads_bonds(broken, name="hoem")
    assert "there is no bond hoem" in str(wrong.problems[0])
    assert "did you mean home?" in wrong.problems[0].fix


def test_a_link_without_a_bond_needs_just_one() -> None:
    two = CLIENT + CLIENT.replace("'home'", "'den'") + "\toption device 'tun-den'\n"
    loaded = loads_bonds(two + "config bond_link 'x'\n\toption interface 'wan'\n", name="home")
    assert [p.message for p in loaded.problems] == [
        "there are 2 bonds of role client, and nothing says which one it belongs to"
    ]


def test_what_is_switched_off_needs_no_key_yet() -> None:
    text = "config bond 'home'\n\toption role 'client'\n\toption enabled '0'\n"
    assert (good(loads_bonds(text)), loads_bonds(text).problems) == (Bonding((), (), "notice"), ())
    assert loads_bonds(text.replace("'0'", "'1'")).bonding is None


def test_keys_in_files(tmp_path: Path) -> None:
    text = CLIENT.replace(f"\toption private_key '{text_of(OWN)}'\n", "")
    psk = tmp_path / "psk"
    more = text + f"\toption preshared_key_file '{psk}'\n"
    missing = loads_bonds(text, keys=tmp_path)
    assert f"no file {tmp_path}/home.key" in missing.problems[0].message
    for path, key in ((tmp_path / "home.key", OWN), (psk, SHARED)):
        path.write_text(text_of(key) + "\n")
        path.chmod(0o600)
    (client,) = good(loads_bonds(more, keys=tmp_path)).clients
    assert (client.private_key, client.preshared_key) == (OWN, SHARED)
    psk.chmod(0o644)
    assert [(p.option, p.severity) for p in loads_bonds(more, keys=tmp_path).problems] == [
        ("preshared_key_file", "warning")
    ]
    psk.write_text("secret")
    found = loads_bonds(more, keys=tmp_path)
    assert found.bonding is None
    assert f"{psk}: not a whole key" in found.problems[0].message


def test_a_bonds_own_key_is_found_whatever_else_is_wrong(tmp_path: Path) -> None:
    config, named = tmp_path / "c", tmp_path / "named.key"
    assert own_key(config, "home", tmp_path) == own_key(config, "home", tmp_path)
    assert (own_key(config, "home", tmp_path).key, own_key(config, "home", tmp_path).file) == (
        None,
        tmp_path / "home.key",
    )
    config.write_text(CLIENT + "\toption mode 'x'\n")
    assert (own_key(config, "home", tmp_path).key, own_key(config, "home", tmp_path).file) == (OWN, None)
    config.write_text(CLIENT.replace("private_key '", "private_key 'x"))
    assert own_key(config, "home", tmp_path).problems
    config.write_text(f"config bond 'home'\n\toption private_key_file '{named}'\n")
    assert own_key(config, "home", tmp_path).file == named


# -- secrets ------------------------------------------------------------------------------------------------------


def test_no_key_is_quoted_in_a_problem_shown_or_in_a_repr() -> None:
    secrets = [text_of(OWN), text_of(SHARED)]
    text = CLIENT + f"\toption preshared_key '{text_of(SHARED)}'\n"
    for option in ("private_key", "preshared_key"):
        for tail in ("x'", " x'", "\n"):
            changed = text.replace(f"{option} '", f"{option}y '", 1)
            broken = changed + text.replace("'home'", "'b'").replace(f"{secrets[0]}'", f"{secrets[0]}{tail}")
            said = "\n".join(str(p) for p in loads_bonds(broken).problems)
            assert not any(secret[:20] in said for secret in secrets), said
    wrong_place = loads_bonds(CLIENT.replace(text_of(FAR), text_of(OWN)[:-1]))
    assert text_of(OWN)[:20] not in str(wrong_place.problems[0])
    seed = SEED.replace("KEYS", CLIENT_KEYS.replace(text_of(OWN), text_of(OWN)[1:]))
    said = "\n".join(str(p) for p in loads_bonds(seed, format="toml").problems)
    assert "private_key" in said
    assert text_of(OWN)[1:20] not in said
    shown = json.dumps(masked(sections_of(text, "f", "uci")[0]))
    assert not any(secret in shown for secret in secrets)
    assert text_of(FAR) in shown
    client = client_of(text)
    assert client.private_key == OWN
    assert repr(OWN)[2:20] not in repr(client)
    assert repr(SHARED)[2:20] not in repr(client)


@pytest.mark.parametrize("name", ["netpath", "config.toml"])
def test_a_file_with_keys_is_nobody_elses(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    inside = SEED.replace("KEYS", CLIENT_KEYS) if name.endswith(".toml") else CLIENT
    for text, warned in ((inside, True), (inside.replace("private_key", "private_key_file"), False)):
        path.write_text(text)
        for mode in (0o644, 0o600):
            path.chmod(mode)
            found = [p for p in load_bonds(path, role="client").problems if "others may read it" in p.message]
            assert [p.fix for p in found] == ([f"chmod 600 {path}"] if warned and mode == 0o644 else [])


def test_the_secret_options_are_the_private_and_the_shared_keys() -> None:
    secret = {o.name for kind in BOND_SECTIONS.values() for o in kind.options if o.secret}
    assert secret == {"private_key", "preshared_key"}


# -- beside the tracker --------------------------------------------------------------------------------------------


def test_a_bad_bond_never_stops_steering(tmp_path: Path) -> None:
    steering = "config interface 'wan'\n\toption ifname 'eth0'\n\toption track_method 'none'\n"
    path = tmp_path / "netpath"
    path.touch(0o600)
    path.write_text(steering + CLIENT.replace(text_of(FAR), "short"))
    assert load(path).config is not None
    assert load(path).problems == ()
    assert load_bonds(path).bonding is None
    told = check(locate({"NETPATH_CONFIG": str(path), "NETPATH_STATE_DIR": str(tmp_path)}, {}), {})
    assert [p["option"] for p in told["problems"] if p["severity"] == "error"] == ["server_key"]
    path.write_text(steering.replace("'wan'", "'w a n'") + CLIENT)
    assert load(path).config is None
    assert good(load_bonds(path)).clients


def test_the_mark_is_the_trackers() -> None:
    assert loads_bonds(CLIENT).mark_mask == 0x3F00
    assert loads_bonds("config globals\n\toption mark_mask '0xff0000'\n" + CLIENT).mark_mask == 0xFF0000
    assert loads_bonds("config globals\n\toption mark_mask 'x'\n" + CLIENT).mark_mask == 0x3F00


def test_choices_are_those_of_the_model() -> None:
    assert BOND.by_name["mode"].choices == tuple(BondMode)
    assert BOND.by_name["fec"].choices == tuple(Fec)


# -- ChainLightning's file ---------------------------------------------------------------------------------------


def test_the_seeds_file_at_the_client() -> None:
    loaded = loads_bonds(SEED.replace("KEYS", CLIENT_KEYS), "config.toml", "toml", role="client")
    assert loaded.problems == ()
    (client,) = good(loaded).clients
    assert (client.name, client.device, client.servers) == ("bond", "tun-bond", (("203.0.113.7", 9001),))
    assert (client.private_key, client.server_key) == (OWN, FAR)
    assert client.links == tuple(LinkSpec(f"wan{n}", None, f"192.0.2.{n}", 2, None) for n in (1, 2, 3))
    assert (client.automatic, client.addresses, client.heartbeat) == (False, ("10.99.0.2/24",), 0.1)
    assert client.transport.correction == Correction(Fec.FIXED, 10, 3)
    assert (client.transport.rtt_weight, client.transport.loss_weight) == (0.7, 0.3)


def test_the_seeds_file_at_the_server() -> None:
    loaded = loads_bonds(SEED.replace("KEYS", SERVER_KEYS), "config.toml", "toml", role="server")
    assert loaded.problems == ()
    (server,) = good(loaded).servers
    assert (server.device, server.port, server.ports, server.inner) == ("tun-bond", 9001, 5, ("10.99.0.1/24",))
    assert [(p.public_key, p.addresses) for p in server.clients] == [
        (OWN, ("10.99.0.2/24",)),
        (OTHER, ("10.99.0.3/24",)),
    ]
    assert server.transport.correction == Correction(Fec.FIXED, 10, 3)


def test_one_file_of_the_seed_serves_both_ends() -> None:
    both = SEED.replace("KEYS", CLIENT_KEYS + f'clients = ["{text_of(OWN)}"]\n')
    assert loads_bonds(both, format="toml", role="client").problems == ()
    assert loads_bonds(both, format="toml", role="server").problems == ()
    assert good(loads_bonds(both, format="toml")).servers


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("start_port = 9001", "start_port = 7000", lambda c: c.servers == (("203.0.113.7", 7000),)),
        ("links_per_wan = 2", "links_per_wan = 5", lambda c: {link.streams for link in c.links} == {5}),
        ('tun_name = "tun-bond"', 'tun_name = "tun9"', lambda c: c.device == "tun9"),
        ("255.255.255.0", "255.255.0.0", lambda c: c.addresses == ("10.99.0.2/16",)),
        ("fec_group_size = 10", "fec_group_size = 20", lambda c: c.transport.correction.group == 20),
        ("fec_repair_packets = 3", "fec_repair_packets = 5", lambda c: c.transport.correction.repairs == 5),
        ("fec_repair_packets = 3", "fec_repair_packets = 0", lambda c: c.transport.correction.mode is Fec.OFF),
        ("fec_repair_packets = 3", 'fec_repair_packets = 3\nfec = "adaptive"', lambda c: c.transport.correction.mode
            is Fec.ADAPTIVE),
        ("heartbeat_interval_ms = 100", "heartbeat_interval_ms = 250", lambda c: c.heartbeat == 0.25),
        ("rtt_weight = 0.7", "rtt_weight = 0.5", lambda c: c.transport.rtt_weight == 0.5),
        ("loss_weight = 0.3", "loss_weight = 1", lambda c: c.transport.loss_weight == 1),
        ("[performance]", '[performance]\nmode = "redundant"', lambda c: c.transport.mode is BondMode.REDUNDANT),
    ],
)  # fmt: skip
def test_every_key_of_the_seed_has_its_meaning(old: str, new: str, what: object) -> None:
    assert old in SEED
    text = SEED.replace("KEYS", CLIENT_KEYS).replace(old, new)
    loaded = loads_bonds(text, format="toml", role="client")
    assert loaded.problems == ()
    assert callable(what)
    assert what(good(loaded).clients[0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("203.0.113.7", "<YOUR_SERVER_IP>", "f:2: error: [general], option server_ip '<YOUR_SERVER_IP>': neither a"),
        ("192.0.2.2", "<YOUR_WAN2_IP>", "error: [links], option source_ips '<YOUR_WAN2_IP>': not an IP address"),
        ("heartbeat_interval_ms = 100", "heartbeat_interval_ms = 1", "option heartbeat_interval_ms '1ms': out of"),
        ("links_per_wan = 2", "links_per_wam = 2", "unknown key, ignored. Fix: did you mean links_per_wan?"),
        ("255.255.255.0", "255.0.255.0", "option tun_netmask: not a netmask"),
        ('"10.99.0.1"', '"10.98.0.1"', "option tun_remote_ip: not in the network of tun_local_ip, 10.99.0.0/24"),
        ('"10.99.0.1"', '"10.99.0.2"', "option tun_remote_ip: both ends have one address"),
        ('"10.99.0.2"', '"here"', "option tun_local_ip: not an IPv4 address"),
        ("server_key", "server_kye", "server_key is missing, which role client needs"),
        ("start_port = 9001", "start_port = {}", "option start_port: neither a text, a number"),
        ("[links]\n", "[links]\nsource_ips_ = 3\n", "unknown key"),
    ],
)
def test_what_is_wrong_in_the_seeds_file_is_said_in_its_words(old: str, new: str, said: str) -> None:
    text = SEED.replace("KEYS", CLIENT_KEYS).replace(old, new)
    problems = [str(p) for p in loads_bonds(text, "f", "toml", role="client").problems]
    assert any(said in problem for problem in problems), problems


def test_no_more_clients_than_addresses() -> None:
    text = SEED.replace("KEYS", SERVER_KEYS).replace("255.255.255.0", "255.255.255.252")
    problems = [str(p) for p in loads_bonds(text, "f", "toml", role="server").problems]
    assert any("no address for client 2" in problem for problem in problems), problems


def test_check_judges_the_seeds_file_as_a_bond(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    where = locate({"NETPATH_CONFIG": str(path), "NETPATH_STATE_DIR": str(tmp_path)}, {})
    path.touch(0o600)
    path.write_text(SEED.replace("KEYS", CLIENT_KEYS))
    assert check(where, {}) == {"problems": []}
    path.write_text(SEED.replace("KEYS", CLIENT_KEYS).replace("203.0.113.7", "<YOUR_SERVER_IP>"))
    assert [p["option"] for p in check(where, {"limit": 5})["problems"]] == ["server_ip"]
    assert loads(path.read_text(), format="toml").config is not None


# -- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rate"),
    [("50mbit", 6.25e6), ("50Mbit/s", 6.25e6), ("50 Mbps", 6.25e6), ("8kbit", 1000), ("1.5gbit", 187.5e6),
     ("6MB/s", 6e6), ("6Mbyte/s", 6e6), ("2000B/s", 2000), ("16000 bit/s", 2000), ("50Mb/s", 6.25e6)],
)  # fmt: skip
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["50", "50M", "", "fast", "-1mbit", "1bit", "9999gbit", "50mB", "5e3bit", "\u0665mbit"]
)
def test_no_rates(text: str) -> None:
    with pytest.raises(BadValueError):
        parse_rate(text)


def test_keys_are_exactly_32_bytes_of_base64() -> None:
    for key in (OWN, FAR, bytes(32), b"\xff" * 32):
        assert parse_key(text_of(key)) == key
    for bad in ("", "=" * 44, text_of(OWN)[:-1], text_of(OWN) + "=", text_of(bytes(31)), text_of(bytes(33)),
                text_of(OWN).replace("A", " "), text_of(OWN)[:-2] + "B="):  # fmt: skip
        with pytest.raises(BadValueError):
            parse_key(bad)


@pytest.mark.parametrize("text", ["a b", "vps:0", "vps:x", "[192.0.2.1]:9001", "[2001:db8::1", ":9001", "vps:", ""])
def test_no_servers(text: str) -> None:
    with pytest.raises(BadValueError):
        parse_server(text)
