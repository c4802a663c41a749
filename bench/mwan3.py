# SPDX-License-Identifier: GPL-2.0-or-later
"""mwan3 beside NetPath, unmodified, in the same lab.

NETPATH_MWAN3 names the `files` directory of the package in a checkout of OpenWrt's packages feed (net/mwan3/files, with
net/mwan3/src beside it), NETPATH_OPENWRT_ROOT an OpenWrt userland. mwan3 runs there under the real procd and netifd,
with the shell that it has on a router; iptables-nft, ipset and a C compiler for its wrapper are this machine's.
Nothing of either is kept.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import configurations, datapath, failover, load, resident, ubus
from bench.figure import Figure, Missing, Row, short
from bench.openwrt import CpuGroup, Userland
from netpath.lab import SERVERS, Lab, Traffic, Uplink
from netpath.lab.namespace import Process, Unavailable, run, wait_until
from netpath.lab.rpcd import PLUGIN
from netpath.lab.rpcd import root as openwrt_root
from netpath.lab.uci import Value, section

CHECKOUT = "NETPATH_MWAN3"
SERVICE = "/etc/init.d/mwan3"
WRAPPER = "lib/mwan3/libwrap_mwan3_sockopt.so.1.0"
COMMANDS = ("iptables", "ip6tables", "iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save")
SCRIPTS = ("etc/init.d/*", "usr/sbin/*", "usr/libexec/rpcd/*")
TARGETS = SERVERS["ipv4"][:4]
DEFAULTS: Mapping[str, Value] = {"track_ip": TARGETS}
"""Nothing but targets: interval 10, timeout 4, down 5 (mwan3track)."""
FAST: Mapping[str, Value] = {**DEFAULTS, "interval": 1, "timeout": 1, "down": 3}
EVERY_SECOND: Mapping[str, Value] = {**DEFAULTS, "interval": 1, "reliability": 2}
LONGEST = 200.0
"""Seconds until a failure must have been noticed: down x (targets x timeout + interval) is 130 with the defaults."""
SETTLE = 6.0
PULSE = 0.01


class Mwan3:
    """mwan3 on the router of a lab."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.lab = lab
        self.userland = stack.enter_context(Userland(lab, _files(lab.directory / "files")))

    def start(self, text: str) -> None:
        """Start it with this configuration, and wait until its route monitor has filled the uplinks' tables: until
        then what it steers is unreachable."""
        self.userland.write("/etc/config/mwan3", text)
        self.userland.run(SERVICE, "start")
        wait_until(self._routed, 60, "mwan3's routing tables")

    def _routed(self) -> bool:
        tables = (str(uplink.number) for uplink in self.lab.uplinks)
        return all("default" in self.lab.router.run(["ip", "route", "show", "table", t], check=False) for t in tables)

    def reload(self) -> tuple[float, float]:
        return self.userland.timed(SERVICE, "reload")

    def stop(self) -> None:
        self.userland.run(SERVICE, "stop")

    def event(self, action: str, uplink: str) -> tuple[float, float]:
        """What its tracker does when an uplink becomes `connected` or `disconnected`."""
        names = [f"ACTION={action}", f"INTERFACE={uplink}", f"DEVICE={uplink}"]
        return self.userland.timed("/usr/bin/env", "-i", *names, "/sbin/hotplug-call", "iface")

    def online(self) -> bool:
        """Whether its trackers say so of every uplink."""
        places = [self.userland.root / f"tmp/run/mwan3track/{uplink.name}/STATUS" for uplink in self.lab.uplinks]
        return all(place.exists() and place.read_text().strip() == "online" for place in places)


def measure(quick: bool) -> list[Row]:
    """Each row is mwan3's figure divided by NetPath's."""
    title = "mwan3 against NetPath"
    try:
        _checkout()
        openwrt_root()
    except Unavailable as why:
        return [Missing(title, "-", str(why))]
    return [
        *(figure for rules in (10, 1000) for figure in _loading(rules, 2 if quick else 4)),
        *_failures(quick),
        *_at_rest(10.0 if quick else 60.0),
        *_packets(4 if quick else 25),
    ]


def figure(what: str, unit: str, theirs: Sequence[float], ours: Sequence[float]) -> Figure:
    """mwan3's median divided by NetPath's, with both in the note."""
    mine, its = statistics.median(ours), statistics.median(theirs)
    note = f"{short(its)} {unit} against {short(mine)}; {len(theirs)} and {len(ours)} runs"
    return Figure(f"mwan3 against NetPath: {what}", "x NetPath's", (its / mine,), note=note)


# What is compared


