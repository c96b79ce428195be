"""EmailNotifier: a notice is mailed through the server of the settings."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.pipeline import NoticeTarget
from imagebuilder.ports.notices import NoticeUndelivered, Payload

# ruff: noqa: PLC0415 - commands that send nothing need not wait for it
if TYPE_CHECKING:
    from email.message import EmailMessage

_SECONDS = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Who takes mail, in whose name; `password` is a reference to it."""

    host: str | None
    port: int = 25
    sender: str = ""
    user: str = ""
    password: str = ""


class EmailNotifier:
    """Mails notices."""

    def __init__(self, server: MailServer, secret_of: Callable[[str], bytes]) -> None:
        """Mail through a server, as a user when it has one."""
        self._server = server
        self._secret_of = secret_of

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Mail a notice; the other side has it when the server took it. Raises: as the port."""
        from smtplib import SMTPException

        if self._server.host is None:
            hint = "Set smtp_host and smtp_from."
            raise NoticeUndelivered(target, "No mail server is set.", hint=hint)
        try:
            self._mailed(self._server.host, self._message(target, payload))
        except InvalidInput as error:
            raise NoticeUndelivered(
                target, f"{error.message} {error.context}", hint=error.hint
            ) from error
        except (SMTPException, OSError, ValueError) as error:
            # What the library says of a login does not hold the password.
            reason = f"The mail server {self._server.host}: {type(error).__name__}: {error}"
            raise NoticeUndelivered(target, reason) from error

    def _mailed(self, host: str, message: "EmailMessage") -> None:
        import ssl
        from smtplib import SMTP, SMTPNotSupportedError

        with SMTP(host, self._server.port, timeout=_SECONDS) as smtp:
            smtp.ehlo()
            is_sealed = smtp.has_extn("starttls")
            if is_sealed:
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            if self._server.user:
                if not is_sealed:
                    raise SMTPNotSupportedError("no password is sent without STARTTLS")
                password = self._secret_of(self._server.password).decode()
                smtp.login(self._server.user, password)
            smtp.send_message(message)

    def _message(self, target: NoticeTarget, payload: Payload) -> "EmailMessage":
        from email.message import EmailMessage
        from email.utils import format_datetime

        message = EmailMessage()
        message["From"] = self._server.sender or f"imagebuilder@{self._server.host}"
        message["To"] = target.to
        if [bool(each.domain) for each in message["To"].addresses] != [True]:
            raise NoticeUndelivered(target, "It is no mail address.")
        message["Subject"] = f"[imagebuilder] {_line(payload['text'])}"
        message["Message-ID"] = f"<{payload['id']}@imagebuilder>"
        message["Date"] = format_datetime(datetime.fromisoformat(str(payload["at"])))
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            f"{payload['text']}\n\n{json.dumps(payload, indent=2, ensure_ascii=False)}\n"
        )
        return message


def _line(value: object) -> str:
    return " ".join(str(value).split())[:200]
