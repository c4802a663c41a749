# SPDX-License-Identifier: GPL-2.0-or-later
"""One function a kind of fault. Each does it and returns what undoes it."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from netpath.lab.namespace import LabError, Unavailable, wait_until
from netpath.statedir import IDS, StateDir
from tests.torture import connections, foreign, policies
from tests.torture.foreign import PROTOCOL
from tests.torture.plan import Step
from tests.torture.policies import STEERED, TABLE
from tests.torture.world import TorturedLab, Violation

Undo = Callable[[], object]
Fault = Callable[[TorturedLab, Step], Undo]
FIRST_TABLE, STEERING_RULE = 1000, 6103
FAMILIES = ("ipv4", "ipv6")
CLOCKS = (-3600.0, 3600.0, 86_400.0, -20 * 365 * 86_400.0, 5 * 365 * 86_400.0)


def nothing() -> None:
    """It is over already."""


def carrier(lab: TorturedLab, step: Step) -> Undo:
    lab.carrier(step.target, False)

    def undo() -> None:
        lab.carrier(step.target, True)
        lab.ifup(step.target)

    return undo


def flap(lab: TorturedLab, step: Step) -> Undo:
    lab.flap(step.target, 1 + step.value % 5)
    lab.ifup(step.target)
    return nothing


def address(lab: TorturedLab, step: Step) -> Undo:
    family = FAMILIES[step.value % 2]
    lab.change_address(step.target, family)
    return lambda: lab.change_address(step.target, family)


def gateway(lab: TorturedLab, step: Step) -> Undo:
    family = FAMILIES[step.value % 2]
    lab.change_gateway(step.target, family)
    return lambda: lab.change_gateway(step.target, family)


def ifdown(lab: TorturedLab, step: Step) -> Undo:
    lab.ifdown(step.target)
    return lambda: lab.ifup(step.target)


def vanish(lab: TorturedLab, step: Step) -> Undo:
    """The device is gone, as that of a modem that was pulled out."""
    lab.router.ip(f"link set dev {step.target} down\nlink set dev {step.target} name gone-{step.target}\n")

    def undo() -> None:
        lab.router.ip(f"link set dev gone-{step.target} name {step.target}\n")
        lab.ifup(step.target)

    return undo


def cut(lab: TorturedLab, step: Step) -> Undo:
    lab.cut(step.target)
    return lambda: lab.uncut(step.target)


def cut_behind(lab: TorturedLab, step: Step) -> Undo:
    lab.cut(step.target, gateway_alive=True)
    return lambda: lab.uncut(step.target)


def loss(lab: TorturedLab, step: Step) -> Undo:
    lab.loss(step.target, 5 + step.value % 90)
    return lambda: lab.loss(step.target, 0)


def remove(lab: TorturedLab, step: Step) -> Undo:
    """An interface leaves the configuration, and comes back with the undoing."""
    lab.reconfigure(add=policies.REMOVED)
    return lambda: lab.reconfigure(drop=policies.REMOVED)


def reorder(lab: TorturedLab, step: Step) -> Undo:
    lab.reconfigure(add=policies.REORDERED)
    return lambda: lab.reconfigure(drop=policies.REORDERED)


def reweight(lab: TorturedLab, step: Step) -> Undo:
    lab.reconfigure(add=policies.REWEIGHTED)
    return lambda: lab.reconfigure(drop=policies.REWEIGHTED)


def reload(lab: TorturedLab, step: Step) -> Undo:
    """The same configuration, by a heap of signals and one request."""
    if lab.tracker is not None:
        for _ in range(step.value % 10):
            os.kill(lab.tracker.pid, signal.SIGHUP)
    lab.reconfigure()
    return nothing


def bad_config(lab: TorturedLab, step: Step) -> Undo:
    reply = lab.reconfigure(add=policies.BROKEN)
    if "error" not in reply:
        raise Violation(f"a bad configuration was accepted: {reply}")
    return lambda: lab.reconfigure(drop=policies.BROKEN)


def kill(lab: TorturedLab, step: Step) -> Undo:
    """The tracker is gone, and started again with the undoing."""
    lab.kill()
    return lab.start


def kill_worker(lab: TorturedLab, step: Step) -> Undo:
    asking = threading.Thread(target=_reload_unheard, args=(lab,))
    asking.start()
    with suppress(LabError):  # too quick for us: then it has loaded
        wait_until(lambda: bool(lab.workers()), 2.0, "a worker")
        time.sleep(step.value % 100 / 250)  # somewhere in its 0.3 s
    for pid in lab.workers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    asking.join()
    return nothing


def _reload_unheard(lab: TorturedLab) -> None:
    with suppress(LabError):
        lab.ask({"cmd": "reload"})


def freeze(lab: TorturedLab, step: Step) -> Undo:
    """The tracker gets no processor, as on a router that is overwhelmed."""
    if lab.tracker is not None:
        os.kill(lab.tracker.pid, signal.SIGSTOP)
        try:
            time.sleep(0.1 + step.value % 100 / 100)
        finally:
            os.kill(lab.tracker.pid, signal.SIGCONT)
    return nothing


def nft_flush(lab: TorturedLab, step: Step) -> Undo:
    """Somebody sets up his firewall anew, and everybody else's is gone."""
    lab.lose_table("flush ruleset\n" + lab.others)
    return nothing


