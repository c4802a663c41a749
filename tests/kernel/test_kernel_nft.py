# SPDX-License-Identifier: GPL-2.0-or-later
"""Transactions by libnftables: all or nothing, beside other programs that load rules at the same time."""

from __future__ import annotations

import builtins
import ctypes
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netpath.kernel import nft as nft_module
from netpath.kernel.nft import Nft, NftError, version
from tests.kernel.kernel_world import World, enter

pytestmark = pytest.mark.lab

TABLE = "table inet netpath { chain pol_a_4 { counter; accept; }; chain w_1 { accept; }; chain w_2 { accept; }; }\n"


def swap(number: int) -> str:
    return f"flush chain inet netpath pol_a_4\nadd rule inet netpath pol_a_4 goto w_{1 + number % 2}\n"


def swap_in_a_block(number: int) -> str:
    return f"flush chain inet netpath pol_a_4\nadd chain inet netpath pol_a_4 {{\ngoto w_{1 + number % 2}\n}}\n"


def chain(world: World, name: str) -> str:
    return world.run("nft", "list", "chain", "inet", "netpath", name)


def test_run_applies(world: World) -> None:
    with Nft() as nft:
        nft.run(TABLE)
        nft.run(swap(1))
    assert "goto w_2" in chain(world, "pol_a_4")


def test_a_refused_text_changes_nothing_and_says_why(world: World) -> None:
    with Nft() as nft:
        nft.run(TABLE)
        before = world.run("nft", "-a", "list", "ruleset")
        with pytest.raises(NftError, match="No such file or directory") as refused:
            nft.run(swap(1) + "add rule inet netpath no_such_chain accept\n")
        assert refused.value.excerpt.startswith("flush chain inet netpath pol_a_4")
        with pytest.raises(NftError, match="syntax error"):
            nft.run("add nonsense\n")
        assert world.run("nft", "-a", "list", "ruleset") == before
        nft.run(swap(0))
    assert "goto w_1" in chain(world, "pol_a_4")


def test_check_tells_and_changes_nothing(world: World) -> None:
    with Nft() as nft:
        nft.run(TABLE)
        before = world.run("nft", "-a", "list", "ruleset")
        nft.check(swap(1))
        with pytest.raises(NftError, match="No such file or directory"):
            nft.check("add rule inet netpath no_such_chain accept\n")
        assert world.run("nft", "-a", "list", "ruleset") == before
        nft.run(swap(1))
        assert "goto w_2" in chain(world, "pol_a_4"), "a run after a check is real"


def test_whether_rules_within_a_chain_are_added_is_found_out_without_a_trace(world: World) -> None:
    with Nft() as nft:
        nft.run(TABLE)
        before = world.run("nft", "-a", "list", "ruleset")
        fills = nft.fills_chains()
        assert world.run("nft", "-a", "list", "ruleset") == before
        nft.run(swap_in_a_block(1))
    assert ("goto w_2" in chain(world, "pol_a_4")) == fills


def test_a_library_that_drops_rules_within_a_chain_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What those before 1.0.7 say to rules that go nowhere: nothing. Any other trouble is no proof either."""
    with Nft() as nft:
        for said, fills in (
            ("", False),
            ("Error: Operation not permitted", False),
            ("No such file or directory", True),
        ):
            monkeypatch.setattr(nft, "_fills_chains", None)
            monkeypatch.setattr(nft, "_command", lambda _, said=said: ("", said))
            assert nft.fills_chains() == fills


def test_a_busy_moment_passes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds what we want to change, and lets go a little later."""
    monkeypatch.setattr(nft_module, "_PAUSE", 0.0)
    with Nft() as nft:
        nft.run(TABLE + "add chain inet netpath old\nadd rule inet netpath w_1 jump old\n")
        monkeypatch.setattr(time, "sleep", lambda _: world.run("nft", "flush", "chain", "inet", "netpath", "w_1"))
        nft.run("delete chain inet netpath old\n")
    assert "chain old" not in world.run("nft", "list", "ruleset")


def test_what_stays_busy_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft_module, "_PAUSE", 0.0)
    with Nft() as nft:
        nft.run(TABLE + "add chain inet netpath old\nadd rule inet netpath w_1 jump old\n")
        with pytest.raises(NftError, match="busy"):
            nft.run("delete chain inet netpath old\n")
    assert "chain old" in world.run("nft", "list", "ruleset")


@pytest.mark.parametrize("swap", [swap, swap_in_a_block])
def test_while_a_firewall_reloads(world: World, swap: Callable[[int], str]) -> None:
    firewall = "table inet fw4\ndelete table inet fw4\ntable inet fw4 { set s { type ipv4_addr; flags interval; "
    firewall += "elements = { " + ", ".join(f"192.0.2.{n}" for n in range(1, 250, 2)) + " }; }; chain forward { "
    firewall += "type filter hook forward priority filter; ip saddr @s accept; }; }\n"
    done = threading.Event()
    reloads = number = 0

    def reload() -> None:
        nonlocal reloads
        enter(handle)
        while not done.is_set():
            world.nft(firewall)
            reloads += 1

    handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    thread = threading.Thread(target=reload)
    with Nft() as nft:
        nft.run(TABLE)
        if swap is swap_in_a_block and not nft.fills_chains():
            pytest.skip("this libnftables drops rules within a chain")
        thread.start()
        try:
            while reloads < 10 or number < 100:
                number += 1
                nft.run(swap(number))
        finally:
            done.set()
            thread.join()
            os.close(handle)
    assert f"goto w_{1 + number % 2}" in chain(world, "pol_a_4")


def test_memory_stays_level(world: World) -> None:
    assert world

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()

    with Nft() as nft:
        nft.run(TABLE)
        for number in range(200):
            nft.run(swap(number))
        before = resident()
        for number in range(2000):
            nft.run(swap(number))
        assert resident() - before < 512 * 1024


class Mallinfo(ctypes.Structure):
    """struct mallinfo2 of glibc's malloc.h."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def test_what_was_read_of_other_peoples_tables_is_not_kept(world: World) -> None:
    """libnftables holds half a MiB a table until its next command; a tracker waits for that for months."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("this C library does not tell what is allocated")
    libc.mallinfo2.restype = Mallinfo

    def allocated() -> int:
        info = libc.mallinfo2()
        return int(info.uordblks + info.hblkhd)

    with Nft() as nft:
        nft.run(TABLE)
        before = allocated()
        world.nft("".join(f"table inet foreign{n} {{ chain c {{ }}; }}\n" for n in range(6)))
        for number in range(3):
            nft.run(swap(number))
        assert allocated() - before < 256 * 1024


def test_version(world: World) -> None:
    assert f"v{version()} " in world.run("nft", "--version")


def test_without_the_binding_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "nftables":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.delitem(sys.modules, "nftables", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(NftError, match="python3-nftables"):
        Nft()


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError("libnftables.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(NftError, match="libnftables1"):
        Nft()


def test_odd_bytes_reach_nft_and_come_back_as_an_error(world: World) -> None:
    assert world
    with Nft() as nft, pytest.raises(NftError):
        nft.run("add table inet \udcff\n")
