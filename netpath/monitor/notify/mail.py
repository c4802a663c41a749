# SPDX-License-Identifier: GPL-2.0-or-later
"""One message by SMTP. What a server sends is bounded in size and time."""

from __future__ import annotations

import io
import smtplib
import socket
from contextlib import suppress
from email.message import EmailMessage
from functools import partial

from netpath.monitor.notify import threads, tls
from netpath.monitor.notify.letter import letter, mailbox
from netpath.monitor.notify.outcome import Connect, RefusedError, UndeliveredError, told
from netpath.monitor.notify.text import Message
from netpath.monitoring import Notify

EXCHANGE = 3
"""A whole exchange may take so many times the timeout; each step of it once. Servers keep strangers waiting."""
LARGEST = 256 * 1024
"""Bytes of all answers of a server together."""
SECURITY = ("starttls", "tls", "none")


class Mail:
    """Raises ValueError for settings that cannot be used."""

    def __init__(self, settings: Notify) -> None:
        if settings.security not in SECURITY:
            raise ValueError(f"security must be one of {', '.join(SECURITY)}")
        if not settings.server or not settings.recipients:
            raise ValueError("server and recipients must be given")
        self._settings = settings
        self._sender = mailbox(settings.sender)
        self._recipients = [mailbox(each) for each in settings.recipients]
        self.host = settings.server

    @property
    def target(self) -> str:
        scheme = "smtps" if self._settings.security == "tls" else "smtp"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self._settings.port}"

    async def send(self, connect: Connect, message: Message) -> str | None:
        """Raises UndeliveredError. The result is what went wrong nevertheless."""
        made = letter(self._settings, message)
        sock = await connect(self._settings.port)
        return await threads.exchange(partial(self._post, made), sock, EXCHANGE * self._settings.timeout)

    def _post(self, made: EmailMessage, sock: socket.socket) -> str | None:
        """In a thread."""
        settings = self._settings
        sock.settimeout(settings.timeout)
        if settings.security == "tls":
            sock = tls.wrap(sock, self.host, verify=settings.verify)
        try:
            return self._converse(made, sock)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise self._refused("it refused the recipients", code, said) from None
        except smtplib.SMTPAuthenticationError as error:
            # Its words may have in them what was sent.
            raise self._refused("it refused user name and password", error.smtp_code, b"") from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise self._refused("it answered", error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPResponseException as error:  # to a greeting; also what is no answer at all
            raise UndeliveredError(self._told(f"it answered {error.smtp_code} {_text(error.smtp_error)}")) from None
        except smtplib.SMTPServerDisconnected:
            raise UndeliveredError("it closed the connection, or did not answer in time") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise UndeliveredError(self._told(f"the exchange failed: {error}")) from None
        finally:
            sock.close()

    def _converse(self, made: EmailMessage, sock: socket.socket) -> str | None:
        settings = self._settings
        server = _Server(sock, self.host, settings.port, settings.timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if settings.security == "starttls":
                self._secure(server)
            if settings.username:
                server.login(settings.username, settings.password)
            refused = server.send_message(made, self._sender, self._recipients)
            with suppress(smtplib.SMTPException, OSError):  # it has the message; its goodbye does not matter
                server.quit()
        finally:
            server.close()
        return self._told(f"it refused {', '.join(refused)}") if refused else None

    def _secure(self, server: _Server) -> None:
        """Never goes on without TLS."""
        if not server.has_extn("starttls"):
            raise UndeliveredError("it offers no STARTTLS, so nothing was sent (option security)")
        try:
            server.starttls(context=tls.context(verify=self._settings.verify))
        except smtplib.SMTPException:
            raise
        except (OSError, ValueError) as error:
            raise UndeliveredError(tls.trouble(error)) from None

    def _refused(self, what: str, code: int, said: bytes | str) -> UndeliveredError:
        """5yz is final (RFC 5321, 4.2.1)."""
        reason = self._told(f"{what}: {code} {_text(said)}")
        # What smtplib makes up for a line without an end is text.
        return RefusedError(reason) if 500 <= code < 600 and isinstance(said, bytes) else UndeliveredError(reason)

    def _told(self, text: str) -> str:
        return told(text, (self._settings.password,))


class _Server(smtplib.SMTP):
    """smtplib over a connection that stands already."""

    def __init__(self, sock: socket.socket, host: str, port: int, timeout: float) -> None:
        self._given = sock
        self._left = LARGEST
        # Without a name smtplib would ask the resolver for this machine's, and wait.
        super().__init__(host, port, local_hostname=_literal(sock), timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del host, port, timeout
        return self._given

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self, self.sock.makefile("rb"))
        return super().getreply()

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise UndeliveredError("it talks without end")


class _Bounded:
    """As much of a file as smtplib uses, with a limit to what is read."""

    def __init__(self, server: _Server, file: io.BufferedReader) -> None:
        self._server = server
        self._file = file

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._server.spend(len(line))
        return line

    def close(self) -> None:
        self._file.close()


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _literal(sock: socket.socket) -> str:
    """This machine's address as EHLO takes it (RFC 5321, 4.1.3): a router's name says nothing out there."""
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
