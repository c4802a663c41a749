# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.lab.demo`: NetPath at work in a little internet of network namespaces.

It ends by itself in under a minute: with exit code 0 when everything it claims was really seen, with 1 when something
was not. `KEEP=1` in the environment keeps lab and NetPath up at the end and tells how to talk to them.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from netpath.lab.guide import keep_up
from netpath.lab.lab import Lab
from netpath.lab.namespace import LabError, Unavailable
from netpath.lab.picture import Row, Screen
from netpath.lab.traffic import Record, Traffic

ROLES = {"fibre": "weight 3", "cable": "weight 2", "lte": "metered, only backup"}
LATENCY_MS = {"fibre": 3, "cable": 12, "lte": 40}
FLOW_SECONDS = 0.025
"""A new flow of each family that often."""
GIVE_UP_SECONDS = 1.5
"""How long a client waits for an answer."""
NOTICE_SECONDS = 15.0
"""A change of state that takes longer has not happened."""
SHARE_SECONDS = 2.0
DRAW_SECONDS = 0.2
SAMPLE_SECONDS = 2.0
"""How long new flows are watched before something is said about them."""
DOWNLOAD_RATE = 2_000_000
PROBE_FLOWS = 20


def config(lab: Lab, **more: Any) -> str:
    """The house's configuration; `more` as `netpath.lab.uci.config` has it."""
    return lab.config(
        **{
            "weights": {"fibre": 3, "cable": 2},
            "metrics": {"lte": 2},
            "per_interface": {"lte": {"metered": 1}, "lte_6": {"metered": 1}},
            **more,
        }
    )


def imitate_latencies(lab: Lab, screen: Screen) -> None:
    """Only decoration: where the kernel cannot, that is said."""
    try:
        for name, milliseconds in LATENCY_MS.items():
            lab.latency(name, milliseconds)
    except Unavailable as error:
        screen.say(f"Latencies are not imitated: {error}")


class NotSeenError(Exception):
    """Something that the demo wanted to show did not happen."""


