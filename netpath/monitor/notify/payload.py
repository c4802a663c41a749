# SPDX-License-Identifier: GPL-2.0-or-later
"""A message as the receivers of webhooks want it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.header import Header
from typing import Any

from netpath.monitor.notify.text import Message
from netpath.monitoring import Shape

DISCORD_LONGEST = 2000
"""Characters of `content`."""
NTFY_LONGEST = 4000
"""Bytes; of more than 4096 it makes a file."""
GOTIFY_PRIORITY = 5
JSON_TYPE = "application/json"


def payload(message: Message, shape: Shape) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers."""
    if shape is Shape.NTFY:
        # What is not ASCII may stand in its headers as RFC 2047 has it.
        title = (
            Header(message.subject, "utf-8").encode(maxlinelen=0) if not message.subject.isascii() else message.subject
        )
        body = message.body.encode()[:NTFY_LONGEST].decode(errors="ignore")
        return body.encode(), {"Content-Type": "text/plain; charset=utf-8", "Title": title}
    return json.dumps(_object(message, shape)).encode(), {"Content-Type": JSON_TYPE}


def _object(message: Message, shape: Shape) -> dict[str, Any]:
    if shape is Shape.SLACK:
        # Its three special characters; else a name could become a mention or a link.
        return {"text": message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    if shape is Shape.DISCORD:
        return {"content": message.text[:DISCORD_LONGEST], "allowed_mentions": {"parse": []}}
    if shape is Shape.GOTIFY:
        return {"title": message.subject, "message": message.body, "priority": GOTIFY_PRIORITY}
    return {
        "id": message.ident,
        "router": message.router,
        "time": round(message.time, 3),
        "subject": message.subject,
        "text": message.text,
        "events": list(message.events),
        "interfaces": dict(message.interfaces),
    }