def _loading(rules: int, runs: int) -> list[Figure]:
    """Start, reload, what an uplink's going and coming takes, and the question for the status."""
    uplinks = f"2 uplinks, {rules} rules"
    with ExitStack() as stack:
        lab = stack.enter_context(_lab())
        mwan3 = Mwan3(lab, stack)
        text = configuration(lab.uplinks, configurations.rules(rules, "second"))
        starts, start_cpu = [], []
        for _ in range(runs):
            before = mwan3.userland.cpu.seconds()
            starts.append(_steered(lab, lambda: mwan3.start(text)))
            start_cpu.append(mwan3.userland.cpu.seconds() - before)
            mwan3.stop()
        mwan3.start(text)
        reloads = [mwan3.reload() for _ in range(runs)]
        events = [mwan3.event(action, "wan") for _ in range(runs) for action in ("disconnected", "connected")]
        status = _status([*mwan3.userland.argv([]), "/usr/bin/python3"], ["/usr/libexec/rpcd/mwan3"], 4 * runs)
    with _lab() as lab, _group(lab) as group:
        text = load.configuration(lab, rules)
        mine = [load.start(lab, text) for _ in range(1 + runs)][1:]
        process = _netpath(lab, text, group)
        my_start_cpu = group.seconds()
        my_reloads = [_costs(group, lambda: load.reload(lab)) for _ in range(runs)]
        my_events = [_costs(group, lambda c=c: _switch(lab, c)) for _ in range(runs) for c in ("disable", "enable")]  # type: ignore[misc]
        os.environ["NETPATH_SOCKET"] = str(lab.socket)
        my_status = _status([sys.executable], [str(PLUGIN)], 4 * runs)
        process.stop()
    return [
        figure(f"start to packets steered, {uplinks}", "s", starts, mine),
        figure(f"start, processor time, {uplinks}", "s", start_cpu, [my_start_cpu]),
        figure(f"reload, {uplinks}", "s", [wall for wall, _ in reloads], [wall for wall, _ in my_reloads]),
        figure(f"reload, processor time, {uplinks}", "s", [cpu for _, cpu in reloads], [cpu for _, cpu in my_reloads]),
        figure(f"an uplink off or on, {uplinks}", "s", [wall for wall, _ in events], [wall for wall, _ in my_events]),
        figure(
            f"an uplink off or on, processor time, {uplinks}",
            "s",
            [cpu for _, cpu in events],
            [statistics.fmean(cpu for _, cpu in my_events)],
        ),
        figure(f"status by rpcd's plugin, {uplinks}", "ms", status, my_status),
    ]


def _failures(quick: bool) -> list[Figure]:
    """From a failure of `wan` to new flows on `wan2`: carrier loss, and silence with two settings of both."""
    times = 2 if quick else 5
    fast: Mapping[str, Value] = {"interval": "1s", "timeout": "1s", "down": 3}
    settings: dict[str, tuple[Mapping[str, Value], Mapping[str, Value], int]] = {
        "interval 1 s, timeout 1 s, down 3": (FAST, fast, times),
        **({} if quick else {"both programs' defaults": (DEFAULTS, {}, 1)}),
    }
    with ExitStack() as stack:
        lab = stack.enter_context(_lab())
        mwan3 = Mwan3(lab, stack)
        mwan3.start(configuration(lab.uplinks, configurations.rules(10, "all"), FAST))
        pulled = [_failure(lab, lambda: failover.pull(lab), mwan3.online, carrier=True) for _ in range(times)]
        mwan3.stop()
        theirs = {}
        for name, (options, _, runs) in settings.items():
            mwan3.start(configuration(lab.uplinks, configurations.rules(10, "all"), options))
            theirs[name] = [_failure(lab, lambda: lab.cut("wan"), mwan3.online) for _ in range(runs)]
            mwan3.stop()
    with _lab() as lab:
        _netpath(lab, _tracked(lab, fast))
        mine = [_failure(lab, lambda: failover.pull(lab), lambda: _online(lab), carrier=True) for _ in range(times)]
        _stop(lab)
        ours = {}
        for name, (_, options, _) in settings.items():
            _netpath(lab, _tracked(lab, options))
            ours[name] = [_failure(lab, lambda: lab.cut("wan"), lambda: _online(lab)) for _ in range(times)]
            _stop(lab)
    return [
        figure("carrier loss to new flows on the other uplink", "ms", _ms(pulled), _ms(mine)),
        *(
            figure(f"silent loss to new flows on the other uplink, 4 targets, {name}", "s", theirs[name], ours[name])
            for name in settings
        ),
    ]


