# SPDX-License-Identifier: GPL-2.0-or-later
"""What a request may say: arguments of the right type, and for the ubus object nothing else than those.

A request of the form `{"args": {...}, "cmd": "status"}` comes from the ubus object (docs/ubus.md), whose caller may be
anybody whom rpcd lets in: only the methods of METHODS, only their arguments, each of the type that it must have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Request = dict[str, Any]
Methods = Mapping[str, Mapping[str, str]]

TEXT, WHOLE, EPOCH, FLAG = "text", "a whole number from 0", "a number (epoch seconds)", "true or false"

_PAGE = {"offset": WHOLE, "limit": WHOLE}

METHODS: Methods = {
    "status": {"section": TEXT, "interface": TEXT},
    "interfaces": _PAGE,
    "policies": _PAGE,
    "rules": _PAGE,
    "connected": _PAGE,
    "metrics": {},
    "history": {"interface": TEXT, "since": EPOCH, "coarse": FLAG, "limit": WHOLE},
    "events": {"after": WHOLE, "since": EPOCH, "before": WHOLE, "limit": WHOLE},
    "enable": {"interface": TEXT},
    "disable": {"interface": TEXT},
    "reload": {},
    # Its `file` is for those who have a shell: of any file on the router it would show what is wrong with its lines.
    "check": {},
    # Without passwords, for those who may only read.
    "config": {},
    "diag": {},
    # Its file is the router's, for the same reason.
    "import": {},
    "explain": {
        "src": TEXT,
        "dst": TEXT,
        "proto": TEXT,
        "sport": WHOLE,
        "dport": WHOLE,
        "iface": TEXT,
        "mac": TEXT,
        "dscp": WHOLE,
    },
    "version": {},
    "internal": {"family": TEXT},
}
"""Method of the ubus object -> its arguments -> what each must be. Methods that end or move the tracker's own process,
or that only make sense for a process on the router (stop, use), are not among them."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "enable": ("interface",),
    "disable": ("interface",),
    "explain": ("src", "dst"),
}
HISTORY_ROWS = 3500
"""About 60 bytes each: to make more, only to throw them away, would keep the tracker from its work."""
SESSION = "ubus_rpc_session"
"""rpcd adds it to calls that come over HTTP."""
LARGEST = 2**53
"""Above it not every number is one in JavaScript."""


class BadRequestError(ValueError):
    """The request's arguments are off; the text says how to mend them."""


def unwrapped(request: Request, methods: Methods = METHODS) -> Request:
    """The plain form of a request with `args`. Raises BadRequestError."""
    method, given = request["cmd"], request["args"]
    if method not in methods:
        raise BadRequestError(f"{method[:40]!r} is no method of the ubus object; known: {', '.join(methods)}")
    others = [key for key in request if key not in ("cmd", "args")]
    if others:
        raise BadRequestError(f"{method}: {others[0][:40]!r} stands beside args; arguments belong into it")
    if not isinstance(given, dict):
        raise BadRequestError(f"{method}: args must be an object, given: {_shown(given)}")
    known, plain = methods[method], {"cmd": method}
    for name, value in given.items():
        if name == SESSION or value is None:
            continue
        if name not in known:
            some = f"known: {', '.join(known)}" if known else "it takes none"
            raise BadRequestError(f"{method}: unknown argument {name[:40]!r}; {some}")
        if not _fits(known[name], value):
            raise BadRequestError(f"{method}: {name} must be {known[name]}, given: {_shown(value)}")
        plain[name] = value
    for name in NEEDED.get(method, ()):
        if not plain.get(name):
            raise BadRequestError(f"{method}: {name} is missing; it must be {known[name]}")
    if method == "history":
        plain["limit"] = min(plain.get("limit", HISTORY_ROWS), HISTORY_ROWS)
    return plain


def _fits(wanted: str, value: Any) -> bool:
    if wanted == TEXT:
        return isinstance(value, str)
    if wanted == FLAG:
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LARGEST and (wanted == EPOCH or isinstance(value, int))


def _shown(value: Any) -> str:
    """The beginning of what was given, as JSON, and never what JSON has no word for."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
