# SPDX-License-Identifier: GPL-2.0-or-later
"""The bond's package and service on OpenWrt's own programs: opkg, procd, rpcd, uci."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.openwrt.conftest import NETPATH, attempt, install, sh, uci
from tests.openwrt.openwrt_root import Router
from tests.openwrt.test_packages import builder
from tests.packages.ipk import Ipk, read

INIT = "/etc/init.d/netpath-bond"
CONFIG = "/etc/config/netpath"
BOND = "\nconfig bond 'far'\n\toption role 'server'\n\toption enabled '{}'\n"


@pytest.fixture(scope="module")
def libraries(root: None, tmp_path_factory: pytest.TempPathFactory) -> list[Ipk]:
    """What OpenWrt's feeds have: cryptography, as it is installed here, and a kernel module that is built in here."""
    ipk = builder()
    backend = Path(str(importlib.import_module("_cffi_backend").__file__))
    files = {f"usr/lib/netpath/{backend.name}": ipk.File(backend.read_bytes(), 0o644)}
    for module in ("cryptography", "cffi"):
        (place,) = importlib.import_module(module).__path__
        found = ipk.tree(Path(place), f"usr/lib/netpath/{module}").items()
        files |= {name: file for name, file in found if name.endswith((".py", ".so"))}
    made = []
    for name, contents in (("python3-cryptography", files), ("kmod-tun", {})):
        fields = {"Depends": "python3", "Section": "lang", "Description": "as in the feeds"}
        path = tmp_path_factory.mktemp("libraries") / f"{name}.ipk"
        path.write_bytes(ipk.build(ipk.Package(name, "1-r1", fields, {}, (), contents), 1700000000))
        made.append(read(path))
    return made


@pytest.fixture(scope="module")
def bonded(router: Router, packages: dict[str, Ipk], libraries: list[Ipk]) -> Iterator[Router]:
    """A router with the bond's package and no bond; without a tracker running."""
    install(router, *libraries, packages["netpath-bond"])
    sh(router, "/etc/init.d/rpcd reload")
    yield router
    attempt(router, "opkg remove netpath-bond")


@pytest.fixture
def running(bonded: Router) -> Iterator[int]:
    """A server with a key; its process id."""
    assert status(bonded, "bond_genkey", name="far")["public_key"]
    configure(bonded, on=True)
    sh(bonded, f"{INIT} start")
    bonded.wait(lambda: status(bonded, name="far")["running"], "the bond's answer")
    yield pid(bonded)
    attempt(bonded, f"{INIT} stop")
    configure(bonded, on=False)
    attempt(bonded, "rm /etc/netpath/far.key")


def configure(router: Router, *, on: bool) -> None:
    router.write(CONFIG, NETPATH + BOND.format(int(on)))
    sh(router, "reload_config")


def status(router: Router, method: str = "bond", **arguments: Any) -> dict[str, Any]:
    return router.ubus("netpath", method, arguments)


def pid(router: Router, name: str = "far") -> int:
    """Of a bond's process; 0 when procd has none."""
    found = router.ubus("service", "list", {"name": "netpath-bond"}).get("netpath-bond", {})
    instance = found.get("instances", {}).get(name, {})
    return int(instance["pid"]) if instance.get("running") else 0


def test_before_its_package_is_there_ubus_says_what_to_install(router: Router) -> None:
    for arguments in ({}, {"name": "far"}):
        reply = status(router, **arguments)
        assert (reply["running"], reply["installed"]) == (False, False)
        assert "opkg install netpath-bond" in reply["remedy"]
    assert "opkg install netpath-bond" in status(router, "bond_genkey", name="far")["error"]
    code, text = attempt(router, "netpath bond client")
    assert (code, "opkg install netpath-bond" in text) == (1, True)


def test_after_the_installation_it_is_enabled_and_has_nothing_to_do(bonded: Router) -> None:
    configure(bonded, on=False)
    assert attempt(bonded, f"{INIT} enabled")[0] == 0
    assert "no enabled section bond" in attempt(bonded, f"{INIT} start")[1]
    reply = status(bonded)
    assert (reply["running"], reply["installed"], reply["bonds"]) == (False, True, [])
    assert list((bonded.root / "usr/lib/netpath/netpath/bond/__pycache__").glob("main.cpython-*.pyc"))


