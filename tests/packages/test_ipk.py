# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in the .ipk files of `make ipk`."""

from __future__ import annotations

import re
from pathlib import Path

from netpath import __version__
from netpath.config import loads
from tests.packages.conftest import ROOT, build
from tests.packages.ipk import Ipk

Packages = dict[str, Ipk]


def test_they_are_these(packages: Packages) -> None:
    translations = {"luci-i18n-netpath-ru", "luci-i18n-netpath-zh-cn"}
    assert set(packages) == {
        *("netpath", "netpath-monitor", "netpath-bond", "luci-app-netpath"),
        *("python3-nftables", "python3-prometheus-client"),
        *translations,
    }
    for name, ipk in packages.items():
        assert ipk.path.name == f"{name}_{ipk.control['Version']}_all.ipk"
        assert ipk.control["Architecture"] == "all"
    assert packages["netpath"].control["Version"] == f"{__version__}-r1"
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)*-r[0-9]+", packages["python3-nftables"].control["Version"]), "apk's form"


def test_the_same_source_gives_the_same_bytes(packages: Packages, tmp_path: Path) -> None:
    for name, again in build(tmp_path).items():
        assert again.path.read_bytes() == packages[name].path.read_bytes()


def test_everything_is_of_root_and_of_one_time(packages: Packages) -> None:
    for ipk in packages.values():
        for name, member in ipk.members.items():
            assert (member.uid, member.gid, member.uname, member.mtime) == (0, 0, "root", 1700000000), name
            assert member.isdir() or member.isfile(), name


def test_what_must_be_executable_is(packages: Packages) -> None:
    members = packages["netpath"].members
    programs = {n for n in members if n.startswith(("etc/init.d/", "usr/bin/", "usr/libexec/")) and members[n].isfile()}
    assert {"etc/init.d/netpath", "usr/bin/netpath"} <= programs
    assert [n for n in programs if members[n].mode != 0o755] == []
    for name in ("netpath-monitor", "netpath-bond"):
        assert packages[name].members[f"etc/init.d/{name}"].mode == 0o755
    assert members["etc/config/netpath"].mode == 0o644


def test_every_file_of_the_project_that_a_router_needs_is_in(packages: Packages) -> None:
    ours, monitor, bond = (packages[name].members for name in ("netpath", "netpath-monitor", "netpath-bond"))
    for path in ROOT.glob("netpath/**/*.py"):
        inside = path.relative_to(ROOT)
        assert (f"usr/lib/netpath/{inside}" in ours) == (inside.parts[1] not in ("lab", "monitor", "bond")), inside
        assert (f"usr/lib/netpath/{inside}" in monitor) == (inside.parts[1] == "monitor"), inside
        assert (f"usr/lib/netpath/{inside}" in bond) == (inside.parts[1] == "bond"), inside
    for files, members in (("files", ours), ("files-monitor", monitor), ("files-bond", bond)):
        for path in (p for p in ROOT.glob(f"{files}/**/*") if p.is_file()):
            assert str(path.relative_to(ROOT / files)) in members
    assert not [n for n in (*ours, *monitor, *bond) if "__pycache__" in n or n.endswith(".pyc")]
    assert "usr/lib/netpath/nftables.py" in packages["python3-nftables"].members
    assert "usr/lib/netpath/prometheus_client/registry.py" in packages["python3-prometheus-client"].members


def test_no_file_is_in_two_packages(packages: Packages) -> None:
    names = [n for ipk in packages.values() for n, m in ipk.members.items() if m.isfile()]
    assert len(names) == len(set(names))


def test_luci_finds_its_parts(packages: Packages) -> None:
    files = {n for n, m in packages["luci-app-netpath"].members.items() if m.isfile()}
    assert {
        "usr/share/luci/menu.d/luci-app-netpath.json",
        "usr/share/rpcd/acl.d/luci-app-netpath.json",
        "www/luci-static/resources/view/netpath/overview.js",
        "usr/lib/lua/luci/controller/netpath.lua",
    } <= files
    assert {"netpath", "luci-base"} == packages["luci-app-netpath"].depends


def test_translations_are_where_luci_looks(packages: Packages) -> None:
    for short, listed in (("ru", "ru"), ("zh-cn", "zh_cn")):
        ipk = packages[f"luci-i18n-netpath-{short}"]
        assert ipk.depends == {"luci-app-netpath"}
        assert ipk.members[f"usr/lib/lua/luci/i18n/netpath.{short}.lmo"].size > 4
        script = ipk.text(f"etc/uci-defaults/luci-i18n-netpath-{short}")
        assert re.fullmatch(rf"uci set luci\.languages\.{listed}='[^']+'; uci commit luci\n", script)


def test_the_users_files_survive_upgrades(packages: Packages) -> None:
    ipk = packages["netpath"]
    assert ipk.scripts["conffiles"].split() == ["/etc/config/netpath", "/etc/netpath.user"]
    assert {"/etc/netpath/", "/etc/netpath.d/"} <= set(ipk.text("lib/upgrade/keep.d/netpath").split())
    own = ROOT / "files/lib/upgrade/keep.d/netpath"
    assert not own.exists() or ipk.text("lib/upgrade/keep.d/netpath").startswith(own.read_text())
    assert set(ipk.scripts["conffiles"].split()) <= {f"/{name}" for name in ipk.members}


def test_the_first_configuration_is_inert_and_its_example_is_right(packages: Packages) -> None:
    text = packages["netpath"].text("etc/config/netpath")
    shipped = loads(text)
    assert shipped.config is not None
    assert not shipped.config.globals.enabled
    assert shipped.config.interfaces == ()
    uncommented = re.sub(r"^#(config|\t|$)", r"\1", text, flags=re.MULTILINE).replace("enabled '0'", "enabled '1'")
    example = loads(uncommented)
    assert example.config is not None
    assert [str(p) for p in example.problems] == []
    assert [i.name for i in example.config.interfaces] == ["wan", "wanb"]
    assert len(example.config.rules) == 1
