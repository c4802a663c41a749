# SPDX-License-Identifier: GPL-2.0-or-later
"""From a file to the monitor's settings, with every problem at once.

The tracker and the monitor read one file, and each judges only what it uses: a wrong address of a mail server must not
keep the router from steering after a reboot, nor a wrong rule the monitor from being changed. Text that cannot be read
as sections at all is wrong for both.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netpath.config.loading import sections_of, text_of
from netpath.config.parse import Parsed, Report, blank, parse
from netpath.config.problems import ERROR, WARNING, Problem, nearest
from netpath.config.schema_monitor import MONITOR, MONITOR_SECTIONS
from netpath.config.sections import Entry, Section
from netpath.config.values import BadValueError
from netpath.monitoring import (
    PRESETS,
    Broker,
    Channel,
    Datagrams,
    Format,
    Listener,
    Monitor,
    Notify,
    Retry,
    Shape,
    Source,
    SourceType,
)

_DEFAULT_TABLE = "netpath"
_SCHEMES = {SourceType.CLASH: ("ws", "wss"), SourceType.OPENWRT: ("http", "https")}
_EXAMPLES = {
    SourceType.CLASH: "ws://192.168.1.1:9090/connections",
    SourceType.OPENWRT: "http://192.168.1.1/",
}
_COUNTS_WAN = (SourceType.OPENWRT, SourceType.LOCAL)
_MAIL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_EVERY = {"::": "every address of both families", "0.0.0.0": "every IPv4 address"}

_PASSWORD_INSIDE = re.compile(r"""^\s*(?:option\s+['"]?)?(?:(?:\w+_)?password|token)\b|[?&]token=""", re.MULTILINE)
_WITHOUT_FILE = "config monitor\n\toption local 0\n\toption metrics_port 0\n\toption loglevel info\n"
"""As the Network Monitor, which had no file: what was named on its command line, and nothing beside it."""


@dataclass(frozen=True, slots=True)
class Given:
    """An option of section monitor that somebody set outside of the file."""

    option: str
    value: str
    origin: str
    """"--clash-url", "CLASH_URL in the environment"."""


@dataclass(frozen=True, slots=True)
class LoadedMonitor:
    monitor: Monitor | None
    """None exactly when `problems` holds an error."""
    nft_table: str
    """Where the tracker's rules are counted."""
    problems: tuple[Problem, ...]
    """In the order of the file's lines."""


def load_monitor(path: Path, given: Sequence[Given] = ()) -> LoadedMonitor:
    """Reads a file as `netpath.config.load` does. With something `given` it may be missing."""
    if given and not path.exists():
        return loads_monitor(_WITHOUT_FILE, str(path), given=given)
    text, problem = text_of(path)
    if problem is not None:
        return LoadedMonitor(None, _DEFAULT_TABLE, (problem,))
    loaded = loads_monitor(text, str(path), "toml" if path.suffix == ".toml" else "uci", given)
    if not _PASSWORD_INSIDE.search(text) or not stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
        return loaded
    message = "there are passwords in this file, and others may read it"
    warning = Problem(WARNING, str(path), None, None, None, None, message, f"chmod 600 {path}")
    return replace(loaded, problems=(*loaded.problems, warning))


def loads_monitor(text: str, file: str = "...", format: str = "uci", given: Sequence[Given] = ()) -> LoadedMonitor:
    """Reads a text; whatever is `given` switches the monitor on. Raises ValueError for an unknown format."""
    sections, report = sections_of(text, file, format)
    parsed = parse([section for section in sections if section.type in MONITOR_SECTIONS], report)
    uplinks = [section.name for section in sections if section.type == "interface" and section.name]
    monitor = _Builder(parsed, uplinks, report).build(given)
    problems = tuple(sorted(report.problems, key=lambda p: (p.line is None, p.line or 0)))
    return LoadedMonitor(None if report.failed else monitor, _nft_table(sections, file), problems)


def _nft_table(sections: Sequence[Section], file: str) -> str:
    """That of the tracker's part, whatever else is wrong there."""
    found = parse([section for section in sections if section.type == "globals"], Report(file))
    return found[0].get("nft_table", str) if found else _DEFAULT_TABLE


class _Builder:
    """Typed sections -> Monitor."""

    def __init__(self, parsed: Sequence[Parsed], uplinks: Sequence[str], report: Report) -> None:
        self._parsed = parsed
        self._uplinks = uplinks
        self._report = report

    def build(self, given: Sequence[Given]) -> Monitor:
        settings = self._settings()
        for each in given:
            self._override(settings, each)
        sources = self._sources(settings)
        enabled = {name: source for name, (source, on) in sources.items() if on}
        return Monitor(
            enabled=settings.get("enabled", bool) or bool(given),
            loglevel=settings.get("loglevel", str),
            sources=tuple(enabled.values()),
            wan=self._wan(settings, {name: source for name, (source, _) in sources.items()}, enabled),
            datagrams=self._datagrams(settings),
            metrics=Listener(self._addresses(settings, "metrics_address"), settings.get("metrics_port", int)),
            broker=self._broker(settings),
            notify=tuple(self._notify()),
        )

    def _settings(self) -> Parsed:
        found = [section for section in self._parsed if section.kind is MONITOR]
        for section in found[1:]:
            self._report.error(section, None, "there is more than one monitor section", "join them")
        if not found and self._parsed:
            message = "has no effect, as there is no section monitor"
            self._report.warning(self._parsed[0], None, message, "add config monitor 'monitor' with option enabled '1'")
        return found[0] if found else blank("monitor")

    def _override(self, settings: Parsed, given: Given) -> None:
        option = MONITOR.by_name[given.option]
        try:
            settings.values[given.option] = option.kind.item(given.value.strip(), option)
        except BadValueError as bad:
            shown = None if option.secret else given.value
            self._report.problems.append(Problem(ERROR, given.origin, None, None, None, shown, bad.message, bad.fix))
        else:
            settings.entries[given.option] = Entry(given.option, (given.value,), (None,))

    # -- sources ------------------------------------------------------------------------------------------------

    def _sources(self, settings: Parsed) -> dict[str, tuple[Source, bool]]:
        """Every source and whether it is enabled, by name."""
        found: dict[str, tuple[Source, bool]] = {}
        fallback = PRESETS[settings.get("retry", str)]
        for section in self._of_kind("source"):
            if "type" in section.values:  # else missing or malformed, reported by parse
                found[section.name] = self._source(section, fallback), section.get("enabled", bool)
        for name, option, kind in (("clash", "clash_url", SourceType.CLASH), ("luci", "luci_url", SourceType.OPENWRT)):
            if (url := settings.maybe(option, str)) is None:
                continue
            if name in found:
                fix = f"rename the section, or remove {option}"
                self._report.error(settings, option, f"makes a source {name}, but there is a section of this name", fix)
            source = _plain(name, kind, fallback)
            if kind is SourceType.OPENWRT:
                username, password = settings.get("luci_username", str), settings.maybe("luci_password", str) or ""
                source = replace(source, username=username, password=password)
                if not password and "luci_password" not in settings.broken:
                    self._no_password(settings, "luci_password")
            found[name] = replace(source, url=url), True
        if settings.get("local", bool) and "local" not in found and not _has_local(found):
            found["local"] = _plain("local", SourceType.LOCAL, fallback), True
        return found

    def _source(self, section: Parsed, fallback: Retry) -> Source:
        kind = SourceType(section.get("type", str))
        source = Source(
            name=section.name,
            type=kind,
            url=section.maybe("url", str) or "",
            token=section.maybe("token", str) or "",
            username=section.get("username", str),
            password=section.maybe("password", str) or "",
            interfaces=section.get("interface", tuple),
            interval=section.get("interval", float),
            timeout=section.get("timeout", float),
            verify=section.get("verify", bool),
            retry=_retry(section, fallback),
        )
        self._check_url(section, source)
        if kind is SourceType.CLASH and source.timeout <= source.interval:
            message = f"a clash source is silent for {source.interval:g} s between two messages"
            self._report.error(section, "timeout", message, "use a timeout that is longer than interval")
        if kind is SourceType.OPENWRT and not source.password and "password" not in section.broken:
            self._no_password(section, "password")
        if kind is SourceType.LOCAL:
            self._check_uplinks(section)
        for option, kinds in _ONLY_FOR.items():
            if option in section.entries and kind not in kinds:
                self._report.warning(section, option, f"has no effect with type {kind}", "remove it")
        return source

    def _check_url(self, section: Parsed, source: Source) -> None:
        schemes = _SCHEMES.get(source.type)
        if schemes is None or "url" in section.broken:
            return
        if not source.url:
            fix = f"add option url '{_EXAMPLES[source.type]}'"
            self._report.error(section, None, f"url is missing, which type {source.type} needs", fix)
        elif source.url.partition("://")[0] not in schemes:
            message = f"type {source.type} is asked by {' or '.join(schemes)}"
            self._report.error(section, "url", message, f"write an address like {_EXAMPLES[source.type]}")

    def _no_password(self, section: Parsed, option: str) -> None:
        self._report.warning(section, None, f"there is no {option}, so an empty one is sent", f"add option {option}")

    def _check_uplinks(self, section: Parsed) -> None:
        for name in section.get("interface", tuple):
            if name not in self._uplinks:
                like = nearest(name, list(self._uplinks))
                fix = f"did you mean {like}?" if like else "name an interface section of this file"
                self._report.warning(section, "interface", "there is no such interface", fix, item=name)

    def _wan(self, settings: Parsed, known: dict[str, Source], enabled: dict[str, Source]) -> tuple[str, ...]:
        named: list[str] = []
        for name in settings.get("wan", tuple):
            source = known.get(name)
            if source is None:
                like = nearest(name, list(known))
                fix = f"did you mean {like}?" if like else f"add config source '{name}'"
                self._report.error(settings, "wan", f"there is no source named {name}", fix, item=name)
            elif source.type not in _COUNTS_WAN:
                fix = "name sources of type openwrt or local"
                self._report.error(settings, "wan", f"a source of type {source.type} counts no WAN", fix, item=name)
            elif name not in enabled:
                self._report.warning(settings, "wan", "this source is disabled", "enable or remove it", item=name)
            else:
                named.append(name)
        if named or "wan" in settings.entries:
            return tuple(named)
        for kind in _COUNTS_WAN:
            if found := tuple(name for name, source in enabled.items() if source.type is kind):
                return found
        return ()

    # -- what they are handed to ------------------------------------------------------------------------------

    def _datagrams(self, settings: Parsed) -> Datagrams:
        return Datagrams(
            addresses=self._addresses(settings, "listen_address"),
            port=settings.get("listen_port", int),
            networks=settings.get("clients", tuple),
            format=Format(settings.get("format", str)),
            interval=settings.get("interval", float),
            client_timeout=settings.get("client_timeout", float),
            max_clients=settings.get("max_clients", int),
        )

    def _addresses(self, settings: Parsed, option: str) -> tuple[str, ...]:
        """Of a listener; none of them may be taken by another one on the same port."""
        found: tuple[str, ...] = settings.get(option, tuple)
        for every, words in _EVERY.items():
            others = [each for each in found if each != every and (every == "::" or ":" not in each)]
            if every in found and others:
                message = f"{every} is {words} already, so the port would be taken twice"
                self._report.error(settings, option, message, f"remove {every}, or the others", item=others[0])
                break
        return found

    def _broker(self, settings: Parsed) -> Broker | None:
        host = settings.maybe("mqtt_host", str)
        if host is None:
            return None
        tls = settings.get("mqtt_tls", bool)
        username, password = settings.maybe("mqtt_username", str) or "", settings.maybe("mqtt_password", str) or ""
        if password and not username:
            message = "a password needs a user name (MQTT 3.1.1, 3.1.2.9)"
            self._report.error(settings, "mqtt_password", message, "add option mqtt_username")
        if "mqtt_ca" in settings.entries and not tls:
            message = "has no effect without mqtt_tls"
            self._report.warning(settings, "mqtt_ca", message, "add option mqtt_tls '1', or remove it")
        return Broker(
            host=host,
            port=settings.maybe("mqtt_port", int) or (8883 if tls else 1883),
            username=username,
            password=password,
            tls=tls,
            ca=settings.maybe("mqtt_ca", str) or "",
            verify=settings.get("mqtt_verify", bool),
            topic=settings.get("mqtt_topic", str),
            discovery=settings.get("mqtt_discovery", str),
            interval=settings.get("mqtt_interval", float),
        )

    def _notify(self) -> Iterator[Notify]:
        for section in self._of_kind("notify"):
            if "type" not in section.values:
                continue  # missing or malformed, reported by parse
            channel = Channel(section.get("type", str))
            self._check_channel(section, channel)
            self._check_uplinks(section)
            if section.get("enabled", bool):
                yield _told(section, channel)

    def _check_channel(self, section: Parsed, channel: Channel) -> None:
        for option in ("url",) if channel is Channel.WEBHOOK else ("server", "from", "to"):
            if not section.values.get(option) and option not in section.broken:
                fix = f"add option {option} '...'"
                self._report.error(section, None, f"{option} is missing, which type {channel} needs", fix)
        if channel is Channel.EMAIL and section.values.get("password") and not section.values.get("username"):
            self._report.error(section, "password", "a password needs a user name", "add option username")
        for option, only in _ONLY_OF.items():
            if option in section.entries and channel is not only:
                self._report.warning(section, option, f"has no effect with type {channel}", "remove it")

    def _of_kind(self, kind: str) -> Iterator[Parsed]:
        """Sections of a kind; of several with one name only the first, with an error for the others."""
        seen: set[str] = set()
        for section in self._parsed:
            if section.kind.name != kind:
                continue
            if section.name in seen:
                self._report.error(section, None, "the name is taken already", "rename one of them or join the two")
                continue
            seen.add(section.name)
            yield section


_ONLY_FOR = {
    "url": (SourceType.CLASH, SourceType.OPENWRT),
    "verify": (SourceType.CLASH, SourceType.OPENWRT),
    "token": (SourceType.CLASH,),
    "username": (SourceType.OPENWRT,),
    "password": (SourceType.OPENWRT,),
    "interface": _COUNTS_WAN,
}
"""Options of a source -> types that take them."""
_ONLY_OF = {
    **dict.fromkeys(("url", "token"), Channel.WEBHOOK),
    **dict.fromkeys(("server", "port", "security", "username", "password", "from", "to"), Channel.EMAIL),
}
"""Options of a notify section -> the type that takes them."""


def _told(section: Parsed, channel: Channel) -> Notify:
    security = section.get("security", str)
    return Notify(
        name=section.name,
        type=channel,
        events=section.get("events", tuple),
        interfaces=section.get("interface", tuple),
        url=section.maybe("url", str) or "",
        token=section.maybe("token", str) or "",
        server=section.maybe("server", str) or "",
        port=section.maybe("port", int) or _MAIL_PORTS[security],
        security=security,
        username=section.maybe("username", str) or "",
        password=section.maybe("password", str) or "",
        sender=section.maybe("from", str) or "",
        recipients=section.get("to", tuple),
        verify=section.get("verify", bool),
        timeout=section.get("timeout", float),
        limit=section.get("limit", int),
        gather=section.get("gather", float),
        retry=PRESETS[section.get("retry", str)],
        format=Shape(section.get("format", str)),
    )


def _plain(name: str, kind: SourceType, retry: Retry) -> Source:
    """A source of which nothing is written."""
    unwritten = blank("source")
    return Source(
        name=name,
        type=kind,
        url="",
        token="",
        username=unwritten.get("username", str),
        password="",
        interfaces=(),
        interval=unwritten.get("interval", float),
        timeout=unwritten.get("timeout", float),
        verify=unwritten.get("verify", bool),
        retry=retry,
    )


def _has_local(sources: dict[str, tuple[Source, bool]]) -> bool:
    return any(source.type is SourceType.LOCAL for source, _ in sources.values())


def _retry(section: Parsed, fallback: Retry) -> Retry:
    """The section's preset, else the monitor's, with what the section changes of it."""
    preset = section.maybe("retry", str)
    retry = fallback if preset is None else PRESETS[preset]
    attempts = section.maybe("retry_attempts", int)
    first = section.maybe("retry_first", float)
    most = section.maybe("retry_max", float)
    if attempts is not None:
        retry = replace(retry, attempts=attempts or None)
    if first is not None:
        retry = replace(retry, first=first, most=max(first, retry.most))
    return retry if most is None else replace(retry, most=most)
