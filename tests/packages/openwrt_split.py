# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenWrt's division of Python's standard library into packages, as an import hook: `PYTHONPATH` has the directory of
this file under the name sitecustomize.py, and WITHOUT the packages that are not installed.

From the recipes of OpenWrt's feed (lang/python/python3/files), releases 23.05 to 25.12. What is not here is in
python3-light or python3-base.
"""

from __future__ import annotations

import os
import sys

SPLIT = {
    "python3-asyncio": {"asyncio"},
    "python3-cgi": {"cgi", "cgitb"},
    "python3-codecs": {"unicodedata", "_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr"},
    "python3-ctypes": {"ctypes", "_ctypes"},
    "python3-dbm": {"dbm", "_dbm", "_gdbm"},
    "python3-decimal": {"decimal", "_decimal"},
    "python3-distutils": {"distutils"},
    "python3-email": {"email"},
    "python3-logging": {"logging"},
    "python3-lzma": {"lzma", "_lzma"},
    "python3-multiprocessing": {"multiprocessing", "_multiprocessing"},
    "python3-ncurses": {"curses", "_curses", "_curses_panel"},
    "python3-openssl": {"ssl", "_ssl", "_hashlib"},
    "python3-pydoc": {"pydoc", "pydoc_data", "doctest"},
    "python3-readline": {"readline"},
    "python3-sqlite3": {"sqlite3", "_sqlite3"},
    "python3-unittest": {"unittest"},
    "python3-urllib": {"urllib"},
    "python3-uuid": {"uuid", "_uuid"},
    "python3-xml": {"xml", "xmlrpc", "_elementtree", "pyexpat"},
    "none": {"idlelib", "tkinter", "turtledemo", "webbrowser"},
}
"""Package -> modules. python3-email is part of python3-urllib in 25.12."""


class Missing:
    """Modules of packages that are not installed cannot be imported. Its base class would import half of them."""

    def __init__(self, packages: set[str]) -> None:
        self._modules = {module for package in packages for module in SPLIT[package]}

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] in self._modules:
            raise ModuleNotFoundError(f"No module named {fullname!r} (not in the packages that are installed)")


if "WITHOUT" in os.environ:
    sys.meta_path.insert(0, Missing(set(os.environ["WITHOUT"].split())))