def _at_rest(seconds: float) -> list[Figure]:
    """Processor time while nothing happens: 2 uplinks, 4 targets each, a probe a second."""
    with ExitStack() as stack:
        lab = stack.enter_context(_lab())
        mwan3 = Mwan3(lab, stack)
        idle = _minute(mwan3.userland.cpu, seconds)
        mwan3.start(configuration(lab.uplinks, configurations.rules(10, "all"), EVERY_SECOND))
        wait_until(mwan3.online, 30, "mwan3's trackers")
        theirs = _minute(mwan3.userland.cpu, seconds) - idle
    with _lab() as lab, _group(lab) as group:
        process = _netpath(lab, _tracked(lab, {"interval": "1s"}), group)
        wait_until(lambda: _online(lab), 30, "NetPath's uplinks")
        ours = _minute(group, seconds)
        process.stop()
    return [figure("processor time at rest, 2 uplinks x 4 targets each second", "s a minute", [theirs], [ours])]


def _packets(rounds: int) -> list[Figure]:
    """Both against bare forwarding in the same run."""
    with ExitStack() as stack:

        def theirs(lab: Lab, rules: int) -> None:
            text = configuration(lab.uplinks, configurations.rules(rules, "first"))
            Mwan3(lab, stack).start(text)

        routers = {"bare": datapath.router(stack, _lab(), datapath.as_it_is)}
        for rules in (10, 1000):
            routers[f"mwan3 {rules}"] = datapath.router(stack, _lab(), lambda lab, r=rules: theirs(lab, r))  # type: ignore[misc]
            routers[f"NetPath {rules}"] = datapath.router(
                stack,
                _lab(),
                lambda lab, r=rules: datapath.steered(lab, r),  # type: ignore[misc]
            )
        new = datapath.new_packets(routers, rounds)
        established, _ = datapath.established_packets(routers, rounds)
    found = []
    for kind, costs in (("NEW", new), ("established", established)):
        ratio = {name: [a / b for a, b in zip(each, costs["bare"], strict=True)] for name, each in costs.items()}
        for rules in (10, 1000):
            what = f"{kind} packet, {rules} rules"
            found.append(figure(what, "x bare", ratio[f"mwan3 {rules}"], ratio[f"NetPath {rules}"]))
    return found


# How


def _lab() -> Lab:
    """Two uplinks, and the kernel's parameters of OpenWrt where both programs care."""
    return Lab(resident.specs(2), rp_filter=0)


@contextmanager
def _group(lab: Lab) -> Iterator[CpuGroup]:
    """A control group for NetPath; what is in it must have ended at the end."""
    group = CpuGroup(f"{lab.router.name}-netpath")
    try:
        yield group
    finally:
        _stop(lab)
        group.remove()


def _netpath(lab: Lab, text: str, group: CpuGroup | None = None) -> Process:
    """NetPath with this configuration, the uplinks' states not awaited."""
    program = [sys.executable, "-m", "netpath", "run"]
    return lab.start_netpath(text, program=group.argv(program) if group else program)


def _stop(lab: Lab) -> None:
    for process in lab.processes:
        if process.name == "netpath":
            process.stop()


def _pulse(lab: Lab) -> Traffic:
    """New flows that never take the port of an older one, which connection tracking would keep where that went."""
    lab.router.run(["conntrack", "-F"])
    return lab.pulse(interval=PULSE, timeout=0.5, concurrency=1000, count=int(LONGEST / PULSE))


def _steered(lab: Lab, start: Callable[[], object]) -> float:
    """Seconds until the first new flow by `wan2` that is answered."""
    with _pulse(lab) as pulse:
        pulse.wait(lambda record: record.outcome == "wan")
        began = time.monotonic()
        start()
        first = pulse.wait(lambda record: record.outcome == "wan2", since=began, timeout=LONGEST)
    return first.sent - began


def _costs(group: CpuGroup, act: Callable[[], object]) -> tuple[float, float]:
    """(seconds, processor time of the group, what follows at once included) of one act."""
    before, began = group.seconds(), time.monotonic()
    act()
    took = time.monotonic() - began
    time.sleep(0.2)
    return took, group.seconds() - before


def _switch(lab: Lab, command: str) -> None:
    lab.call({"cmd": command, "interface": "wan"})


def _failure(lab: Lab, fail: Callable[[], object], online: Callable[[], bool], *, carrier: bool = False) -> float:
    """Seconds from a failure of `wan` to the first new flow by `wan2`; at the end all is well again."""
    wait_until(online, LONGEST, "all uplinks to be online")
    time.sleep(SETTLE)
    with _pulse(lab) as pulse:
        pulse.wait(lambda record: record.outcome == "wan")
        moment = time.monotonic()
        fail()
        found = pulse.wait(lambda record: record.outcome == "wan2", since=moment, timeout=LONGEST)
    if carrier:
        lab.carrier("wan", True)
    else:
        lab.restore("wan")
    time.sleep(1.0)  # what says "online" may still be from before
    return found.sent - moment


def _online(lab: Lab) -> bool:
    rows = lab.call({"cmd": "status"})["interfaces"]
    return all(rows[uplink.name]["status"] == "online" for uplink in lab.uplinks)


