# SPDX-License-Identifier: GPL-2.0-or-later
"""A group an uplink, which nft recognises; nothing of it stays behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath.kernel import cgroup
from netpath.kernel.cgroup import CgroupUnavailable
from tests.kernel.kernel_world import World

pytestmark = pytest.mark.lab

SEND = "import socket,sys; sys.stdin.read(1); socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 9))"


@pytest.fixture
def table() -> Iterator[str]:
    try:
        cgroup._root()
    except CgroupUnavailable as error:
        pytest.skip(str(error))
    name = f"npk{os.getpid()}"
    try:
        yield name
    finally:
        cgroup.remove_all(name)


def test_nft_recognises_the_processes_of_a_group(world: World, table: str) -> None:
    group = cgroup.ensure(cgroup.name_of(table, "wan"))
    assert group.directory.name.startswith(f"{table}.")
    assert group.directory.name.endswith(".wan")
    member_of = f'socket cgroupv2 level {group.level} "{group.nft_path}"'
    world.nft(f"table inet t {{ chain o {{ type route hook output priority mangle; {member_of} counter; }}; }}\n")
    program = [sys.executable, "-ISc", SEND]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as member:
        (group.directory / "cgroup.procs").write_text(str(member.pid), encoding="ascii")
        member.communicate(b"x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.sendto(b"x", ("127.0.0.1", 9))
    counters = [e for r in world.nft_json("list", "table", "inet", "t") for e in r.get("rule", {}).get("expr", [])]
    assert [e["counter"]["packets"] for e in counters if "counter" in e] == [1]


def test_twice_is_the_same_group(table: str) -> None:
    name = cgroup.name_of(table, "wan")
    assert cgroup.existing(name) is None
    made = cgroup.ensure(name)
    assert cgroup.ensure(name) == made == cgroup.existing(name)
    cgroup.remove(name)
    cgroup.remove(name)
    assert cgroup.existing(name) is None


def test_removal_leaves_the_processes_and_foreign_groups(table: str) -> None:
    group = cgroup.ensure(cgroup.name_of(table, "wan"))
    other = cgroup.ensure(cgroup.name_of(f"{table}0", "wan"))
    cgroup.ensure(cgroup.name_of(table, "wan2"))
    try:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as member:
            (group.directory / "cgroup.procs").write_text(str(member.pid), encoding="ascii")
            cgroup.remove_all(table)
            assert member.poll() is None
            assert f"{table}." not in Path(f"/proc/{member.pid}/cgroup").read_text(encoding="ascii")
        assert not group.directory.exists()
        assert cgroup.existing(cgroup.name_of(table, "wan2")) is None
        assert other.directory.exists()
    finally:
        cgroup.remove(other.directory.name)


def test_ip_netns_exec_hides_control_groups_and_is_named(world: World) -> None:
    code = (
        "from netpath.kernel import cgroup\n"
        "try: cgroup.ensure('npk.wan')\n"
        "except cgroup.CgroupUnavailable as error: print(error)\n"
        "print(cgroup.existing('npk.wan')); cgroup.remove_all('npk')\n"
    )
    said = world.run("ip", "netns", "exec", world.name, sys.executable, "-c", code)
    assert "ip netns exec" in said
    assert said.endswith("None\n")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", 'a"b'])
def test_a_name_that_leads_elsewhere_is_refused(table: str, name: str) -> None:
    assert table
    with pytest.raises(CgroupUnavailable, match="cannot name"):
        cgroup.ensure(name)


def test_names_of_any_length_stay_short_and_distinct() -> None:
    long = "x" * 64
    names = {cgroup.name_of(table, interface) for table in ("t", long) for interface in (long, long[:-1] + "y", "wan")}
    assert len(names) == 6
    assert max(map(len, names)) <= 75, "nft takes 90 bytes in quotes, and the path has a beginning"
