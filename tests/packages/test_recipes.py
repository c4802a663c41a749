# SPDX-License-Identifier: GPL-2.0-or-later
"""openwrt.mk as make reads it: with stand-ins for a buildroot's own makefiles, and with a real buildroot.

NETPATH_BUILDROOT names an OpenWrt buildroot or SDK with the feeds of feeds.conf.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages.conftest import ROOT
from tests.packages.ipk import Ipk

VARIABLE = "NETPATH_BUILDROOT"
RULES = """
INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=mkdir -p
CP:=cp -fpR
PKG_BUILD_DIR:=$(TOPDIR)/build
PKG_INSTALL_DIR:=$(TOPDIR)/staged
all:
"""
PYTHON = """
PYTHON3_PKG_DIR:=/usr/lib/python3.99/site-packages
define Py3Package
endef
"""
PACKAGE = """
define BuildPackage
all: build-$(1)
build-$(1):
	$$(call Build/Prepare)
	$$(call Build/Install)
	mkdir -p $(TOPDIR)/made/$(1)
	$$(call Package/$(1)/install,$(TOPDIR)/made/$(1))
	$$(call Py3Package/$(1)/install,$(TOPDIR)/made/$(1))
endef
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A buildroot that only installs."""
    files = {"rules.mk": RULES, "include/package.mk": PACKAGE, "feeds/packages/lang/python/python3-package.mk": PYTHON}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    po2lmo = tmp_path / "bin/po2lmo"  # LuCI's own makes the same, byte for byte: tests/luci_tools/test_po.py
    po2lmo.parent.mkdir()
    po2lmo.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tools/po.py lmo "$1" "$2"\n')
    po2lmo.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("directory", ["packages/netpath", "."])
def test_the_buildroot_installs_what_the_ipk_has(stand_in: Path, packages: dict[str, Ipk], directory: str) -> None:
    argv = ["make", "-s", "-C", str(ROOT / directory), f"TOPDIR={stand_in}"]
    environment = {**os.environ, "PATH": f"{stand_in}/bin:{os.environ['PATH']}"}
    subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    for name in ("netpath", "netpath-monitor", "netpath-bond", "luci-app-netpath"):
        made = {
            str(p.relative_to(stand_in / "made" / name)) for p in (stand_in / "made" / name).rglob("*") if p.is_file()
        }
        packed = {n for n, m in packages[name].members.items() if m.isfile() and not n.startswith("usr/lib/netpath/")}
        # Into the list of files that sysupgrade keeps, a buildroot enters conffiles while it packs.
        assert made | {"lib/upgrade/keep.d/netpath"} == packed | {"lib/upgrade/keep.d/netpath"}
    staged = {str(p.relative_to(stand_in / "staged/usr/lib/python3.99/site-packages")) for p in stand_in.rglob("*.py")}
    packed = {
        n
        for name in ("netpath", "netpath-monitor", "netpath-bond")
        for n in packages[name].members
        if n.endswith(".py")
    }
    assert staged == {n.removeprefix("usr/lib/netpath/") for n in packed}


def test_a_feed_finds_the_package_and_nothing_odd() -> None:
    """A buildroot greps the Makefiles below a feed's root; it cannot cope with a match in that of the root itself."""
    pattern = re.compile(r"call (Build/DefaultTargets|BuildPackage|KernelPackage|.+Package)")
    found = {str(p.parent.relative_to(ROOT)) for p in ROOT.rglob("Makefile") if pattern.search(p.read_text())}
    assert {name for name in found if not name.startswith(".venv")} == {
        "packages/netpath", "packages/python3-nftables", "packages/python3-prometheus-client",
    }  # fmt: skip


def test_by_itself_make_is_for_developers() -> None:
    said = subprocess.run(
        ["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True, env=plain()
    ).stdout
    assert "make demo" in said
    assert "make ipk" in said


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("TOPDIR", "MAKEFLAGS", "MAKELEVEL")}


def test_a_real_buildroot_reads_the_metadata(packages: dict[str, Ipk]) -> None:
    buildroot = os.environ.get(VARIABLE)
    if not buildroot:
        pytest.skip(f"{VARIABLE} names no OpenWrt buildroot")
    for name in ("netpath", "python3-nftables", "python3-prometheus-client"):
        argv = ["make", "-s", "-r", "-C", str(ROOT / "packages" / name), "DUMP=1", f"TOPDIR={buildroot}"]
        said = subprocess.run(argv, capture_output=True, text=True, check=True, env=plain()).stdout
        for block in said.split("@@\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
            if fields.get("Package") in packages:
                ipk = packages[fields["Package"]]
                assert fields["Version"] == ipk.control["Version"]
                assert {d.removeprefix("+") for d in fields["Depends"].split()} - {"libc"} == ipk.depends
        assert f"Package: {name}\n" in said
