# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema's part that only the monitor reads: sections `monitor`, `source` and `notify` (docs/monitor.md).

Every load of the tracker's has it in memory, and none uses it. So it does not import `netpath.monitoring`, whose
dataclasses take 5 ms to be made.
"""

from __future__ import annotations

from netpath.config import kinds
from netpath.config import kinds_monitor as own
from netpath.config.option import Option, SectionKind, log_level

_DAY = 86400.0
_PRESETS = ("fast", "default", "slow", "infinite")
_SHAPES = ("json", "slack", "discord", "ntfy", "gotify")
_EVENTS = ("online", "disconnecting", "offline", "connecting", "disabled", "open", "closed")
_HIDDEN_URL = "Its `?token=...` is shown nowhere."

MONITOR = SectionKind(
    "monitor",
    "monitor",
    "`netpath monitor` (docs/monitor.md). The tracker does not read this.",
    (
        Option("enabled", kinds.BOOL, "0", "Whether the monitor does anything."),
        log_level("How much the monitor logs; info has the health of all parts once a minute."),
        Option(
            "listen_address",
            own.OWN_ADDRESSES,
            "::",
            "Where the UDP server listens; `::` is every address of both families.",
        ),
        Option("listen_port", kinds.WHOLE, "17890", "Port of the UDP server; 0: no server.", low=0, high=65535),
        Option(
            "clients",
            own.CLIENTS,
            "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1/128 fe80::/10 fc00::/7",
            "Who may register at the UDP server.",
        ),
        Option(
            "format",
            kinds.CHOICE,
            "combined",
            "combined: one datagram of 48 bytes (32 where nothing counts a WAN); pair: one of 32 bytes and one of 16.",
            choices=("combined", "pair"),
        ),
        Option("interval", kinds.DURATION, "1s", "Time between two datagrams to one client.", low=0.1, high=3600),
        Option("client_timeout", kinds.DURATION, "15s", "Silence after which a client is forgotten.", low=1, high=3600),
        Option("max_clients", kinds.WHOLE, "32", "Clients at most.", low=1, high=1024),
        Option(
            "wan",
            kinds.NAMES,
            None,
            "Sources whose sum is the WAN's traffic.",
            default_note="all of type openwrt; without one all of type local",
        ),
        Option(
            "local",
            kinds.BOOL,
            "1",
            "Whether this router's uplinks are a source, by the name local, without a section of their own.",
        ),
        Option(
            "retry",
            kinds.CHOICE,
            "infinite",
            "How sources that do not say it themselves are tried again after a failure.",
            choices=_PRESETS,
        ),
        Option(
            "metrics_address", own.OWN_ADDRESSES, "127.0.0.1 ::1", "Where `/metrics` for Prometheus is served, by HTTP."
        ),
        Option("metrics_port", kinds.WHOLE, "9919", "Its port; 0: not served.", low=0, high=65535),
        Option("mqtt_host", own.HOST, None, "MQTT broker.", default_note="none: nothing is published"),
        Option(
            "mqtt_port", kinds.WHOLE, None, "Its port.", low=1, high=65535, default_note="1883, with `mqtt_tls` 8883"
        ),
        Option("mqtt_username", own.TEXT, None, "User name there.", default_note="none"),
        Option("mqtt_password", own.TEXT, None, "Password there.", default_note="none", secret=True),
        Option("mqtt_tls", kinds.BOOL, "0", "Whether the connection to the broker is encrypted."),
        Option(
            "mqtt_ca",
            own.FILE,
            None,
            "File with the certificates that may have signed the broker's.",
            default_note="the system's",
        ),
        Option("mqtt_verify", kinds.BOOL, "1", "Whether the broker's certificate is checked."),
        Option("mqtt_topic", own.TOPIC, "netpath", "First part of every topic."),
        Option(
            "mqtt_discovery",
            own.TOPIC_OR_NONE,
            "homeassistant",
            "First part of the topics by which Home Assistant finds what is published; none: it is not told.",
        ),
        Option(
            "mqtt_interval",
            kinds.DURATION,
            "30s",
            "Time between two publications of figures; states and events go at once.",
            low=1,
            high=3600,
        ),
        Option(
            "clash_url",
            own.URL,
            None,
            f"Short for a source `clash` of type clash with this `url`. {_HIDDEN_URL}",
            choices=("ws", "wss"),
            default_note="none",
            secret=True,
        ),
        Option(
            "luci_url",
            own.URL,
            None,
            "Short for a source `luci` of type openwrt with this `url`.",
            choices=("http", "https"),
            default_note="none",
            secret=True,
        ),
        Option("luci_username", own.TEXT, "root", "User name of that source."),
        Option("luci_password", own.TEXT, None, "Password of that source.", default_note="none", secret=True),
    ),
    single=True,
)

SOURCE = SectionKind(
    "source",
    "sources",
    "Where the monitor has traffic figures from.",
    (
        Option(
            "type",
            kinds.CHOICE,
            None,
            "clash: Clash or mihomo, by WebSocket; openwrt: another router, by its ubus or LuCI; local: this router's "
            "uplinks, from the tracker.",
            choices=("clash", "openwrt", "local"),
            spellings={"mihomo": "clash", "luci": "openwrt"},
            required=True,
        ),
        Option("enabled", kinds.BOOL, "1", "Whether the monitor uses this source."),
        Option(
            "url",
            own.URL,
            None,
            "clash: `ws://HOST:PORT/connections`; openwrt: `http://HOST/`, or the address of its LuCI. Never shown "
            "with what follows a `?`.",
            choices=("ws", "wss", "http", "https"),
            default_note="**required** but for local",
            secret=True,
        ),
        Option("token", own.TEXT, None, "clash: its `secret`.", default_note="that of the address", secret=True),
        Option("username", own.TEXT, "root", "openwrt: user name there."),
        Option("password", own.TEXT, None, "openwrt: password there.", default_note="none", secret=True),
        Option(
            "interface",
            own.INTERFACES,
            None,
            "openwrt: interfaces or devices that are counted as its WAN; local: uplinks.",
            default_note="openwrt: those with a default route; local: all",
        ),
        Option("interval", kinds.DURATION, "1s", "Time between two readings.", low=0.2, high=3600),
        Option(
            "timeout",
            kinds.DURATION,
            "10s",
            "For each exchange; also the longest silence of a source that sends by itself.",
            low=0.5,
            high=300,
        ),
        Option("verify", kinds.BOOL, "1", "Whether the certificate of an https or wss address is checked."),
        Option(
            "retry",
            kinds.CHOICE,
            None,
            "How it is tried again after a failure.",
            choices=_PRESETS,
            default_note="that of section monitor",
        ),
        Option(
            "retry_attempts",
            kinds.WHOLE,
            None,
            "After so many failures in a row it is given up, until the next reload; 0: never.",
            low=0,
            high=1_000_000,
            default_note="as `retry` has it",
        ),
        Option(
            "retry_first",
            kinds.DURATION,
            None,
            "Delay after the first failure; doubled after each further one.",
            low=0.01,
            high=3600,
            default_note="as `retry` has it",
        ),
        Option(
            "retry_max",
            kinds.DURATION,
            None,
            "No delay is longer.",
            low=0.01,
            high=_DAY,
            default_note="as `retry` has it",
        ),
    ),
)

NOTIFY = SectionKind(
    "notify",
    "notify",
    "Who is told of transitions, and how.",
    (
        Option(
            "type",
            kinds.CHOICE,
            None,
            "webhook: a JSON object by HTTP POST; email: a mail by SMTP.",
            choices=("webhook", "email"),
            required=True,
        ),
        Option("enabled", kinds.BOOL, "1", "Whether anything is sent."),
        Option(
            "events",
            own.CHOICES,
            "online offline",
            "What is told: new states of interfaces, and members that were opened or closed.",
            choices=_EVENTS,
        ),
        Option("interface", own.INTERFACES, None, "Only of these interfaces.", default_note="of all"),
        Option(
            "url",
            own.URL,
            None,
            "webhook: where to. Shown nowhere, as many have a secret in their path.",
            choices=("http", "https"),
            default_note="**required** for webhook",
            secret=True,
        ),
        Option(
            "format",
            kinds.CHOICE,
            "json",
            "webhook: what is sent. json: everything, for programs and Mattermost; else what that service wants.",
            choices=_SHAPES,
        ),
        Option("token", own.TEXT, None, "webhook: sent as `Authorization: Bearer`.", default_note="none", secret=True),
        Option("server", own.HOST, None, "email: the SMTP server.", default_note="**required** for email"),
        Option(
            "port",
            kinds.WHOLE,
            None,
            "email: its port.",
            low=1,
            high=65535,
            default_note="587, 465 with `security` tls, 25 with none",
        ),
        Option(
            "security",
            kinds.CHOICE,
            "starttls",
            "email: how the connection is encrypted.",
            choices=("starttls", "tls", "none"),
        ),
        Option(
            "username",
            own.TEXT,
            None,
            "User name at the mail server, or at a webhook without token.",
            default_note="none: no login",
        ),
        Option("password", own.TEXT, None, "Its password.", default_note="none", secret=True),
        Option("from", own.MAILBOX, None, "email: sender.", default_note="**required** for email"),
        Option("to", own.MAILBOXES, None, "email: recipients.", default_note="**required** for email"),
        Option("verify", kinds.BOOL, "1", "Whether the server's certificate is checked."),
        Option("timeout", kinds.DURATION, "15s", "For each exchange.", low=1, high=300),
        Option(
            "limit",
            kinds.WHOLE,
            "20",
            "Messages an hour; what comes beyond is gathered into the next one.",
            low=1,
            high=3600,
        ),
        Option("gather", kinds.DURATION, "5s", "Events within this time go in one message.", low=0, high=3600),
        Option("retry", kinds.CHOICE, "default", "How a message is tried again after a failure.", choices=_PRESETS),
    ),
)

MONITOR_SECTIONS = {kind.name: kind for kind in (MONITOR, SOURCE, NOTIFY)}