def nft_delete(lab: TorturedLab, step: Step) -> Undo:
    lab.lose_table(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
    return nothing


def nft_empty(lab: TorturedLab, step: Step) -> Undo:
    """All its rules are gone, chains and sets stay."""
    lab.lose_table(f"table inet {TABLE}\nflush table inet {TABLE}\n")
    return nothing


def fw_reload(lab: TorturedLab, step: Step) -> Undo:
    """What fw4 does: its own table anew, and our file, which it includes. Nothing may go wrong meanwhile."""
    for _ in range(1 + step.value % 3):
        lab.router.nft(f'{foreign.FIREWALL}include "{lab.state_dir}/ruleset*.nft"\n')
    return nothing


def routes_lost(lab: TorturedLab, step: Step) -> Undo:
    """Somebody flushes a routing table of ours; what is marked for it must not leave at all until it is back."""
    table = FIRST_TABLE + _id_of(lab, step)
    for family in ("-4", "-6"):
        lab.router.run(["ip", family, "route", "flush", "table", str(table), "proto", PROTOCOL], check=False)
    return nothing


def rules_lost(lab: TorturedLab, step: Step) -> Undo:
    """The same with the ip rules of an uplink."""
    mark = f"{_id_of(lab, step) << 8:#x}/{policies.MASK:#x}"
    for family in ("-4", "-6"):
        argv = ["ip", family, "rule", "del", "pref", str(STEERING_RULE), "fwmark", mark]
        lab.router.run(argv, check=False)
    return nothing


def _id_of(lab: TorturedLab, step: Step) -> int:
    ids = StateDir(lab.state_dir).numbers(IDS, "ids")
    return ids[sorted(name for name in ids if name.removesuffix("_6") in STEERED)[step.value % 6]]


def conntrack_flush(lab: TorturedLab, step: Step) -> Undo:
    lab.router.run(["conntrack", "-F"], check=False)
    return nothing


def conntrack_full(lab: TorturedLab, step: Step) -> Undo:
    """No new connection for anybody; raises Unavailable where the table is too large to fill."""
    reason = lab.router.inside(connections.too_large)
    if reason:
        raise Unavailable(reason)
    lab.router.inside(connections.fill)
    return lambda: lab.router.inside(connections.empty)


def disk_full(lab: TorturedLab, step: Step) -> Undo:
    filler = lab.state_dir / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler.unlink


def clock_jump(lab: TorturedLab, step: Step) -> Undo:
    """The tracker's wall clock; see `tests.torture.clocked`."""
    lab.clock_file.write_text(str(CLOCKS[step.value % len(CLOCKS)]))
    return lambda: lab.clock_file.write_text("0")


def big_set(lab: TorturedLab, step: Step) -> Undo:
    """Somebody else loads 100,000 elements, and removes them with the undoing."""
    lab.router.nft(foreign.big_table("another"))
    return lambda: lab.router.nft("table inet another\ndelete table inet another\n")


def switch_off(lab: TorturedLab, step: Step) -> Undo:
    """`netpath ifdown`, and `ifup` with the undoing."""
    name = random.Random(step.value).choice(STEERED) + ("_6" if step.value % 2 else "")
    lab.ask({"cmd": "disable", "interface": name})
    return lambda: lab.ask({"cmd": "enable", "interface": name})


FAULTS: Mapping[str, Fault] = {
    function.__name__: function
    for function in (
        *(carrier, flap, address, gateway, ifdown, vanish, cut, cut_behind, loss),
        *(remove, reorder, reweight, reload, bad_config, kill, kill_worker, freeze),
        *(nft_flush, nft_delete, nft_empty, fw_reload, routes_lost, rules_lost),
        *(conntrack_flush, conntrack_full, disk_full, clock_jump, big_set, switch_off),
    )
}