def _minute(group: CpuGroup, seconds: float) -> float:
    """Processor time of a minute, from a shorter window."""
    time.sleep(SETTLE)
    before, began = group.seconds(), time.monotonic()
    time.sleep(seconds)
    return (group.seconds() - before) * 60 / (time.monotonic() - began)


def _status(prefix: Sequence[str], plugin: Sequence[str], rounds: int) -> list[float]:
    """Milliseconds of each call of a plugin's method `status`."""
    (found,) = ubus.times(list(prefix), dict(os.environ), [[*plugin, "call", "status"]], rounds)
    return [1000 * each for each in found]


def _ms(values: Sequence[float]) -> list[float]:
    return [1000 * value for value in values]


# Configurations


def configuration(uplinks: Sequence[Uplink], rules: str, options: Mapping[str, Value] | None = None) -> str:
    """The mwan3 file that says what `Lab.config` and `rules` say in NetPath's words. Pure.

    Policy `all` prefers the first uplink to the others, `first` and `second` use one only. `options` are of every
    interface; without any, nothing is tracked.
    """
    parts = [section("globals", "globals", {"mmx_mask": "0x3F00"})]
    for metric, uplink in enumerate(uplinks, 1):
        parts.append(section("interface", uplink.name, {"enabled": 1, "family": "ipv4", **(options or {})}))
        parts.append(section("member", f"{uplink.name}_m", {"interface": uplink.name, "metric": metric, "weight": 1}))
    names = [f"{uplink.name}_m" for uplink in uplinks]
    for policy, members in (("all", names), ("first", names[:1]), ("second", names[1:2])):
        parts.append(section("policy", policy, {"use_member": members, "last_resort": "unreachable"}))
    return "\n".join([*parts, rules_in_its_words(rules)])


def rules_in_its_words(rules: str) -> str:
    """Rule sections with mwan3's names of options, and port ranges as iptables wants them. Pure."""
    text = re.sub(r"(option (?:src|dest)_port '\d+)-(\d+')", r"\1:\2", rules)
    return text.replace("option policy ", "option use_policy ")


def _tracked(lab: Lab, options: Mapping[str, Value]) -> str:
    """NetPath's configuration for the same: the default tracking but for `options`, 4 targets, `wan` preferred."""
    parts, members = [section("globals", "globals", {"enabled": 1})], []
    for metric, uplink in enumerate(lab.uplinks, 1):
        own: Mapping[str, Value] = {"ifname": uplink.name, "family": "ipv4", "track_targets": TARGETS}
        parts.append(section("interface", uplink.name, {"enabled": 1, **own, **options}))
        members.append(f"{uplink.name}_m{metric}")
        parts.append(configurations.member(members[-1], uplink.name, metric))
    parts.append(configurations.policies(["all"], members))
    return "\n".join([*parts, configurations.rules(10, "all")])


# What it runs on


def _checkout() -> Path:
    """Raises Unavailable with the reason when there is none."""
    name = os.environ.get(CHECKOUT)
    if not name:
        raise Unavailable(f"no mwan3 here: {CHECKOUT} names none")
    files = Path(name)
    if not (files / SERVICE.lstrip("/")).exists():
        raise Unavailable(f"{files} ({CHECKOUT}) has no {SERVICE.lstrip('/')}")
    for program in ("xtables-nft-multi", "ipset", "cc"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed, which mwan3 needs here")
    return files


def _files(target: Path) -> Path:
    """Make the directory with what mwan3's package and those that it depends on put on a router."""
    source = _checkout()
    shutil.copytree(source, target)
    for pattern in SCRIPTS:
        for script in target.glob(pattern):
            script.chmod(0o755)
    run(
        ["cc", "-shared", "-fPIC", "-w", "-o", str(target / WRAPPER), str(source.parent / "src/sockopt_wrap.c"), "-ldl"]
    )
    place = target / "usr/sbin"
    programs = [Path(str(shutil.which(name))) for name in ("xtables-nft-multi", "ipset")]
    for program in programs:
        shutil.copy(program, place / program.name)
    for name in COMMANDS:
        (place / name).symlink_to(programs[0].name)
    extensions = next(Path("/usr/lib").glob("*/xtables"))
    shutil.copytree(extensions, target / extensions.relative_to("/"))
    for library in _libraries(programs):
        shutil.copy(library, target / extensions.parent.relative_to("/"))
    return target


def _libraries(programs: Sequence[Path]) -> set[str]:
    """What they are linked with, but for the C library, which the userland has."""
    listed = run(["ldd", *map(str, programs)])
    found = {match[1] for match in re.finditer(r"=> (/\S+)", listed)}
    return {path for path in found if re.search(r"/lib(ipset|xtables|mnl|nftnl)\.so", path)}
