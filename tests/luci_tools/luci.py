# SPDX-License-Identifier: GPL-2.0-or-later
"""A router with the real LuCI and NetPath's pages, and a browser on its LAN."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from netpath.lab.world import PACKAGE_ROOT
from tests.luci.browser import Browser
from tests.openwrt.openwrt_root import LAN, Router

HOME = f"http://{LAN.format(1)}/cgi-bin/luci/"
TOOLS = f"{HOME}admin/network/netpath/tools/"
READER = "reader"
PASSWORD = "netpath"
LANGUAGES = {"ru": ("ru", "Русский (Russian)"), "zh_Hans": ("zh-cn", "简体中文 (Simplified Chinese)")}
"""Directory in po/ -> LuCI's own name of it, and what its settings call it."""


def page_files() -> dict[str, str]:
    """What luci-app-netpath puts on a router: path -> text."""
    found = {}
    for source, target in (("htdocs", "/www"), ("root", "")):
        for file in (PACKAGE_ROOT / source).rglob("*"):
            if file.is_file():
                found[f"{target}/{file.relative_to(PACKAGE_ROOT / source)}"] = file.read_text(encoding="utf-8")
    return found


@contextmanager
def site(files: Mapping[str, str]) -> Iterator[tuple[Router, Browser]]:
    """Boots the router with `files` beside the pages; the browser has nobody logged in."""
    with Router({**page_files(), **files}) as router:
        po = runpy.run_path(str(PACKAGE_ROOT / "tools/po.py"), run_name="po")
        catalogues = router.root / "usr/lib/lua/luci/i18n"
        catalogues.mkdir(parents=True, exist_ok=True)
        for language, (short, title) in LANGUAGES.items():
            messages = po["read"](Path(PACKAGE_ROOT / f"po/{language}/netpath.po").read_text(encoding="utf-8"))
            (catalogues / f"netpath.{short}.lmo").write_bytes(po["lmo"](messages))
            router.run("uci", "set", f"luci.languages.{short.replace('-', '_')}={title}")
        router.run("uci", "commit", "luci")
        add_reader(router)
        with Browser(router.spaces["lan"].argv([])) as browser:
            yield router, browser


def add_reader(router: Router) -> None:
    """A second user who may read what NetPath's access list lets one read, and nothing else of it."""
    encrypted = router.run("uhttpd", "-m", PASSWORD).strip()
    router.run(
        "uci",
        "batch",
        stdin=f"""
add rpcd login
set rpcd.@login[-1].username='{READER}'
set rpcd.@login[-1].password='{encrypted}'
add_list rpcd.@login[-1].read='*'
commit rpcd
""",
    )
    router.run("/etc/init.d/rpcd", "reload")


def language(router: Router, name: str) -> None:
    """Let LuCI speak it from the next page on."""
    router.run("uci", "set", f"luci.main.lang={name}")
    router.run("uci", "commit", "luci")


def login(browser: Browser, user: str = "root", **look: int | bool) -> None:
    browser.fresh(**look)  # type: ignore[arg-type]
    browser.open(HOME)
    browser.wait_for("input[name=luci_password]")
    browser.fill("input[name=luci_username]", user)
    browser.fill("input[name=luci_password]", PASSWORD)
    browser.press("Enter")
    browser.wait("document.querySelector('#topmenu li, #mainmenu, header .nav li') !== null")
    browser.problems()
