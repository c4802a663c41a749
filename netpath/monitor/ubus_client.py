# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of a remote ubus by JSON-RPC over HTTP, as uhttpd-mod-ubus has it at /ubus, and LuCI at admin/ubus.

A request is {"jsonrpc": "2.0", "id", "method": "call", "params": [session, object, method, arguments]}, or a list of
such. The answer's "result" is [code] or [code, data] with code 0 for success, or it has an "error" (uhttpd's ubus.c).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netpath.monitor.http_client import HttpClient, Response
from netpath.monitor.readings import ServiceError

ANYBODY = "0" * 32
"""The session of those who have none: it may only log in."""
PERMISSION_DENIED = 6
ACCESS_DENIED = -32002
UNKNOWN_OBJECT = -32000


@dataclass(frozen=True, slots=True)
class Call:
    object: str
    method: str
    arguments: Mapping[str, Any]


class NoUbusError(ServiceError):
    """The server has no ubus where it was looked for."""


class AccessDeniedError(ServiceError):
    """The session has expired, or may not do this: ubus does not tell these apart."""


async def call(
    http: HttpClient, path: str, session: str, calls: Sequence[Call], cookie: str = ""
) -> list[dict[str, Any] | None]:
    """What each call gave; None: the object did, but had no such thing (another code than 0).

    Raises AccessDeniedError, NoUbusError, ServiceError.
    """
    requests = [
        {"jsonrpc": "2.0", "id": n, "method": "call", "params": [session, c.object, c.method, dict(c.arguments)]}
        for n, c in enumerate(calls)
    ]
    headers = {"Content-Type": "application/json", **({"Cookie": cookie} if cookie else {})}
    response = await http.post(path, json.dumps(requests).encode(), headers)
    _check(response)
    answers = _json(response.body)
    if not isinstance(answers, list) or len(answers) != len(calls):
        raise ServiceError(_NOT_UBUS)
    by_id = {answer["id"]: answer for answer in answers if isinstance(answer, dict) and type(answer.get("id")) is int}
    return [_result(by_id.get(n), c) for n, c in enumerate(calls)]


def _check(response: Response) -> None:
    if response.status == 200:
        return
    if response.status in (404, 405, 501):
        raise NoUbusError(f"it has no ubus ({response.status})")
    if response.status in (401, 403):
        raise ServiceError(f"the web server refuses ({response.status}): does it let this machine's address in?")
    if 300 <= response.status < 400:
        raise ServiceError(f"it sends us to another address ({response.status}): write that one")
    raise ServiceError(f"the router's web server has failed ({response.status}): look into its log")


_NOT_UBUS = "what answers there is not OpenWrt's ubus: check the address"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceError(_NOT_UBUS) from None


def _result(answer: Any, asked: Call) -> dict[str, Any] | None:
    what = f"{asked.object} {asked.method}"
    match answer:
        case {"result": [0]}:
            return {}
        case {"result": [0, dict() as data]}:
            return data
        case {"error": {"code": int(code)}} if code == ACCESS_DENIED:
            raise AccessDeniedError(f"access to {what} denied")
        case {"result": [int(code), *_]} if code == PERMISSION_DENIED:
            raise AccessDeniedError(f"access to {what} denied")
        case {"error": {"code": int(code)}} if code == UNKNOWN_OBJECT:
            raise ServiceError(f"its ubus has no {asked.object} now: is netifd running there, and is it OpenWrt?")
        case {"result": [int(code), *_]} if code != 0:
            return None
        case {"error": {"code": int(code)}}:
            raise ServiceError(f"{what} failed ({code}): look into the router's log")
    raise ServiceError(_NOT_UBUS)
