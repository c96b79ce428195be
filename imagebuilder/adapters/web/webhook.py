"""WebhookNotifier: a notice is posted to an address of the web, signed."""

from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from imagebuilder.adapters.web.connections import (
    PORTS,
    HostNotPublicError,
    HostUnknownError,
    Ways,
    authorization,
    connections,
    is_done_within,
    target,
)
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.pipeline import NoticeTarget
from imagebuilder.domain.signature import EVENT_HEADER, ID_HEADER, SIGNATURE_HEADER, signed
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.notices import NoticeUndelivered, Payload

# ruff: noqa: PLC0415 - a tenth of a second that commands which send nothing need not wait
_SECONDS = 20.0
_GOOD = range(200, 300)


class WebhookNotifier:
    """Posts notices."""

    def __init__(
        self,
        clock: Clock,
        secret_of: Callable[[str], bytes],
        ways: Ways,
        *,
        seconds: float = _SECONDS,
    ) -> None:
        """Post along `ways`, signed by what a target's reference names, within so many seconds."""
        self._clock = clock
        self._secret_of = secret_of
        self._ways = ways
        self._seconds = seconds

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Post a notice; the other side has it when it answers with 2xx. Raises: as the port."""
        parts = _parts(target)
        body = canonical_json(payload)
        headers = {
            **self._headers(target, payload, body),
            "Host": parts.netloc.rpartition("@")[2],
            **authorization(parts),
        }
        if not is_done_within(self._seconds, lambda: self._posted(target, parts, headers, body)):
            raise NoticeUndelivered(target, f"It did not answer within {self._seconds:.0f} s.")

    def _headers(self, to: NoticeTarget, payload: Payload, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "imagebuilder",
            ID_HEADER: str(payload["id"]),
            EVENT_HEADER: str(payload["event"]),
        }
        if to.secret:
            try:
                secret = self._secret_of(to.secret)
            except InvalidInput as error:
                raise NoticeUndelivered(
                    to, f"{error.message} {error.context}", hint=error.hint
                ) from error
            at_seconds = int(self._clock.now().timestamp())
            headers[SIGNATURE_HEADER] = signed(secret, at_seconds, body)
        return headers

    def _posted(
        self, to: NoticeTarget, parts: SplitResult, headers: dict[str, str], body: bytes
    ) -> None:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        timeout = Timeout(total=self._seconds)
        try:
            with connections(parts, self._ways, timeout) as pool:
                response = pool.urlopen(
                    "POST",
                    target(parts, self._ways),
                    body=body,
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    assert_same_host=False,
                )
                status = response.status
                response.close()
        except HostUnknownError as error:
            raise NoticeUndelivered(to, str(error)) from error
        except HostNotPublicError as error:
            hint = "Name the host in the setting notice_hosts, if it may be told."
            raise NoticeUndelivered(to, str(error), hint=hint) from error
        except HTTPError as error:
            reason = f"{parts.hostname} does not answer well: {type(error).__name__}."
            raise NoticeUndelivered(to, reason) from error
        if status not in _GOOD:
            raise NoticeUndelivered(to, f"It answers {status}, not 2xx.")


def _parts(target: NoticeTarget) -> SplitResult:
    """Give the parts of an address of the web. Raises: NoticeUndelivered: it is something else."""
    try:
        parts = urlsplit(target.to)
        if parts.scheme in PORTS and parts.hostname and parts.port != 0:
            return parts
    except ValueError as error:
        raise NoticeUndelivered(target, "It is no address of the web.") from error
    raise NoticeUndelivered(target, "It is no address of the web.")
