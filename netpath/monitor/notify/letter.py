# SPDX-License-Identifier: GPL-2.0-or-later
"""A message as an e-mail (RFC 5322). Pure, but for the time zone."""

from __future__ import annotations

from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

from netpath.monitor.notify.text import Message
from netpath.monitoring import Notify


def letter(settings: Notify, message: Message) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["Date"] = format_datetime(datetime.fromtimestamp(message.time).astimezone())
    made["From"] = settings.sender
    made["To"] = ", ".join(settings.recipients)
    made["Subject"] = message.subject
    made["Message-ID"] = f"<{message.ident}@{mailbox(settings.sender).rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note comes back
    made.set_content(message.body + "\n")
    return made


def mailbox(text: str) -> str:
    """The bare address of "name@example.org" or "Name <name@example.org>".

    Raises ValueError for what is none; a line break would begin a header of its own.
    """
    found = getaddresses([text])
    address = found[0][1] if len(found) == 1 else ""
    user, at, host = address.rpartition("@")
    if not text.isprintable() or not user or not at or not host or any(c in " ,;<>()" for c in address):
        raise ValueError(f"{text[:64]!r} is no e-mail address, such as name@example.org or Name <name@example.org>")
    return address