def test_a_key_is_made_in_place_once_and_never_told(bonded: Router) -> None:
    first = status(bonded, "bond_genkey", name="home")
    assert (first["file"], first["made"]) == ("/etc/netpath/home.key", True)
    assert sh(bonded, "ls -l /etc/netpath/home.key").startswith("-rw-------")
    assert status(bonded, "bond_genkey", name="home") == {**first, "made": False}
    private = sh(bonded, "cat /etc/netpath/home.key").strip()
    assert private not in str(first)
    assert sh(bonded, "netpath bond pubkey < /etc/netpath/home.key").strip() == first["public_key"]
    assert private not in bonded.log()
    sh(bonded, "rm /etc/netpath/home.key")


def test_a_commit_starts_a_bond_and_its_answer_comes_by_ubus(bonded: Router, running: int) -> None:
    assert status(bonded)["bonds"] == ["far"]
    reply = status(bonded, name="far")
    assert (reply["role"], reply["port"], reply["peers"]) == ("server", 9001, [])
    assert reply["public_key"] == status(bonded, "bond_genkey", name="far")["public_key"]
    assert "netpath-bond[" in bonded.log()
    assert attempt(bonded, "netpath bond status far")[0] == 0


def test_a_new_client_is_a_reload_and_a_bad_one_changes_nothing(bonded: Router, running: int) -> None:
    key = sh(bonded, "netpath bond genkey | netpath bond pubkey").strip()
    uci(bonded, f"set netpath.cabin=bond_peer\nset netpath.cabin.public_key={key}\n"
                "set netpath.cabin.addresses=10.99.0.2\ncommit netpath\n")  # fmt: skip
    bonded.wait(lambda: [peer["name"] for peer in status(bonded, name="far")["peers"]] == ["cabin"], "the client")
    uci(bonded, "set netpath.cabin.addresses=10.99.0.1\ncommit netpath\n")
    bonded.wait(lambda: "goes on with what it has" in bonded.log(), "the refusal")
    assert [peer["name"] for peer in status(bonded, name="far")["peers"]] == ["cabin"]
    assert pid(bonded) == running


def test_each_bond_has_a_process_and_a_bad_one_waits(bonded: Router, running: int) -> None:
    uci(bonded, "set netpath.away=bond\nset netpath.away.role=client\nset netpath.away.device=tun-away\n"
                "commit netpath\n")  # fmt: skip
    bonded.wait(lambda: pid(bonded, "away"), "the second process")
    bonded.wait(lambda: "server_key is missing" in bonded.log() and "waiting for a reload" in bonded.log(), "its words")
    assert pid(bonded) == running
    uci(bonded, "set netpath.away.enabled=0\ncommit netpath\n")
    bonded.wait(lambda: not pid(bonded, "away"), "its end")
    assert pid(bonded) == running


def test_a_killed_one_comes_back(bonded: Router, running: int) -> None:
    sh(bonded, f"kill -9 {running}")
    bonded.wait(lambda: pid(bonded) not in (0, running) and status(bonded, name="far")["running"], "another one")


@pytest.mark.parametrize("by", ["stop", "commit"])
def test_what_a_killed_one_leaves_goes_with_its_service(bonded: Router, running: int, by: str) -> None:
    """Killed, and stopped or taken out of the configuration before procd starts it again."""
    sh(bonded, f"kill -9 {running}")
    assert "netpath_bond_far" in sh(bonded, "nft list tables")
    if by == "stop":
        sh(bonded, f"{INIT} stop")
    else:
        uci(bonded, "set netpath.far.enabled=0\ncommit netpath\n")
    bonded.wait(lambda: "netpath_bond_far" not in sh(bonded, "nft list tables"), "its table to go")
    assert not list((bonded.root / "var/run").glob("netpath-bond-far.*"))
    assert pid(bonded) == 0


def test_switching_it_off_ends_it_and_leaves_nothing(bonded: Router, running: int) -> None:
    assert "netpath_bond_far" in sh(bonded, "nft list tables")
    uci(bonded, "set netpath.far.enabled=0\ncommit netpath\n")
    bonded.wait(lambda: pid(bonded) == 0, "its end")
    assert "netpath_bond_far" not in sh(bonded, "nft list tables")
    assert status(bonded)["bonds"] == []


def test_a_removal_leaves_nothing(bonded: Router, packages: dict[str, Ipk], running: int) -> None:
    sh(bonded, "opkg remove netpath-bond")
    assert not (bonded.root / "usr/lib/netpath/netpath/bond").exists()
    assert (bonded.root / "usr/lib/netpath/netpath/bonding.py").exists()
    assert not (bonded.root / "var/run/netpath-bond-far.sock").exists()
    assert (bonded.root / "etc/netpath/far.key").exists()
    assert attempt(bonded, f"netpath check {CONFIG}")[0] == 0
    install(bonded, packages["netpath-bond"])
