# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tracker loads: asyncio without OpenSSL, and TLS all the same where it is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def modules_after(program: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter that ran `program`."""
    script = f"{program}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_asyncio_comes_without_openssl_and_works() -> None:
    loaded = modules_after("import netpath.lean, asyncio\nasyncio.run(asyncio.sleep(0))")
    assert "asyncio" in loaded
    assert not {"ssl", "_ssl", "_hashlib"} & loaded


def test_tls_can_still_be_used_later() -> None:
    assert "_ssl" in modules_after("import netpath.lean\nimport ssl\nssl.create_default_context()")


@pytest.mark.parametrize("method", ["ping", "dns", "tcp", "arping", "httping"])
def test_no_prober_loads_what_the_tracker_cannot_afford(method: str) -> None:
    program = (
        "import netpath.lean, importlib, netpath.probe\n"
        f"importlib.import_module('netpath.probe.' + {{'ping': 'icmp', 'arping': 'neighbour', 'httping': 'http'}}"
        f".get({method!r}, {method!r}))"
    )
    heavy = {"ssl", "_hashlib", "pyroute2", "icmplib", "email", "http.client", "urllib.request", "multiprocessing"}
    assert not heavy & modules_after(program)
