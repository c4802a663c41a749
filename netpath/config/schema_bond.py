# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema's part that only the bond reads: sections `bond`, `bond_link`, `bond_peer` and `bond_rule`
(docs/bond.md).

As with the monitor's part, every load of the tracker's has it in memory and none uses it, so `netpath.bonding` is not
imported here.
"""

from __future__ import annotations

from netpath.config import kinds
from netpath.config import kinds_bond as own
from netpath.config import kinds_monitor as plain
from netpath.config.option import Option, SectionKind, log_level

ROLES = ("client", "server")
_MODES = ("aggregate", "low-latency", "redundant")
_MODE_SPELLINGS = {"low_latency": "low-latency", "lowlatency": "low-latency"}
MOST_STREAMS = 64
_OWN_BOND = "the only one of its role"

BOND = SectionKind(
    "bond",
    "bonds",
    "One end of a tunnel over several uplinks: `netpath bond client`, `netpath bond server` (docs/bond.md). The "
    "tracker does not read this.",
    (
        Option(
            "role",
            kinds.CHOICE,
            None,
            "client: the router with the uplinks; server: the far end, such as a VPS.",
            choices=ROLES,
            required=True,
        ),
        Option("enabled", kinds.BOOL, "1", "Whether it is started."),
        Option("device", kinds.DEVICE, "tun-bond", "The tunnel's network device."),
        Option(
            "server",
            own.SERVERS,
            None,
            "client: where the server is: names, addresses, each with `:PORT` where its port is not `port`; an IPv6 "
            "address with a port stands in brackets. Several are tried in turn.",
            default_note="**required** for client",
        ),
        Option("port", kinds.WHOLE, "9001", "UDP port; with `ports` above 1 the first of them.", low=1, high=65535),
        Option(
            "ports",
            kinds.WHOLE,
            "5",
            "How many ports in a row the server listens on; both ends alike. The streams of a link take one after the "
            "other.",
            low=1,
            high=MOST_STREAMS,
        ),
        Option(
            "private_key",
            own.KEY,
            None,
            "This end's private key, from `netpath bond genkey`. Shown nowhere.",
            default_note="`private_key_file`",
            secret=True,
        ),
        Option(
            "private_key_file",
            plain.FILE,
            None,
            "File with this end's private key.",
            default_note="`/etc/netpath/NAME.key`",
        ),
        Option(
            "server_key",
            own.KEY,
            None,
            "client: the server's public key, from `netpath bond pubkey` there.",
            default_note="**required** for client",
        ),
        Option(
            "preshared_key",
            own.KEY,
            None,
            "client: a further secret that both ends have (`netpath bond genpsk`): against who may break X25519 one "
            "day. Shown nowhere.",
            default_note="none",
            secret=True,
        ),
        Option("preshared_key_file", plain.FILE, None, "client: file with it.", default_note="none"),
        Option(
            "automatic",
            kinds.BOOL,
            None,
            "client: whether every interface of NetPath that is online is a link.",
            default_note="1 where it has no `bond_link`",
        ),
        Option(
            "streams",
            kinds.WHOLE,
            "1",
            "client: UDP streams of each link, for lines that slow down single streams.",
            low=1,
            high=16,
        ),
        Option(
            "address",
            own.INNER_ADDRESSES,
            None,
            "Inner addresses of this end.",
            default_note="client: those that the server gives; server: 10.99.0.1/24",
            aliases=("addresses",),
        ),
        Option(
            "mtu",
            kinds.WHOLE,
            None,
            "MTU of the device.",
            low=576,
            high=9000,
            default_note="what fits through all links",
        ),
        Option(
            "heartbeat",
            kinds.DURATION,
            "100ms",
            "Time between two signs of life on each path. Silence of 4.5 times that takes a path out.",
            low=0.02,
            high=10,
        ),
        Option(
            "mode",
            kinds.CHOICE,
            "aggregate",
            "aggregate: the speed of all links together; low-latency: each packet by the link that is quickest now; "
            "redundant: each packet by several links at once.",
            choices=_MODES,
            spellings=_MODE_SPELLINGS,
        ),
        Option("copies", kinds.WHOLE, "2", "redundant: by how many links each packet goes.", low=2, high=16),
        Option(
            "fec",
            kinds.CHOICE,
            "adaptive",
            "Forward error correction, which replaces lost packets without sending again. adaptive: as much as the "
            "measured loss needs, none where nothing is lost; fixed: always the same.",
            choices=("off", "fixed", "adaptive"),
            spellings={"0": "off", "no": "off", "false": "off"},
        ),
        Option("fec_group", kinds.WHOLE, "10", "Packets that are protected together.", low=1, high=64),
        Option(
            "fec_repairs",
            kinds.WHOLE,
            "3",
            "Repairs of each such group; with adaptive at most so many. 0 is `fec` off.",
            low=0,
            high=32,
        ),
        Option("rtt_weight", own.WEIGHT, "0.7", "How much a link's round trip counts in choosing among links."),
        Option("loss_weight", own.WEIGHT, "0.3", "How much its loss counts."),
        Option(
            "obfuscate",
            kinds.BOOL,
            "0",
            "Whether datagrams look like noise, so that filters do not know them; both ends alike.",
        ),
        Option(
            "cipher",
            plain.CHOICES,
            None,
            "Ciphers that may be used, the preferred one first.",
            choices=("aes-256-gcm", "chacha20-poly1305"),
            spellings={"aes": "aes-256-gcm", "chacha20": "chacha20-poly1305", "chacha": "chacha20-poly1305"},
            default_note="both, first what this processor does fast",
        ),
        Option("listen", plain.OWN_ADDRESSES, None, "server: where it listens.", default_note="everywhere"),
        Option(
            "masquerade",
            kinds.BOOL,
            None,
            "server: whether what clients send to the Internet gets the server's address; client: whether what the LAN "
            "sends by the bond gets the inner address, where no firewall does that (OpenWrt's can).",
            default_note="server: 1, client: 0",
        ),
        Option(
            "forward",
            kinds.BOOL,
            "1",
            "server: whether forwarding is switched on and let through for clients while the server runs.",
        ),
        Option(
            "nft_table",
            kinds.NFT_TABLE,
            None,
            "Name of its nftables table (family inet), which a server has, and a client with `masquerade`.",
            default_note="`netpath_bond_NAME`",
        ),
        Option("max_clients", kinds.WHOLE, "64", "server: clients at the same time.", low=1, high=1000),
        log_level("How much it logs."),
    ),
)

BOND_LINK = SectionKind(
    "bond_link",
    "bond_links",
    "An uplink of a bond's client. Without any, all interfaces of NetPath that are online are links.",
    (
        Option("bond", kinds.NAME, None, "The `bond` section it belongs to.", default_note=_OWN_BOND),
        Option("enabled", kinds.BOOL, "1", "Whether it is used."),
        Option(
            "interface",
            own.LINK,
            None,
            "An interface of NetPath, or a device.",
            default_note="`interface` or `source` is **required**",
        ),
        Option("source", kinds.ADDRESS, None, "A local address instead.", default_note="none"),
        Option(
            "streams",
            kinds.WHOLE,
            None,
            "UDP streams of this link.",
            low=1,
            high=16,
            default_note="as the bond has it",
        ),
        Option(
            "cap",
            own.RATE,
            None,
            "Never send more by it: bits like `50mbit`, or bytes like `6MB/s`.",
            default_note="what it turns out to carry",
        ),
    ),
)

BOND_PEER = SectionKind(
    "bond_peer",
    "bond_peers",
    "A client that a bond's server knows. `netpath bond invite NAME` writes both ends' sections.",
    (
        Option("bond", kinds.NAME, None, "The `bond` section it belongs to.", default_note=_OWN_BOND),
        Option("enabled", kinds.BOOL, "1", "Whether it is let in."),
        Option("public_key", own.KEY, None, "The client's public key, from `netpath bond pubkey`.", required=True),
        Option(
            "preshared_key",
            own.KEY,
            None,
            "The further secret that it has too. Shown nowhere.",
            default_note="none",
            secret=True,
        ),
        Option("preshared_key_file", plain.FILE, None, "File with it.", default_note="none"),
        Option(
            "addresses",
            own.INNER_ADDRESSES,
            None,
            "Its inner addresses: nobody else may send with them.",
            aliases=("address",),
            required=True,
        ),
        Option(
            "networks",
            own.BEHIND,
            None,
            "Networks behind it, such as its LAN, which the server reaches through it.",
            aliases=("network",),
            default_note="none",
        ),
        Option("streams", kinds.WHOLE, "16", "Paths at the same time, at most.", low=1, high=MOST_STREAMS),
        Option(
            "rate",
            own.RATE,
            None,
            "At most so much in each direction: bits like `50mbit`, or bytes like `6MB/s`.",
            default_note="no limit",
        ),
    ),
)

BOND_RULE = SectionKind(
    "bond_rule",
    "bond_rules",
    "Traffic that a bond sends another way than the rest, such as calls by several links at once. The first rule whose "
    "criteria all match decides, in file order, for what this end sends: a server's rules are for downloads, where the "
    "service is the source.",
    (
        Option("enabled", kinds.BOOL, "1", "Whether it is used."),
        Option("bond", kinds.NAMES, None, "The `bond` sections it is for.", default_note="all"),
        Option("peer", kinds.NAMES, None, "server: the clients (sections `bond_peer`) it is for.", default_note="all"),
        Option("proto", kinds.PROTOCOLS, "all", "Protocols, as in `rule`."),
        Option("src_ip", kinds.NETWORKS, None, "Source addresses, as in `rule`.", default_note="any"),
        Option("src_port", kinds.PORTS, None, "Source ports; needs proto with ports.", default_note="any"),
        Option("dest_ip", kinds.NETWORKS, None, "Destination addresses.", default_note="any"),
        Option("dest_port", kinds.PORTS, None, "Destination ports; needs proto with ports.", default_note="any"),
        Option("dscp", kinds.DSCP, None, "DSCP values: 0 to 63 or names like CS1, AF41, EF.", default_note="any"),
        Option(
            "mode",
            kinds.CHOICE,
            None,
            "How it goes, as `mode` of a bond: aggregate, low-latency or redundant.",
            choices=_MODES,
            spellings=_MODE_SPELLINGS,
            required=True,
        ),
        Option(
            "copies",
            kinds.WHOLE,
            None,
            "redundant: by how many links each packet goes.",
            low=2,
            high=16,
            default_note="as the bond has it",
        ),
    ),
)

BOND_SECTIONS = {kind.name: kind for kind in (BOND, BOND_LINK, BOND_PEER, BOND_RULE)}
