# SPDX-License-Identifier: GPL-2.0-or-later
"""A session on another router: at /ubus, or, where the web server has none, at LuCI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from netpath.monitor.http_client import HttpClient, Response
from netpath.monitor.readings import ServiceError
from netpath.monitor.ubus_client import ANYBODY, AccessDeniedError, Call, NoUbusError, call

LUCI = "/cgi-bin/luci"
UBUS = "/ubus"

_SESSION = re.compile(r"[0-9a-f]{32}")
_COOKIE = re.compile(r"(sysauth(?:_https?)?)=([0-9a-f]{32})(?:;|$)")
"""LuCI's, whose value is the session's id: sysauth before OpenWrt 22.03, then one each for http and https."""

WRONG = "the router refuses the login: check options username and password"
FORBIDDEN = (
    "the login is good, but the account may not read the interfaces ({}): on the router, install the access list of"
    " docs/monitor.md and name it in the account's section of /etc/config/rpcd"
)


class Session:
    """Calls, with a login before the first one and whenever the session has expired (rpcd forgets one that was not used
    for 300 s, and all of them at its restart).

    A session that is denied its first calls is one that may not do this: then there is no further login.
    """

    def __init__(self, http: HttpClient, username: str, password: str) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._luci = False
        self._id: str | None = None
        self._cookie = ""
        self._proven = False
        """A call has worked."""
        self._root = prefix(http.address.path)

    async def call(self, calls: Sequence[Call]) -> list[dict[str, Any] | None]:
        """As `ubus_client.call`. Raises ServiceError."""
        if self._id is not None:
            try:
                return await self._call(calls)
            except AccessDeniedError as error:
                if not self._proven:
                    raise ServiceError(FORBIDDEN.format(error)) from None
        await self._login()
        try:
            return await self._call(calls)
        except AccessDeniedError as error:
            raise ServiceError(FORBIDDEN.format(error)) from None

    async def _call(self, calls: Sequence[Call]) -> list[dict[str, Any] | None]:
        path = f"{self._root}{LUCI}/admin/ubus" if self._luci else f"{self._root}{UBUS}"
        try:
            answers = await call(self._http, path, self._id or ANYBODY, calls, self._cookie)
        except NoUbusError as error:
            fix = "install uhttpd-mod-ubus there (LuCI before OpenWrt 19.07 has none of its own)"
            raise ServiceError(f"{error}: {fix}") from None
        self._proven = True
        return answers

    async def _login(self) -> None:
        self._id, self._cookie, self._proven = None, "", False
        if not self._luci:
            try:
                self._id = await self._ubus_login()
                return
            except NoUbusError:
                self._luci = True
        self._id, self._cookie = await self._luci_login()

    async def _ubus_login(self) -> str:
        login = Call("session", "login", {"username": self._username, "password": self._password})
        try:
            (answer,) = await call(self._http, f"{self._root}{UBUS}", ANYBODY, [login])
        except AccessDeniedError:
            raise ServiceError(WRONG) from None
        session = (answer or {}).get("ubus_rpc_session")
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            raise ServiceError("the router's answer to the login has no session: is it OpenWrt?")
        return session

    async def _luci_login(self) -> tuple[str, str]:
        """The session's id, and the cookie that LuCI wants to see."""
        body = urlencode({"luci_username": self._username, "luci_password": self._password}).encode()
        path = f"{self._root}{LUCI}/"
        response = await self._http.post(path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        found = _cookie(response)
        if found is not None:
            return found[1], "=".join(found)
        if response.status == 403 and response.header("x-luci-login-required"):
            raise ServiceError(WRONG)
        if response.status in (404, 405, 501):
            raise ServiceError(f"there is neither {self._root}{UBUS} nor {path} ({response.status}): check the address")
        raise ServiceError(f"the answer to the login at {path} is not LuCI's ({response.status}): check the address")


def _cookie(response: Response) -> tuple[str, str] | None:
    """Name and value."""
    cookies = [value for name, value in response.headers if name == "set-cookie"]
    match = next((match for cookie in cookies if (match := _COOKIE.match(cookie))), None)
    return (match[1], match[2]) if match else None


def prefix(path: str) -> str:
    """What stands before /ubus and /cgi-bin/luci, whichever of them an address names, if any."""
    for end in (LUCI, UBUS):
        before, found, after = path.partition(end)
        if found and after[:1] in ("", "/"):
            return before
    return path.rstrip("/")
