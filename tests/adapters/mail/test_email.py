"""Notices are mailed to a real server on this machine's loopback."""

import ssl
import subprocess
from asyncio import Server
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from imagebuilder.adapters.mail.email import EmailNotifier, MailServer
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.ports.notices import NoticeUndelivered
from imagebuilder.setting_faults import SecretMissing
from tests.build import SOME_DAY
from tests.listeners import free_port

TARGET = NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org")
PAYLOAD = {
    "id": "notice-1",
    "event": "failed",
    "at": SOME_DAY.isoformat(),
    "text": "pipeline web: failed\nzu groß",
}


class Mailbox:
    """Takes mail, unless it is full."""

    def __init__(self) -> None:
        self.taken: list[tuple[str | None, list[str], EmailMessage]] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.is_full = False

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.is_full:
            return "452 the mailbox is full"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 taken"

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hush")


class FreeController(Controller):
    """Listens on a free port, which `port` is from then on."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, Server)
        self.port = int(self.server.sockets[0].getsockname()[1])
        super()._trigger_server()  # type: ignore[no-untyped-call]  # the library's


Serve = Callable[..., int]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def serve(mailbox: Mailbox) -> Iterator[Serve]:
    """Give what starts the server, and gives its port."""
    started = []

    def start(**more: Any) -> int:
        controller = FreeController(mailbox, hostname="127.0.0.1", port=0, **more)
        controller.start()
        started.append(controller)
        return controller.port

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """Give what a server seals connections with, and who vouches for it."""
    key, file = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file


def secret_of(reference: str) -> bytes:
    if reference != "env:MAIL":
        raise SecretMissing(reference, "There is no such variable.")
    return b"hush"


def notifier(port: int, **more: str) -> EmailNotifier:
    values = {"sender": "builder@example.org"} | more
    return EmailNotifier(MailServer(host="127.0.0.1", port=port, **values), secret_of)


def test_send_then_the_mail_says_what_happened(serve: Serve, mailbox: Mailbox) -> None:
    notifier(serve()).send(TARGET, PAYLOAD)

    ((sender, recipients, message),) = mailbox.taken
    assert (sender, recipients) == ("builder@example.org", ["ops@example.org"])
    assert message["Subject"] == "[imagebuilder] pipeline web: failed zu groß"
    assert message["Message-ID"] == "<notice-1@imagebuilder>"
    assert message["Date"].datetime == SOME_DAY.replace(microsecond=0)
    assert message.get_content().splitlines()[:2] == ["pipeline web: failed", "zu groß"]
    assert '"event": "failed"' in message.get_content()


def test_send_when_the_server_seals_connections_then_logs_in(
    serve: Serve,
    mailbox: Mailbox,
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, file = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    port = serve(tls_context=context, require_starttls=True, authenticator=mailbox.login)

    notifier(port, user="builder", password="env:MAIL").send(TARGET, PAYLOAD)

    assert mailbox.logins == [(b"builder", b"hush")]
    assert len(mailbox.taken) == 1


def test_send_when_nobody_vouches_for_the_server_then_nothing_is_sent(
    serve: Serve, mailbox: Mailbox, certificate: tuple[ssl.SSLContext, Path]
) -> None:
    port = serve(tls_context=certificate[0])

    with pytest.raises(NoticeUndelivered) as caught:
        notifier(port).send(TARGET, PAYLOAD)

    assert "certificate" in caught.value.reason.lower()
    assert mailbox.taken == []


def test_send_when_a_password_would_go_in_clear_then_is_not_sent(
    serve: Serve, mailbox: Mailbox
) -> None:
    with pytest.raises(NoticeUndelivered) as caught:
        notifier(serve(), user="builder", password="env:MAIL").send(TARGET, PAYLOAD)

    assert "without STARTTLS" in caught.value.reason
    assert (mailbox.taken, mailbox.logins) == ([], [])


def test_send_when_the_server_takes_no_more_then_says_what_it_said(
    serve: Serve, mailbox: Mailbox
) -> None:
    mailbox.is_full = True

    with pytest.raises(NoticeUndelivered) as caught:
        notifier(serve()).send(TARGET, PAYLOAD)

    assert "the mailbox is full" in caught.value.reason


def test_send_when_nobody_listens_then_says_so() -> None:
    with pytest.raises(NoticeUndelivered, match=r"ops@example\.org"):
        notifier(free_port()).send(TARGET, PAYLOAD)


def test_send_when_no_server_is_set_then_says_which_setting() -> None:
    with pytest.raises(NoticeUndelivered) as caught:
        EmailNotifier(MailServer(host=None), secret_of).send(TARGET, PAYLOAD)

    assert "smtp_host" in caught.value.hint


@pytest.mark.parametrize("to", ["ops@example.org\nBcc: all@example.org", "", "not an address"])
def test_send_when_the_address_is_none_then_nothing_else_is_written(
    serve: Serve, mailbox: Mailbox, to: str
) -> None:
    with pytest.raises(NoticeUndelivered):
        notifier(serve()).send(NoticeTarget(kind=NoticeKind.EMAIL, to=to), PAYLOAD)

    assert mailbox.taken == []
