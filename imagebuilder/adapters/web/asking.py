"""Asking: one request to a service that a document names, and what it answered.

Who names a service may mean one of this machine's own network, so that addresses are not judged
here. What proves who we are is sent to the service itself and to nobody whom it names.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from imagebuilder.adapters.web.connections import without_secret
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.targets import PlacingFailed, TargetRefused

# ruff: noqa: PLC0415 - a tenth of a second that commands which ask nobody need not wait
if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

NOT_FOUND = 404
UNAUTHORIZED = 401
CONFLICT = 409
_REFUSALS = {UNAUTHORIZED, 403, 405, CONFLICT}
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 120.0
_LARGEST_BYTES = 16 << 20
_LONGEST_TOLD = 500
_REDIRECTS = 5
_SECRET_HEADERS = ("Authorization", "X-Auth-Token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a service answered. Shape: names of headers are in small letters.

    `is_own` is False when it led us to another one, whose answer this is.
    """

    status: int
    is_own: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_good(self) -> bool:
        """Whether it did what it was asked to."""
        return self.status < 300  # noqa: PLR2004 - HTTP's own number

    def json(self) -> Any:  # noqa: ANN401 - whatever a service says
        """Give what the body says as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. `body` may come in pieces; `headers` tell their length."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None


class HttpService:
    """Asks one service."""

    def __init__(self, place: str, address: str, hint: str, *, again: str = "") -> None:
        """Ask what is at an address; errors call it by its place and give a hint who is let in.

        Other errors say what is to be done again, if it is no distribution.
        """
        self.place = place
        self._again = again
        self._address = address.rstrip("/") + "/"
        self._hint = hint
        self._pool: PoolManager | None = None

    def url(self, path: str) -> str:
        """Give the whole address of a path, or of an address that the service named.

        Raises: TargetUnavailable: that is no address.
        """
        try:
            found = urljoin(self._address, path)
            urlsplit(found)
        except ValueError as error:
            call = without_secret(path)[:_LONGEST_TOLD]
            raise TargetUnavailable(self.place, call, str(error), self._again) from error
        return found

    def is_own(self, url: str) -> bool:
        """Whether an address is of the service itself."""
        own, other = urlsplit(self._address), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def ask(self, request: Request) -> Reply:
        """Give what is answered, whatever it is. Raises: TargetUnavailable: nothing is."""
        with self.opened(request) as response:
            body = response.read(_LARGEST_BYTES + 1)
            if len(body) > _LARGEST_BYTES:
                reason = f"Its answer is larger than {_LARGEST_BYTES:,} bytes."
                raise TargetUnavailable(self.place, self._told(request), reason)
            headers = {name.lower(): value for name, value in response.headers.items()}
            hops = response.retries.history if response.retries else ()
            is_own = all(self.is_own(self.url(hop.redirect_location or "")) for hop in hops)
            reply = Reply(status=response.status, is_own=is_own, headers=headers, body=body)
            return reply if reply.is_good else replace(reply, body=_without_secrets(body, request))

    @contextmanager
    def opened(self, request: Request) -> Iterator["BaseHTTPResponse"]:
        """Give an answer whose body is not read yet. Raises: TargetUnavailable."""
        from urllib3.exceptions import HTTPError, MaxRetryError

        try:
            response = self._sent(request)
            try:
                yield response
            finally:
                response.close()
        except HTTPError as error:
            # What it is of tells the whole address, and some stores sign in it.
            seen = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            reason = f"{type(seen).__name__}: {seen}"[:_LONGEST_TOLD]
            raise TargetUnavailable(self.place, self._told(request), reason, self._again) from error

    def _sent(self, request: Request) -> "BaseHTTPResponse":
        from urllib3 import PoolManager, Retry, Timeout

        if self._pool is None:
            timeout = Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
            self._pool = PoolManager(timeout=timeout, retries=False)
        follows = request.method in {"GET", "HEAD"}
        retries = Retry(
            total=None,
            connect=0,
            read=0,
            other=0,
            redirect=_REDIRECTS,
            remove_headers_on_redirect=_SECRET_HEADERS,
        )
        url = self.url(request.path)
        try:
            return self._pool.request(
                request.method,
                url,
                headers={"User-Agent": "imagebuilder", **request.headers},
                body=request.body,
                redirect=follows,
                retries=retries if follows else False,
                preload_content=False,
            )
        except ValueError:
            # It quotes what it does not like, which may be what proves who we are.
            reason = "An address or a token holds what no request can."
            told = self._told(request)
            raise TargetUnavailable(self.place, told, reason, self._again) from None

    def required(self, request: Request, reply: Reply, hint: str = "") -> Reply:
        """Give a reply that is good. Raises: TargetRefused; TargetUnavailable; PlacingFailed."""
        if reply.is_good:
            return reply
        call = self._told(request)
        said = reply.body.decode(errors="replace")[:_LONGEST_TOLD]
        reason = f"It answers {reply.status}: {said}" if said else f"It answers {reply.status}."
        if reply.status in _REFUSALS:
            raise TargetRefused(self.place, call, reason, hint or self._hint)
        if reply.status >= _SERVER_ERROR or reply.status == _TOO_MANY_REQUESTS:
            raise TargetUnavailable(self.place, call, reason, self._again)
        raise PlacingFailed(self.place, call, reason, hint or self._again)

    def _told(self, request: Request) -> str:
        return f"{request.method} {without_secret(request.path)}"


def _without_secrets(body: bytes, request: Request) -> bytes:
    """Give what a service says without what we said to it: it is told in errors, and kept."""
    for name in _SECRET_HEADERS:
        secret = request.headers.get(name, "").rpartition(" ")[2]
        if secret:
            body = body.replace(secret.encode(), b"***")
    return body
