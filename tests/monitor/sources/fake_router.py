# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake router: uhttpd's /ubus and LuCI's login, with the replies of OpenWrt by their shape (recorded from rpcd,
netifd and LuCI of 2025; test_openwrt_real.py holds the source to the real ones)."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any
from urllib.parse import parse_qs

NOBODY = "0" * 32
LUCI = "/cgi-bin/luci"


class FakeRouter:
    def __init__(self, password: str = "netpath", *, tls: ssl.SSLContext | None = None) -> None:
        self.ubus = True
        """Whether there is a /ubus."""
        self.admin_ubus = True
        """Whether LuCI has one."""
        self.allowed = {("network.interface", "dump"), ("network.device", "status")}
        self.sessions: set[str] = set()
        self.logins = 0
        self.requests: list[str] = []
        """Paths."""
        self.bodies: list[bytes] = []
        self.connections = 0
        self.redirect = ""
        """Where every request is sent."""
        self.counters = {"eth1": [0, 0], "wwan0": [0, 0]}
        self.interfaces: list[Any] = [
            row("loopback", "lo"),
            row("lan", "br-lan"),
            row("wan", "eth1", "0.0.0.0"),
            row("wan6", "eth1", "::"),
            row("lte", "wwan0", "0.0.0.0"),
        ]
        self.raw: Any = None
        """Instead of the results of calls."""
        self.port = 0
        self._password = password
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> FakeRouter:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        """At the same port as before, if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.disconnect()

    def disconnect(self) -> None:
        """As uhttpd does with connections that are kept for too long."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                writer.write(self._answer(head.split(" ")[1], await reader.readexactly(length)))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the other side has gone
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, path: str, body: bytes) -> bytes:
        self.requests.append(path)
        self.bodies.append(body)
        if self.redirect:
            return http("307 Temporary Redirect", b"", f"Location: {self.redirect}{path}")
        if path == "/ubus" and self.ubus:
            return self._rpc(body)
        if path == f"{LUCI}/":
            return self._luci(parse_qs(body.decode()))
        if path == f"{LUCI}/admin/ubus" and self.admin_ubus:
            return self._rpc(body)
        return http("404 Not Found", b"<h1>Not Found</h1>")

    def _luci(self, form: dict[str, list[str]]) -> bytes:
        if form.get("luci_username") == ["root"] and form.get("luci_password") == [self._password]:
            cookie = f"set-cookie: sysauth_http={self._session()}; path={LUCI}/; SameSite=strict; HttpOnly"
            return http("302 Found", b"", f"{cookie}\r\nlocation: {LUCI}/")
        return http("403 Forbidden", b"<!DOCTYPE html>", "x-luci-login-required: yes")

    def _session(self) -> str:
        self.logins += 1
        session = f"{self.logins:032x}"
        self.sessions.add(session)
        return session

    def _rpc(self, body: bytes) -> bytes:
        answers = [{"jsonrpc": "2.0", "id": call["id"], **self._call(*call["params"])} for call in json.loads(body)]
        return http("200 OK", json.dumps(answers).encode(), "Content-Type: application/json")

    def _call(self, session: str, thing: str, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if (thing, method) == ("session", "login"):
            if arguments != {"username": "root", "password": self._password}:
                return {"result": [6]}
            return {"result": [0, {"ubus_rpc_session": self._session(), "timeout": 300, "expires": 299, "acls": {}}]}
        if session not in self.sessions or (thing, method) not in self.allowed:
            return {"error": {"code": -32002, "message": "Access denied"}}
        if self.raw is not None:
            return {"result": self.raw}
        if method == "dump":
            return {"result": [0, {"interface": self.interfaces}]}
        if arguments["name"] not in self.counters:
            return {"result": [2]}
        received, sent = self.counters[arguments["name"]]
        figures = {"rx_bytes": received, "tx_bytes": sent, "rx_packets": 1, "tx_packets": 1}
        return {"result": [0, {"present": True, "type": "Network device", "up": True, "statistics": figures}]}


def row(name: str, device: str, target: str = "") -> dict[str, Any]:
    """Of `network.interface dump`."""
    route = [{"target": target, "mask": 0, "nexthop": "192.0.2.1", "source": "0.0.0.0/0"}] if target else []
    return {"interface": name, "up": True, "l3_device": device, "device": device, "proto": "static", "route": route}


def http(status: str, body: bytes, headers: str = "X-Nothing: 1") -> bytes:
    """As uhttpd answers: chunked, and the connection is kept."""
    chunks = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
    kept = "Connection: Keep-Alive\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=20"
    return f"HTTP/1.1 {status}\r\n{kept}\r\n{headers}\r\n\r\n".encode() + chunks + b"0\r\n\r\n"
