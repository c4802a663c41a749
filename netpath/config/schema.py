# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option of a NetPath configuration, in one table: the readers, `netpath check`, docs/options.md and the web
interface's validation all come from it.
"""

from __future__ import annotations

from dataclasses import replace

from netpath.config import kinds
from netpath.config.option import Option, SectionKind, log_level
from netpath.config.schema_bond import BOND_SECTIONS
from netpath.config.schema_monitor import MONITOR_SECTIONS
from netpath.config.values import PROTOCOLS
from netpath.model import LastResort, Mode, Nat6, TrackMethod

_DAY = 86400.0
_COMMENT = Option("comment", kinds.IGNORED, None, "", "comment", ("description",), ignored="a note for people")
_YES_NO_ENABLED = "Whether NetPath uses this"

GLOBALS = SectionKind(
    "globals",
    "global",
    "Settings of the whole program.",
    (
        Option("enabled", kinds.BOOL, "1", "Whether NetPath does anything at all."),
        Option(
            "nft_table", kinds.NFT_TABLE, "netpath", "Name of the nftables table (family inet) that holds everything."
        ),
        Option(
            "mark_mask",
            kinds.MASK,
            "0x3F00",
            "Bits of packet and connection marks that NetPath may use: one run of at least 3. The default holds 60 "
            "interfaces, 8 bits hold 252.",
            "mmx_mask",
        ),
        Option(
            "rule_priority",
            kinds.WHOLE,
            "6000",
            "First of the 1000 ip rule priorities that NetPath uses.",
            low=1000,
            high=31000,
        ),
        Option(
            "rt_table_lookup",
            kinds.TABLES,
            None,
            "Routing tables, beside main, whose specific routes win over every rule. Numbers, or main, default, local.",
            "rt_table_lookup",
            default_note="main only",
        ),
        Option("logging", kinds.BOOL, "0", "Let rules with `logging` write to the kernel log.", "logging"),
        log_level("How much NetPath itself logs.", "loglevel"),
        Option(
            "dns_failover",
            kinds.BOOL,
            "1",
            "The router asks the servers in an uplink's `dns` by that uplink, and not at all while it is down.",
        ),
        Option(
            "dnsmasq_dir",
            kinds.DIRECTORY,
            "auto",
            "Where dnsmasq reads netpath.conf, made for rules with `domain`. auto: every conf-dir of OpenWrt's "
            "dnsmasq, else /etc/dnsmasq.d.",
        ),
        Option(
            "dnsmasq_restart",
            kinds.CHOICE,
            "auto",
            "How dnsmasq is restarted when netpath.conf has changed: systemd (`systemctl try-restart dnsmasq`), init "
            "(`/etc/init.d/dnsmasq restart`), auto (what is there), or none.",
            choices=("auto", "systemd", "init", "none"),
        ),
        Option(
            "rtmon_interval",
            kinds.IGNORED,
            None,
            "",
            "rtmon_interval",
            ignored="connected and static routes are always current, nothing has to poll for them",
        ),
        Option(
            "local_source",
            kinds.IGNORED,
            None,
            "",
            "local_source",
            ignored="the router's own packets get the address of the uplink they leave by",
        ),
        _COMMENT,
    ),
    single=True,
)

_TRACKING = (
    Option(
        "track_method",
        kinds.CHOICE,
        "ping",
        "How the uplink is probed. arping asks a neighbour: by ARP, with IPv6 by neighbour solicitation.",
        choices=tuple(method.value for method in TrackMethod),
        spellings={
            "nslookup": "dns",
            "nping-tcp": "tcp",
            "nping-udp": "ping",
            "nping-icmp": "ping",
            "nping-arp": "arping",
        },
        mwan3="track_method",
    ),
    Option(
        "track_targets",
        kinds.TARGETS,
        None,
        "What is probed: IP addresses; for httping also URLs and host names, for tcp also ADDRESS:PORT.",
        mwan3="track_ip",
        default_note="none: the uplink counts as online while its device is up",
    ),
    Option(
        "reliability",
        kinds.WHOLE,
        "1",
        "How many targets must answer for a round to succeed.",
        low=1,
        high=100,
        mwan3="reliability",
    ),
    Option(
        "count",
        kinds.WHOLE,
        "1",
        "Probes sent to each target in a round; one answer is enough.",
        low=1,
        high=100,
        mwan3="count",
    ),
    Option("size", kinds.WHOLE, "56", "Payload of a ping, in bytes.", low=0, high=65507, mwan3="size"),
    Option("max_ttl", kinds.WHOLE, "60", "Time to live (hop limit) of a ping.", low=1, high=255, mwan3="max_ttl"),
    Option(
        "timeout",
        kinds.DURATION,
        None,
        "How long an answer may take.",
        low=0.01,
        high=60,
        default_note="derived from the measured round-trip times",
        mwan3="timeout",
    ),
    Option(
        "interval",
        kinds.DURATION,
        "5s",
        "Time between rounds while all is well.",
        low=0.02,
        high=_DAY,
        mwan3="interval",
    ),
    Option(
        "failure_interval",
        kinds.DURATION,
        None,
        "Time between rounds once one has failed, until the uplink is offline.",
        low=0.02,
        high=_DAY,
        default_note="interval, but at most 100ms, with several targets 300ms, with keep_failure_interval 500ms",
        mwan3="failure_interval",
    ),
    Option(
        "recovery_interval",
        kinds.DURATION,
        None,
        "Time between rounds while the uplink comes back.",
        low=0.02,
        high=_DAY,
        default_note="interval, but at most 2s",
        mwan3="recovery_interval",
    ),
    Option(
        "keep_failure_interval",
        kinds.BOOL,
        "0",
        "Keep probing at failure_interval while the uplink is offline.",
        mwan3="keep_failure_interval",
    ),
    Option(
        "down", kinds.WHOLE, "3", "Failed rounds in a row until the uplink is offline.", low=1, high=1000, mwan3="down"
    ),
    Option(
        "up", kinds.WHOLE, "5", "Successful rounds in a row until it is online again.", low=1, high=1000, mwan3="up"
    ),
    Option("stable_time", kinds.DURATION, "0", "How long it must stay well before it is used again.", low=0, high=_DAY),
    Option(
        "check_quality", kinds.BOOL, "0", "Judge the uplink by latency, loss and jitter too.", mwan3="check_quality"
    ),
    Option(
        "failure_latency",
        kinds.NUMBER,
        "1000",
        "Latency above which a round fails.",
        unit="ms",
        low=1,
        high=60000,
        mwan3="failure_latency",
    ),
    Option(
        "recovery_latency",
        kinds.NUMBER,
        "500",
        "Latency that a recovering uplink must stay under.",
        unit="ms",
        low=1,
        high=60000,
        mwan3="recovery_latency",
    ),
    Option(
        "failure_loss",
        kinds.NUMBER,
        "40",
        "Loss above which a round fails.",
        unit="%",
        low=0,
        high=100,
        mwan3="failure_loss",
    ),
    Option(
        "recovery_loss",
        kinds.NUMBER,
        "10",
        "Loss that a recovering uplink must stay under.",
        unit="%",
        low=0,
        high=100,
        mwan3="recovery_loss",
    ),
    Option(
        "failure_jitter",
        kinds.NUMBER,
        None,
        "Jitter above which a round fails.",
        unit="ms",
        low=1,
        high=60000,
        default_note="not checked",
    ),
    Option(
        "recovery_jitter",
        kinds.NUMBER,
        None,
        "Jitter that a recovering uplink must stay under.",
        unit="ms",
        low=1,
        high=60000,
        default_note="not checked",
    ),
    Option(
        "httping_ssl", kinds.BOOL, "0", "httping asks by HTTPS where a target names no scheme.", mwan3="httping_ssl"
    ),
    Option("dns_query", kinds.HOSTNAME, "example.com", "Name that the dns method asks for.", mwan3=None),
    Option("tcp_port", kinds.WHOLE, "443", "Port of the tcp method where a target names none.", low=1, high=65535),
)
"""What TOML may also hold in [interfaces.NAME.track]."""

INTERFACE = SectionKind(
    "interface",
    "interfaces",
    "One uplink of one address family. Its name is that of the network interface in /etc/config/network.",
    (
        Option(
            "enabled",
            kinds.BOOL,
            "1",
            f"{_YES_NO_ENABLED} uplink.",
            "enabled",
            default_note="1; in a file with mwan3's option names 0, as mwan3 has it",
        ),
        Option(
            "ifname",
            kinds.DEVICE,
            None,
            "Kernel device.",
            aliases=("device",),
            default_note="the device of the network interface with this section's name",
        ),
        Option("family", kinds.CHOICE, "ipv4", "Address family.", "family", choices=("ipv4", "ipv6")),
        Option("gateway", kinds.ADDRESS, None, "Next hop.", default_note="that of the default route in the main table"),
        Option(
            "initial_state",
            kinds.CHOICE,
            "online",
            "State until the first probes have decided.",
            "initial_state",
            choices=("online", "offline"),
        ),
        Option(
            "flush_conntrack",
            kinds.EVENTS,
            "disconnected ifdown",
            "Events at which this uplink's tracked connections are deleted, so that they start again elsewhere. "
            "never: at none, always: at all.",
            "flush_conntrack",
            choices=(*kinds.CONNTRACK_EVENTS, "never", "always"),
        ),
        Option(
            "dns",
            kinds.RESOLVERS,
            None,
            "DNS servers of this uplink, as its provider names them; see `dns_failover`.",
            default_note="none",
        ),
        Option("metered", kinds.BOOL, "0", "Traffic there costs money: shown, and spared where there is a choice."),
        Option(
            "nat6",
            kinds.CHOICE,
            Nat6.OFF.value,
            "IPv6 packets of the LAN whose source is not of this uplink leave: off: as they are, masquerade: with the "
            "router's address, prefix: with the prefix exchanged one to one (NPTv6), and masqueraded where there is no "
            "room for that.",
            choices=tuple(way.value for way in Nat6),
        ),
        Option(
            "nat6_prefix",
            kinds.PREFIXES,
            None,
            "IPv6 prefixes that the provider routes to this router by this uplink.",
            low=16,
            high=128,
            default_note="those of the source-specific default routes by its device",
        ),
        Option(
            "nat6_from",
            kinds.PREFIXES,
            None,
            "Prefixes of the LAN that nat6 prefix maps one to one; all other sources are masqueraded.",
            low=16,
            high=128,
            default_note="/48 to /64 prefixes of the main table by devices that are no uplinks",
        ),
        *(replace(option, tracking=True) for option in _TRACKING),
        _COMMENT,
    ),
)

MEMBER = SectionKind(
    "member",
    "members",
    "An interface with the place it takes in policies.",
    (
        Option("interface", kinds.NAME, None, "The interface section it stands for.", "interface", required=True),
        Option(
            "metric",
            kinds.WHOLE,
            "1",
            "Members with the lowest metric that is online carry the traffic.",
            "metric",
            low=1,
            high=65535,
        ),
        Option("weight", kinds.WHOLE, "1", "Share among members of one metric.", "weight", low=1, high=1000),
        Option(
            "time",
            kinds.WINDOWS,
            None,
            "When it may be used, in the router's local time: 08:00-18:00, past midnight 22:00-06:00.",
            default_note="at any time",
        ),
        Option(
            "weekdays",
            kinds.WEEKDAYS,
            None,
            "Days on which it may be used, mon to sun and ranges like mon-fri. A time past midnight belongs to the day "
            "on which it begins.",
            default_note="every day",
        ),
        Option(
            "quota",
            kinds.SIZE,
            None,
            "Traffic of its interface's device in a month, both directions, after which it is not used until the next "
            "month. Bytes, with k, M, G, T or Ki, Mi, Gi, Ti.",
            low=1000,
            high=10**15,
            default_note="no limit",
        ),
        Option(
            "quota_reset",
            kinds.WHOLE,
            "1",
            "Day of the month on which the quota begins anew; the last one where a month has no such day.",
            low=1,
            high=31,
        ),
        _COMMENT,
    ),
)

POLICY = SectionKind(
    "policy",
    "policies",
    "Where traffic goes: members, and how it is spread over them.",
    (
        Option(
            "members",
            kinds.NAMES,
            None,
            "The member sections; in mode failover their order counts.",
            "use_member",
            default_note="none: every flow gets last_resort",
        ),
        Option(
            "mode",
            kinds.CHOICE,
            "balanced",
            "How new flows are spread over the members of the lowest metric.",
            choices=tuple(mode.value for mode in Mode),
            spellings={"round_robin": "round-robin", "roundrobin": "round-robin"},
        ),
        Option(
            "last_resort",
            kinds.CHOICE,
            "unreachable",
            "What new flows get while no member is online: an error, silence, or the main routing table.",
            "last_resort",
            choices=tuple(resort.value for resort in LastResort),
        ),
        _COMMENT,
    ),
)

RULE = SectionKind(
    "rule",
    "rules",
    "What traffic takes which policy. The first rule whose criteria all match decides, in file order.",
    (
        Option("enabled", kinds.BOOL, "1", f"{_YES_NO_ENABLED} rule."),
        Option(
            "family",
            kinds.CHOICE,
            "any",
            "Address family.",
            "family",
            choices=("any", "ipv4", "ipv6"),
            default_note="that of its addresses, else any",
        ),
        Option("proto", kinds.PROTOCOLS, "all", f"Protocols: all, numbers, or {', '.join(PROTOCOLS)}.", "proto"),
        Option(
            "src_ip",
            kinds.NETWORKS,
            None,
            "Source addresses: ADDRESS, ADDRESS/LENGTH or ADDRESS/MASK, where the mask may have gaps.",
            "src_ip",
            default_note="any",
        ),
        Option("src_port", kinds.PORTS, None, "Source ports; needs proto with ports.", "src_port", default_note="any"),
        Option(
            "src_iface",
            kinds.INGRESS,
            None,
            "Where the traffic comes in: devices or network interfaces.",
            "src_iface",
            default_note="any",
        ),
        Option("src_mac", kinds.MACS, None, "Hardware addresses of LAN hosts.", default_note="any"),
        Option("dest_ip", kinds.NETWORKS, None, "Destination addresses, like src_ip.", "dest_ip", default_note="any"),
        Option(
            "dest_port",
            kinds.PORTS,
            None,
            "Destination ports; needs proto with ports.",
            "dest_port",
            default_note="any",
        ),
        Option("dscp", kinds.DSCP, None, "DSCP values: 0 to 63 or names like CS1, AF41, EF.", default_note="any"),
        Option(
            "nft_set",
            kinds.SET_NAME,
            None,
            "Set that must hold the destination: NAME_4 and NAME_6 in NetPath's table, filled by dnsmasq or scripts.",
            "ipset",
            default_note="any",
        ),
        Option(
            "domain",
            kinds.DOMAINS,
            None,
            "Destinations by name: example.com is itself and all below it. The clients must ask this router's dnsmasq.",
            default_note="any",
        ),
        Option("sticky", kinds.BOOL, "0", "A client stays on the uplink it got.", "sticky"),
        Option(
            "timeout",
            kinds.WHOLE_SECONDS,
            "600",
            "How long a sticky client keeps its uplink after its last new connection.",
            "timeout",
            low=1,
            high=30 * _DAY,
        ),
        Option(
            "logging",
            kinds.BOOL,
            "0",
            "Log the first packet of each flow, at most 5 a second, if globals allow it.",
            "logging",
        ),
        Option(
            "policy",
            kinds.NAME,
            None,
            "A policy section, or default (main routing table), unreachable, blackhole.",
            "use_policy",
            required=True,
        ),
        Option("equalize", kinds.IGNORED, None, "", "equalize", ignored="balancing is part of the policy"),
        _COMMENT,
    ),
)

STEERING_SECTIONS = {kind.name: kind for kind in (GLOBALS, INTERFACE, MEMBER, POLICY, RULE)}
"""What the tracker reads."""
OTHER_SECTIONS = {**MONITOR_SECTIONS, **BOND_SECTIONS}
"""What other programs read, which judge it themselves."""
SECTIONS = {**STEERING_SECTIONS, **OTHER_SECTIONS}
SPECIAL_POLICIES = ("default", "unreachable", "blackhole")
TRACK_TABLE = {option.name.removeprefix("track_"): option.name for option in INTERFACE.options if option.tracking}
"""Keys of TOML's [interfaces.NAME.track] -> option."""
