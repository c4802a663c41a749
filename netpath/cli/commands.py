# SPDX-License-Identifier: GPL-2.0-or-later
"""The one table of commands: parser, help, completion and the test of the man page are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Argument:
    """One option or positional argument, as argparse takes it."""

    names: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    completes: str = ""
    """What a shell offers for it: "interface", "file", "command", "" for nothing beyond the choices."""


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    summary: str
    handler: str
    """MODULE:FUNCTION below `netpath.cli`; called with the Context, returns the exit code."""
    arguments: tuple[Argument, ...] = ()


GLOBAL = (
    Argument(
        ("--config",),
        "configuration (default: $NETPATH_CONFIG, else /etc/config/netpath, else /etc/netpath/config.toml)",
        {"metavar": "FILE"},
        "file",
    ),
    Argument(
        ("--socket",),
        "the tracker's socket (default: $NETPATH_SOCKET, else /var/run/netpath.sock)",
        {"metavar": "PATH"},
        "file",
    ),
    Argument(
        ("--state-dir",),
        "state directory (default: $NETPATH_STATE_DIR, else /var/run/netpath)",
        {"metavar": "DIR"},
        "file",
    ),
    Argument(("--json",), "answer in JSON", {"action": "store_true"}),
)

_INTERFACE = Argument(("interface",), "name of an interface in the configuration", {"metavar": "IFACE"}, "interface")
_SINCE = Argument(
    ("--since",), "only from then on: 90s, 10m, 2h, 1d ago, an epoch time, or a date", {"metavar": "TIME"}
)

COMMANDS = (
    Command(
        "run",
        "be the tracker, in the foreground",
        "service:run",
        (
            Argument(("--syslog",), "log to syslog too", {"action": "store_true"}),
            Argument(("--syslog-only",), "log to syslog, not to standard error", {"action": "store_true"}),
        ),
    ),
    Command("start", "start the tracker and wait until it answers", "service:start"),
    Command(
        "stop",
        "stop it and remove everything of NetPath from the kernel",
        "service:stop",
        (
            Argument(
                ("--keep",), "let the kernel go on steering as it does, for the next tracker", {"action": "store_true"}
            ),
        ),
    ),
    Command("restart", "start anew, with the standing state", "service:restart"),
    Command("reload", "read the configuration again; a bad one changes nothing", "service:reload"),
    Command("status", "interfaces, policies, connected networks and rules", "state:status"),
    Command("interfaces", "every interface with its targets and figures", "state:interfaces"),
    Command("policies", "every policy with its members and their shares", "state:policies"),
    Command("rules", "every rule with its hits", "state:rules"),
    Command("connected", "networks where rules do not apply", "state:connected"),
    Command("ifup", "let an interface take part again", "service:ifup", (_INTERFACE,)),
    Command("ifdown", "take an interface out until ifup or a stop", "service:ifdown", (_INTERFACE,)),
    Command(
        "internal",
        "dump for a bug report: versions, addresses, routes, rules, tables",
        "reports:internal",
        (Argument(("family",), "only this family", {"nargs": "?", "choices": ("ipv4", "ipv6")}),),
    ),
    Command(
        "use",
        "run a command whose whole traffic leaves by one interface",
        "use:use",
        (
            _INTERFACE,
            Argument(("command",), "the command and its arguments", {"metavar": "CMD", "nargs": "..."}, "command"),
        ),
    ),
    Command("watch", "live table of states, rates, latency and loss; q ends it", "watch:watch"),
    Command(
        "events",
        "what happened: transitions, switches, reloads",
        "figures:events",
        (
            Argument(("--follow", "-f"), "go on with each new event", {"action": "store_true"}),
            _SINCE,
            Argument(
                ("--after",),
                "only those with a higher number (seq in JSON); unlike a time, proof against a clock that jumps",
                {"metavar": "SEQ"},
            ),
        ),
    ),
    Command("metrics", "rates, counters, latency and loss now", "figures:metrics"),
    Command(
        "history",
        "rates, latency and loss over time",
        "figures:history",
        (
            Argument(("interface",), "every sample of this interface", {"metavar": "IFACE", "nargs": "?"}, "interface"),
            _SINCE,
            Argument(("--coarse",), "a day by the minute, not minutes by the second", {"action": "store_true"}),
        ),
    ),
    Command(
        "check",
        "all errors and warnings of a configuration",
        "reports:check",
        (Argument(("file",), "another file than the configured one", {"metavar": "FILE", "nargs": "?"}, "file"),),
    ),
    Command("diag", "what is wrong with gateways, tracking, routes and rules, and what to do", "reports:diag"),
    Command(
        "explain",
        "which rule, policy and interface a packet gets, and why",
        "reports:explain",
        (
            Argument(("source",), "source address", {"metavar": "SRC", "nargs": "?"}),
            Argument(("destination",), "destination address", {"metavar": "DST", "nargs": "?"}),
            Argument(("protocol",), "protocol, default tcp", {"metavar": "PROTO", "nargs": "?"}),
            Argument(("port",), "destination port, default 0", {"metavar": "DPORT", "nargs": "?"}),
            Argument(("--src",), "source address", {"metavar": "ADDR"}),
            Argument(("--dst",), "destination address", {"metavar": "ADDR"}),
            Argument(("--proto",), "protocol by name or number, default tcp", {"metavar": "PROTO"}),
            Argument(("--sport",), "source port, default 0", {"metavar": "PORT"}),
            Argument(("--dport",), "destination port, default 0", {"metavar": "PORT"}),
            Argument(("--iface",), "device that the packet comes in by", {"metavar": "DEV"}),
            Argument(("--mac",), "source MAC address", {"metavar": "MAC"}),
            Argument(("--dscp",), "DSCP code point, default 0", {"metavar": "N"}),
        ),
    ),
    Command(
        "import",
        "turn another manager's configuration into NetPath's own form",
        "files:import_mwan3",
        (
            Argument(("format",), "whose configuration it is", {"choices": ("mwan3",)}),
            Argument(
                ("file",),
                "default /etc/config/mwan3",
                {"metavar": "FILE", "nargs": "?", "default": "/etc/config/mwan3"},
                "file",
            ),
            Argument(("--output", "-o"), "write here, not to standard output", {"metavar": "FILE"}, "file"),
            Argument(("--force",), "overwrite an existing file", {"action": "store_true"}),
        ),
    ),
    Command(
        "monitor",
        "gather, broadcast and export traffic figures, in the foreground; or `status`: how that is going",
        "monitor:monitor",
        (
            Argument(
                ("action",),
                "run (default): be the monitor; status: its sources, clients and exporters",
                {"nargs": "?", "choices": ("run", "status"), "default": "run"},
            ),
            Argument(("--clash-url", "-c"), "a Clash source: ws://HOST:PORT/connections?token=...", {"metavar": "URL"}),
            Argument(("--listen-port", "-p"), "port of the UDP server, default 17890", {"metavar": "PORT"}),
            Argument(("--luci-url", "-l"), "an OpenWrt source: http://HOST/cgi-bin/luci", {"metavar": "URL"}),
            Argument(("--luci-username", "-u"), "user name there, default root", {"metavar": "NAME"}),
            Argument(("--luci-password", "-P"), "password there; better LUCI_PASSWORD", {"metavar": "PASSWORD"}),
            Argument(("--syslog",), "log to syslog too", {"action": "store_true"}),
            Argument(("--syslog-only",), "log to syslog, not to standard error", {"action": "store_true"}),
        ),
    ),
    Command(
        "bond",
        "one encrypted tunnel over several uplinks: be one end of it, see how it does, make keys",
        "bond:bond",
        (
            Argument(
                ("action",),
                "client, server: be that end, in the foreground; status: paths and figures; clean: remove what "
                "killed ones have left; genkey, genpsk: a new key; "
                "pubkey: the public key of the private one on standard input; invite: text for both ends of a new "
                "client, at the server",
                {"choices": ("client", "server", "status", "clean", "genkey", "pubkey", "genpsk", "invite")},
            ),
            Argument(
                ("name",),
                "the bond; for genkey: keep the key where this bond reads it; for invite: the new client's name",
                {"metavar": "NAME", "nargs": "?"},
            ),
            Argument(("--output", "-o"), "genkey, genpsk: keep the key in this new file", {"metavar": "FILE"}, "file"),
            Argument(("--bond",), "invite: of which server, where there are several", {"metavar": "BOND"}),
            Argument(("--server",), "invite: where clients find it", {"metavar": "HOST[:PORT]"}),
            Argument(("--public-key",), "invite: of a client that made its key itself", {"metavar": "KEY"}),
            Argument(
                ("--wait",),
                "client, server: wait for a reload where the configuration is of no use",
                {"action": "store_true"},
            ),
            Argument(("--syslog",), "log to syslog too", {"action": "store_true"}),
            Argument(("--syslog-only",), "log to syslog, not to standard error", {"action": "store_true"}),
        ),
    ),
    Command("version", "versions of NetPath and what it runs on", "reports:version"),
    Command(
        "completion",
        "print the completion script of a shell",
        "files:completion",
        (Argument(("shell",), "the shell", {"choices": ("bash",)}),),
    ),
)


def command(name: str) -> Command:
    """The command of that name. Raises KeyError."""
    for each in COMMANDS:
        if each.name == name:
            return each
    raise KeyError(name)
