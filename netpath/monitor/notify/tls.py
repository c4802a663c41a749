# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS to receivers, in their threads."""

from __future__ import annotations

import os
import socket
import ssl
import time

from netpath.monitor.notify.outcome import UndeliveredError, told
from netpath.monitor.notify.text import CLOCK_IS_SET


def context(*, verify: bool) -> ssl.SSLContext:
    """Trusts the system's certificates; without `verify` anybody's."""
    made = ssl.create_default_context()
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def wrap(sock: socket.socket, host: str, *, verify: bool) -> ssl.SSLSocket:
    """Raises UndeliveredError; `sock` is closed then."""
    try:
        return context(verify=verify).wrap_socket(sock, server_hostname=host)
    except (OSError, ValueError) as error:
        sock.close()
        raise UndeliveredError(trouble(error)) from None


def trouble(error: OSError | ValueError) -> str:
    """A failed handshake in words, with what to do."""
    if isinstance(error, TimeoutError):
        return "no answer to the TLS handshake"
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        return told(f"TLS failed: {str(reason).lower().replace('_', ' ')}", ())
    if time.time() < CLOCK_IS_SET:
        today = time.strftime("%Y-%m-%d", time.localtime(time.time()))
        return f"its certificate cannot be checked: the router's clock is not set yet ({today})"
    if not _authorities():
        return "its certificate cannot be checked: there are no trusted ones here; install ca-bundle"
    return told(f"its certificate is not accepted: {error.verify_message}", ())


def _authorities() -> bool:
    """Whether the system has certificates of authorities, in one file or a directory."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208 - a name is enough
