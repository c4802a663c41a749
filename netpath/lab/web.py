# SPDX-License-Identifier: GPL-2.0-or-later
"""LuCI's pages of NetPath over HTTP without a router: on a small stand-in of LuCI's client runtime (netpath/lab/luci).

Calls of the ubus object go to rpcd's real plugin, with the access rights of the real access list. Loopback only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from netpath.lab.world import PACKAGE_ROOT

PLUGIN = PACKAGE_ROOT / "files/usr/libexec/rpcd/netpath"
ACCESS = PACKAGE_ROOT / "root/usr/share/rpcd/acl.d/luci-app-netpath.json"
MENU = PACKAGE_ROOT / "root/usr/share/luci/menu.d/luci-app-netpath.json"
PLACES = {"/luci-static/": PACKAGE_ROOT / "htdocs/luci-static", "/stand-in/": Path(__file__).with_name("luci")}
PAGES = "/cgi-bin/luci"
FIRST_PAGE = f"{PAGES}/admin/network/netpath/overview"
READER = "reader"
"""Session of a user who may only read; all others may write too."""
TYPES = {
    ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".json": "application/json",
    ".svg": "image/svg+xml",
}  # fmt: skip
DENIED, BAD_REQUEST = -32002, -32600
"""JSON-RPC error codes, as uhttpd gives them."""
PLUGIN_SECONDS = 30.0
MOST_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where the plugin asks."""

    tracker: Path
    monitor: Path
    bonds: Path
    """The directory of the bonds' sockets."""


class Web:
    """Serves the pages for one tracker's socket from `with` to its end."""

    def __init__(self, tracker: Path, port: int = 0, *, monitor: Path | None = None) -> None:
        """`port` 0: any that is free. `monitor`: the monitor's socket; None: beside the tracker's, as those of bonds
        are. Raises OSError when the port is taken.
        """
        self._sockets = Sockets(tracker, monitor or tracker.with_name("netpath-monitor.sock"), tracker.parent)
        handler = type("Handler", (_Handler,), {"sockets": self._sockets})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    @property
    def address(self) -> str:
        """URL of the server, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def ask(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """What the plugin answers, as a user who may do everything gets it."""
        return ask(self._sockets, method, arguments)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    sockets: Sockets
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", FIRST_PAGE)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith(PAGES):
            self._file(PLACES["/stand-in/"] / "index.html")
        elif path == "/stand-in/menu.json":
            self._file(MENU)
        else:
            self._file(_place(path))

    def do_POST(self) -> None:
        # A page of somebody else in the same browser could send a form here, but neither this type nor this host.
        ours = self.headers.get("Host", "").partition(":")[0] == "127.0.0.1"
        typed = self.headers.get("Content-Type", "").startswith("application/json")
        length = int(self.headers.get("Content-Length") or 0)
        if not ours or not typed or not 0 < length <= MOST_BYTES or not self.path.startswith(f"{PAGES}/admin/ubus"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        try:
            message = json.loads(self.rfile.read(length))
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self._send(json.dumps(answer(message, self.sockets)).encode(), "application/json")

    def _file(self, path: Path | None) -> None:
        if path is None or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(path.read_bytes(), TYPES.get(path.suffix, "application/octet-stream"))

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the demo's."""


def _place(path: str) -> Path | None:
    """The file of a URL path; None outside of what is served."""
    for prefix, root in PLACES.items():
        if path.startswith(prefix):
            file = (root / path.removeprefix(prefix)).resolve()
            return file if file.is_relative_to(root.resolve()) else None
    return None


def answer(message: Any, sockets: Sockets) -> dict[str, Any]:
    """The reply to one JSON-RPC message `call` with [session, object, method, arguments], as uhttpd gives it."""
    head = {"jsonrpc": "2.0", "id": message.get("id") if isinstance(message, dict) else None}
    match message:
        case {"method": "call", "params": [str(session), str(object_), str(method), dict(arguments)]}:
            if object_ != "netpath" or method not in _allowed(session):
                return {**head, "error": {"code": DENIED, "message": "Access denied"}}
            return {**head, "result": [0, ask(sockets, method, arguments)]}
    return {**head, "error": {"code": BAD_REQUEST, "message": "Invalid request"}}


@cache
def _allowed(session: str) -> frozenset[str]:
    """Methods of the ubus object that the access list gives to a session."""
    group = json.loads(ACCESS.read_text())["luci-app-netpath"]
    methods = set(group["read"]["ubus"]["netpath"])
    return frozenset(methods if session == READER else methods | set(group["write"]["ubus"]["netpath"]))


def ask(sockets: Sockets, method: str, arguments: Mapping[str, Any]) -> Any:
    """What the plugin answers, started as rpcd starts it."""
    done = subprocess.run(
        [str(PLUGIN), "call", method],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        timeout=PLUGIN_SECONDS,
        check=True,
        env={
            "PATH": os.environ.get("PATH", ""),
            "NETPATH_SOCKET": str(sockets.tracker),
            "NETPATH_MONITOR_SOCKET": str(sockets.monitor),
            "NETPATH_BOND_DIR": str(sockets.bonds),
            # Keys of this machine's own bonds are none of the lab's business.
            "NETPATH_KEYS_DIR": str(sockets.bonds),
            "NETPATH_CONFIG": str(sockets.tracker.with_name("netpath.conf")),
            "NETPATH_COMMAND": str(Path(sys.executable).with_name("netpath")),
        },
    )
    return json.loads(done.stdout)