class Demo:
    """The story, scene by scene. `pause` is the time in seconds that a spectator gets after each turn of events."""

    def __init__(self, lab: Lab, screen: Screen, pause: float) -> None:
        self.lab = lab
        self.screen = screen
        self.pause = pause
        self.text = config(lab)
        self.flows: list[Traffic] = []
        self.downloading: Traffic | None = None

    def play(self) -> None:
        """All scenes. Raises NotSeenError or LabError when one does not go as told."""
        imitate_latencies(self.lab, self.screen)
        before = self.traces()
        self.start()
        self.balance()
        self.silent_failure()
        self.recovery()
        self.carrier_loss()
        self.backup()
        self.nothing_left()
        self.stop(before)

    def start(self) -> None:
        self.screen.title("Start NetPath on the router, and traffic on the LAN")
        begin = time.monotonic()
        self.lab.start_netpath(self.text)
        self.lab.wait_states(dict.fromkeys(self.sections(*ROLES), "online"), NOTICE_SECONDS)
        self.screen.good(f"all uplinks online {ms(time.monotonic() - begin)} after starting it, IPv4 and IPv6")
        self.flows = [
            self.lab.pulse("ipv4", "udp", interval=FLOW_SECONDS, timeout=GIVE_UP_SECONDS, src=self.lab.clients_of()),
            self.lab.pulse("ipv6", "tcp", interval=FLOW_SECONDS, timeout=GIVE_UP_SECONDS),
        ]

    def balance(self) -> None:
        self.screen.title("All is well: three of five new flows take the fibre, two the cable, none the metered LTE")
        taken = self.sample()
        self.claim(self.is_balanced(taken), f"of {taken.total()} new flows {shares(taken)}", taken)
        self.watch_for(self.pause)
        self.downloading = self.download_by("fibre")

    def silent_failure(self) -> None:
        self.screen.title("Cut the fibre silently: the link stays up, but nothing comes back any more")
        self.fails("fibre", lambda: self.lab.cut("fibre"), {"cable"})
        self.tell_download()
        self.watch_for(self.pause)

    def recovery(self) -> None:
        self.screen.title("Mend the fibre")
        begin = time.monotonic()
        self.lab.uncut("fibre")
        self.comes_back(["fibre"], begin)
        taken = self.sample()
        self.claim(self.is_balanced(taken), f"new flows are spread as before: {shares(taken)}", taken)
        self.watch_for(self.pause)

    def carrier_loss(self) -> None:
        self.screen.title("Pull the fibre's plug")
        self.fails("fibre", lambda: self.lab.carrier("fibre", False), {"cable"})
        self.watch_for(self.pause)

    def backup(self) -> None:
        self.screen.title("Cut the cable too: now the metered LTE has to serve")
        self.fails("cable", lambda: self.lab.cut("cable"), {"lte"})
        self.watch_for(self.pause)

    def nothing_left(self) -> None:
        self.screen.title("Cut LTE as well: nothing is left, and programs learn that at once (last_resort unreachable)")
        self.lab.cut("lte")
        self.watch_until(lambda: self.states("lte") == {"offline"}, "LTE to be offline")
        begin = time.monotonic()
        outcomes = self.lab.flows(PROBE_FLOWS, proto="tcp", timeout=GIVE_UP_SECONDS)
        refused = outcomes["refused"] + outcomes["unreachable"]
        took = ms(time.monotonic() - begin)
        self.claim(
            refused == PROBE_FLOWS, f"{refused} of {PROBE_FLOWS} connections refused, all within {took}", outcomes
        )
        self.watch_for(self.pause)
        self.screen.title("Mend everything")
        begin = time.monotonic()
        self.lab.uncut("cable")
        self.lab.uncut("lte")
        self.lab.carrier("fibre", True)
        self.lab.ifup("fibre")
        self.comes_back(list(ROLES), begin)
        self.watch_for(self.pause)

    def stop(self, before: Mapping[str, str]) -> None:
        self.screen.title("Stop NetPath")
        for traffic in self.flows:
            traffic.stop()
        if self.downloading:
            self.downloading.stop()
        reply = self.lab.call({"cmd": "stop"})
        self.claim(reply == {"result": "ok"}, "it says that it has stopped", reply)
        next(p for p in self.lab.processes if p.name == "netpath").wait(NOTICE_SECONDS)
        after = self.traces()
        for what, text in before.items():
            self.claim(after[what] == text, f"{what} exactly as before NetPath came", after[what])

    def fails(self, name: str, break_it: Callable[[], None], heirs: set[str]) -> None:
        """Break an uplink, and see NetPath notice and new flows go on by `heirs` alone."""
        broken_epoch, broken = time.time(), time.monotonic()
        break_it()
        self.watch_until(lambda: self.states(name) == {"offline"}, f"{name} to be offline")
        noticed = max(self.event(broken_epoch, section, "offline")["time"] for section in self.sections(name))
        self.screen.good(f"NetPath noticed after {ms(noticed - broken_epoch)}")
        settled = time.monotonic()
        later = self.sample()
        by = " and ".join(sorted(heirs))
        self.claim(set(later) == heirs, f"all {later.total()} new flows since then went by {by}", later)
        lost = [r for r in self.records() if broken <= r.sent <= settled and r.outcome not in heirs and not r.answered]
        until = max((r.sent for r in lost), default=broken) - broken
        last = f", the last one {ms(until)} after the failure" if lost else ""
        self.screen.good(f"new flows that got no answer meanwhile: {len(lost)}{last}")

    def comes_back(self, names: list[str], begin: float) -> None:
        self.watch_until(lambda: self.states(*names) == {"online"}, f"{' and '.join(names)} to be online")
        self.screen.good(f"{', '.join(names)} in use again after {ms(time.monotonic() - begin)}")

    def download_by(self, name: str) -> Traffic:
        """A download that happens to use this uplink. Raises NotSeenError when ten did not."""
        for _ in range(10):
            download = self.lab.download(rate=DOWNLOAD_RATE, timeout=3.0)
            if download.wait(lambda record: record.answered).outcome == name:
                self.screen.say(f"A download of {DOWNLOAD_RATE / 1e6:.0f} MB/s runs by the {name}.")
                return download
            download.stop()
        raise NotSeenError(f"none of ten downloads used {name}")

    def tell_download(self) -> None:
        """What became of the download of the broken uplink."""
        if not self.downloading:
            raise NotSeenError("no download is running")
        resumed = self.downloading.wait(lambda r: r.outcome == "cable", timeout=NOTICE_SECONDS)
        records = self.downloading.records()
        last = max(r.done for r in records if r.outcome == "fibre")
        words = [r.outcome for r in records if not r.answered]
        self.screen.good(
            f"the download stood for {ms(resumed.done - last)}: its connection ended ({', '.join(words)}) instead of "
            "hanging, and it went on by cable"
        )

    def records(self) -> list[Record]:
        return [record for traffic in self.flows for record in traffic.records()]

    def taken(self, begin: float, end: float) -> Counter[str]:
        """What became of new flows that were opened in that time."""
        return Counter(record.outcome for record in self.records() if begin <= record.sent <= end)

    def sample(self) -> Counter[str]:
        """What becomes of the new flows of the next two seconds; none of them waits for an answer any more."""
        begin = time.monotonic()
        self.watch_for(SAMPLE_SECONDS + GIVE_UP_SECONDS + DRAW_SECONDS)
        return self.taken(begin, begin + SAMPLE_SECONDS)

    def is_balanced(self, taken: Counter[str]) -> bool:
        """Three to two between fibre and cable and nothing elsewhere, give or take the ends of the sample."""
        return set(taken) == {"fibre", "cable"} and abs(taken["fibre"] / taken.total() - 0.6) < 0.04

    def sections(self, *names: str) -> list[str]:
        """Interface sections of these uplinks."""
        return [u.interface(family) for u in map(self.lab.uplink, names) for family in u.families]

    def states(self, *names: str) -> set[str]:
        """The states that interfaces of these uplinks have."""
        rows = self.lab.call({"cmd": "status"})["interfaces"]
        return {rows[section]["status"] for section in self.sections(*names)}

    def event(self, since: float, interface: str, to: str) -> dict[str, Any]:
        """The first event since that epoch second that brought the interface there. Raises NotSeenError without one."""
        for event in self.lab.call({"cmd": "events", "since": since})["events"]:
            if (event.get("interface"), event.get("to")) == (interface, to):
                found: dict[str, Any] = event
                return found
        raise NotSeenError(f"no event tells that {interface} became {to}")

    def watch_for(self, seconds: float) -> None:
        """Show the picture for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.draw()
            time.sleep(min(DRAW_SECONDS, max(0.0, end - time.monotonic())))

    def watch_until(self, condition: Callable[[], bool], what: str) -> None:
        """Show the picture until something is there. Raises NotSeenError when it does not come."""
        end = time.monotonic() + NOTICE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise NotSeenError(f"waited {NOTICE_SECONDS:.0f} s in vain for {what}")
            self.draw()
            time.sleep(0.05)

    def draw(self) -> None:
        rows = self.lab.call({"cmd": "status"})["interfaces"]
        now = time.monotonic()
        recent = self.taken(now - SHARE_SECONDS, now)
        total = recent.total()
        picture = [
            Row(
                name,
                role,
                "/".join(dict.fromkeys(rows[section]["status"] for section in self.sections(name))),
                rows[name]["latency"] if rows[name]["status"] == "online" else None,
                recent[name] / total if total else None,
            )
            for name, role in ROLES.items()
        ]
        failed = total - sum(recent[name] for name in ROLES)
        self.screen.draw(picture, [f"{total} new flows in the last {SHARE_SECONDS:.0f} s, {failed} without answer"])

    def claim(self, seen: bool, text: str, instead: object) -> None:
        """Say what was seen. Raises NotSeenError with what was there `instead`."""
        if not seen:
            raise NotSeenError(f"claimed: {text}; but there was: {instead}")
        self.screen.good(text)

    def traces(self) -> dict[str, str]:
        """Everything on the router that NetPath could have touched."""
        commands = {
            "nftables": ["nft", "-s", "list", "ruleset"],
            "IPv4 rules": ["ip", "-4", "rule"],
            "IPv6 rules": ["ip", "-6", "rule"],
            "IPv4 routes": ["ip", "-4", "route", "show", "table", "all"],
            "IPv6 routes": ["ip", "-6", "route", "show", "table", "all"],
            "reverse-path filters": ["sysctl", "-ar", r"\.rp_filter"],
        }
        return {what: "\n".join(sorted(self.lab.router.run(argv).splitlines())) for what, argv in commands.items()}


def shares(taken: Counter[str]) -> str:
    """In words: "60% fibre, 40% cable"."""
    return ", ".join(f"{count / taken.total():.0%} {name}" for name, count in taken.most_common())


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 2 else f"{seconds:.1f} s"


def main(pause: float = 3.0) -> int:
    """Play it; the exit code."""
    screen = Screen()
    try:
        screen.title("Build a house: a LAN, a router with three uplinks, a provider behind each, servers behind them")
        with Lab(list(ROLES)) as lab:
            demo = Demo(lab, screen, pause)
            try:
                demo.play()
            except (NotSeenError, LabError, OSError):
                for process in lab.processes:
                    if process.name == "netpath":
                        screen.say(f"What NetPath said:\n{process.output()}")
                raise
            screen.title("Everything that was claimed was seen.")
            if os.environ.get("KEEP") == "1":
                lab.start_netpath(demo.text)
                keep_up(lab)
    except (NotSeenError, LabError, OSError) as error:
        screen.title(f"THE DEMO FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        screen.title("Interrupted; everything is removed.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
