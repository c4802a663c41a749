# SPDX-License-Identifier: GPL-2.0-or-later
"""The real nft takes every text that we make: into an empty kernel, and on top of what stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest

from netpath.kernel import cgroup
from netpath.kernel.nft import Nft
from netpath.steering.policy import SteeringView, swap
from netpath.steering.ruleset import ruleset
from tests.kernel.nsbox import Box
from tests.kernel.steering_site import Site, both, everything, internet, one_policy, site
from tests.unit.steering.steering_golden import Case, cases
from tests.unit.steering.steering_worlds import config, interface, policy, random_rules, rule, uplink

pytestmark = pytest.mark.lab

MODES = ("balanced", "failover", "round-robin", "hash", "weighted", "random")


@pytest.fixture
def box() -> Iterator[Box]:
    with Box() as made:
        yield made


@pytest.mark.parametrize("case", [c for c in cases() if "cgroups" not in c.input], ids=lambda c: c.path.stem)
def test_golden_texts_load_twice_and_switch(box: Box, case: Case) -> None:
    text = case.full()
    box.check(text)
    box.nft(text)
    box.nft(text)
    made, uplinks, usable = case.world()
    view = SteeringView.of(made, {u.name: u.id for u in uplinks})
    policies = [p.name for p in made.policies]
    for some in (usable, frozenset[str](), frozenset(sorted(usable)[:1])) if policies else ():
        box.nft(swap(view, some, policies))
        rule_by_rule = box.run("nft", "-s", "list", "table", "inet", view.table)
        if Nft().fills_chains():
            box.nft(swap(view, frozenset(("nobody",)), policies))
            box.nft(swap(view, some, policies, blocks=True))
            assert box.run("nft", "-s", "list", "table", "inet", view.table) == rule_by_rule


@pytest.mark.parametrize("seed", range(6))
def test_random_configurations_load_after_each_other(box: Box, seed: int) -> None:
    """Interfaces, policies and rules come and go; each text replaces the one before."""
    random = Random(seed)
    for _ in range(4):
        count = random.randrange(1, 8)
        families = [random.choice(("ipv4", "ipv6")) for _ in range(count)]
        names = [f"w{random.randrange(20)}-{n}" for n in range(count)]
        interfaces = [interface(n, f) for n, f in zip(names, families, strict=True)]
        uplinks = [
            uplink(
                name,
                number,
                random.choice((None, f"eth{number}", "eth0")),
                family,
                addresses=[f"192.0.2.{number}/24" if family == "ipv4" else f"2001:db8::{number}/64"],
                connected=["192.0.2.0/24" if family == "ipv4" else "2001:db8::/64"],
                main_default=random.random() < 0.3,
            )
            for number, (name, family) in enumerate(zip(names, families, strict=True), random.randrange(1, 30))
        ]
        policies = [
            policy(
                mode,
                [f"{n} {random.randrange(1, 400)} {random.randrange(1, 3)}" for n in random.sample(names, len(names))],
                mode,
                random.choice(("unreachable", "blackhole", "default")),
            )
            for mode in MODES
        ]
        rules = random_rules(random, 30, (*MODES, "default", "unreachable", "blackhole"))
        rules += [
            rule(
                f"sticky{random.randrange(9)}",
                random.choice(MODES),
                sticky=True,
                logging=True,
                timeout=random.randrange(1, 999),
            )
        ]
        text = ruleset(
            config(interfaces, policies, rules),
            uplinks,
            frozenset(n for n in names if random.random() < 0.7),
            existing_chains=box.names("chain") if box.tables() else (),
            existing_sets=box.names("set") if box.tables() else (),
            existing_counters=box.names("counter") if box.tables() else (),
            load="1a2b",
        )
        box.nft(text)
        box.nft(text)


def test_many_rules_and_uplinks_load(box: Box) -> None:
    names = [f"w{n}" for n in range(1, 61)]
    made = config(
        [interface(n) for n in names],
        [policy("all", [f"{n} {i}" for i, n in enumerate(names, 1)]), policy("spread", names, "hash")],
        [rule(f"r{i}", "all", dest_ip=f"198.51.{i // 250}.{i % 250}", sticky=i == 0) for i in range(2000)],
    )
    uplinks = [uplink(n, i, f"d{i}", addresses=[f"192.0.2.{i}/32"]) for i, n in enumerate(names, 1)]
    text = ruleset(
        made, uplinks, frozenset(names), existing_chains=(), existing_sets=(), existing_counters=(), load="1a2b"
    )
    box.nft(text)
    assert len(box.names("chain")) > 2000


def test_a_group_of_netpath_use_takes_its_uplink() -> None:
    name = f"npst-{os.getpid()}"
    try:
        group = cgroup.ensure(name)
    except cgroup.CgroupUnavailable as why:
        pytest.skip(str(why))
    try:
        with site() as there:
            _use(there, group)
    finally:
        cgroup.remove(name)


def _use(there: Site, group: cgroup.Cgroup) -> None:
    there.load(one_policy(both("3")), [everything()], cgroups={2: (group.level, group.nft_path)})
    program = (
        "import os, pathlib, socket, sys\n"
        "pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
        "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "sock.bind(('0.0.0.0', 4000))\n"
        "sock.sendto(b'x', (sys.argv[2], 443))\n"
    )
    command = ["nsenter", f"--net=/run/netns/{there.router.name}", sys.executable, "-c", program]
    subprocess.run([*command, str(group.directory), internet("ipv4")], check=True)
    there.leaves("wan2", internet("ipv4"), 4000)
    with there.router.udp() as outside:
        outside.bind(("0.0.0.0", 4001))
        outside.sendto(b"x", (internet("ipv4"), 443))
    there.leaves("wan3", internet("ipv4"), 4001)
