# SPDX-License-Identifier: GPL-2.0-or-later
"""E-mail with a real SMTP server (aiosmtpd): STARTTLS, TLS, AUTH, refusals, and servers that are none."""

from __future__ import annotations

import email
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from netpath.monitoring import Channel, Notify
from tests.monitor.notify.support import certificate, event, play, running, settings, talker, until


class Inbox:
    """aiosmtpd's handler: keeps what came, refuses what `plan` says."""

    def __init__(self) -> None:
        self.got: list[tuple[Session, Envelope]] = []
        self.plan: list[str] = []
        self.unknown: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any
    ) -> str:
        if address in self.unknown:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.plan.pop(0) if self.plan else "250 taken"
        if answer.startswith("250"):
            self.got.append((session, envelope))
        return answer


def newest(inbox: Inbox) -> EmailMessage:
    content = inbox.got[-1][1].content
    assert isinstance(content, bytes)
    found = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"router", b"gehe:im")
    return AuthResult(success=good, handled=False)


@contextmanager
def mailserver(inbox: Inbox, context: ssl.SSLContext | None = None, *, tls: bool = False, **more: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    more |= {"ssl_context": context} if tls else {"tls_context": context}
    controller = Controller(inbox, hostname="127.0.0.1", port=port, ready_timeout=10, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mail(port: int, **changes: Any) -> Notify:
    return settings(type=Channel.EMAIL, server="localhost", port=port, **changes)


def test_a_letter_is_correct() -> None:
    inbox = Inbox()

    async def scene() -> None:
        with mailserver(inbox) as port:
            wanted = mail(port, recipients=("Jörg Süß <joerg@example.org>", "second@example.org"))
            async with running(wanted) as run:
                run.tracker.say(event(1, reason="Straße\r\nBcc: evil@example.org\x00"))
                await until(lambda: run.worked == 1)
                assert run.notifier.row()["target"] == f"smtp://localhost:{port}"

    play(scene)
    envelope, message = inbox.got[0][1], newest(inbox)
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "netpath@example.org",
        ["joerg@example.org", "second@example.org"],
    )
    assert message["From"] == "NetPath <netpath@example.org>"
    assert message["To"] == "Jörg Süß <joerg@example.org>, second@example.org"
    assert message["Subject"] == f"{socket.gethostname()}: wan went offline"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>")
    assert abs(message["Date"].datetime.timestamp() - time.time()) < 60
    assert message["Bcc"] is None
    assert not message.defects
    assert "Straße Bcc: evil@example.org\r\n" in message.get_content()


def test_starttls_and_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, inbox = certificate(tmp_path), Inbox()

    async def scene() -> None:
        more: dict[str, Any] = {
            "authenticator": check,
            "auth_required": True,
            "auth_require_tls": True,
            "require_starttls": True,
        }
        with mailserver(inbox, theirs, **more) as port:
            wanted = mail(port, security="starttls", username="router", password="gehe:im")
            async with running(wanted) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert "certificate is not accepted" in run.failures[0]
                monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "crt.pem"))
                await until(lambda: run.worked == 1)
                assert inbox.got[0][0].ssl is not None and inbox.got[0][0].authenticated
            async with running(mail(port, security="starttls", username="router", password="falsch-er")) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert "user name and password: 535" in run.failures[0]
                assert "falsch" not in str(run.failures) + str(run.log.lines)

    play(scene)


def test_tls_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, inbox = certificate(tmp_path), Inbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "crt.pem"))

    async def scene() -> None:
        # aiosmtpd's own check of its start speaks TLS to the address.
        with mailserver(inbox, theirs, tls=True) as port:
            async with running(mail(port, security="tls")) as run:
                run.tracker.say(event(1))
                await until(lambda: run.worked == 1)
                assert run.notifier.row()["target"].startswith("smtps://")

    play(scene)
    assert newest(inbox)["To"] == "admin@example.org"


def test_nothing_is_sent_without_the_tls_that_was_asked_for() -> None:
    inbox = Inbox()

    async def scene() -> None:
        with mailserver(inbox) as port:
            async with running(mail(port, security="starttls", username="router", password="gehe:im")) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert "no STARTTLS" in run.failures[0]
                assert run.notifier.row()["held"] == 1

    play(scene)
    assert not inbox.got


def test_refusals() -> None:
    inbox = Inbox()
    inbox.plan = ["451 come back later", "554 spam"]

    async def scene() -> None:
        with mailserver(inbox) as port:
            async with running(mail(port, recipients=("gone@example.org", "here@example.org"))) as run:
                run.tracker.say(event(1))
                await until(lambda: len(run.failures) == 2)
                assert "451 come back later" in run.failures[0] and "554 spam" in run.failures[1]
                assert run.notifier.row()["dropped"] == 1, "only the second one is final"
                inbox.unknown = {"gone@example.org"}
                run.tracker.say(event(2, old="offline", new="online"))
                await until(lambda: run.worked == 1)
                assert any("refused gone@example.org" in line for line in run.log.lines)
                inbox.unknown.add("here@example.org")
                run.tracker.say(event(3))
                await until(lambda: "550 no such user" in run.failures[-1])
                assert run.notifier.row()["dropped"] == 2

    play(scene)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"220-welcome\r\n" * 1000)


def half(connection: socket.socket) -> None:
    connection.sendall(b"220 x\r\n")
    connection.recv(100)
    for _ in range(500):
        connection.sendall(b"2")
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (endless, "talks without end"),
        (half, "not over after 1 s"),
        (lambda c: c.sendall(b"\xff\x00\x1b[31m\r\n" * 10), "it answered -1"),
        (lambda c: c.sendall(b"x" * 10**6), "Line too long"),
        (lambda c: None, "closed the connection"),
    ],
    ids=["endless", "drip", "garbage", "long line", "closes"],
)
def test_what_is_no_mail_server_holds_nothing_up(talk: Any, words: str) -> None:
    async def scene() -> None:
        with talker(talk) as port:
            async with running(mail(port, timeout=0.3)) as run:
                run.tracker.say(event(1))
                await until(lambda: bool(run.failures))
                assert words in run.failures[0]
                assert "\x1b" not in run.failures[0] and len(run.failures[0]) < 500
                assert run.notifier.row()["held"] == 1

    play(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "a@example.org\r\nBcc: b@example.org"},
        {"recipients": ("nobody",)},
        {"recipients": ("a@example.org, b@example.org",)},
        {"recipients": ()},
        {"security": "maybe"},
    ],
)
def test_settings_that_cannot_be_used_are_named(changes: dict[str, Any]) -> None:
    async def scene() -> None:
        async with running(mail(25, **changes)) as run:
            await until(lambda: bool(run.failures))
            assert run.failures[0].startswith("notify people: ")
            assert "\n" not in run.failures[0]

    play(scene)
