"""UrllibFetcher: files of the web, from public addresses only, with limits.

Redirects are followed here and not by the library, so that each address on the way is judged.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from imagebuilder.adapters.web.connections import (
    PORTS,
    HostNotPublicError,
    HostUnknownError,
    Ways,
    authorization,
    connections,
    is_done_within,
    target,
    without_secret,
)
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.transfers import TransferFailed, WebSource

# ruff: noqa: PLC0415 - a tenth of a second that builds without downloads need not wait
if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, ProxyManager

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1.0
_REDIRECTS = 10
_REDIRECTING = frozenset((301, 302, 303, 307, 308))
_OK = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CONNECT_SECONDS = 30.0
_READ_SECONDS = 60.0
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """What may be fetched: so many bytes, and from these hosts also when they are not public.

    `proxy` is the address of a proxy that everything goes through; its own hosts it judges itself.
    """

    largest_bytes: int = 4 * GIB
    hosts: frozenset[str] = frozenset()
    proxy: str | None = field(default=None, repr=False)


class _TryAgainError(Exception):
    """What may go better the next time."""


@dataclass(slots=True)
class _Task:
    """One download: what is fetched, and until when."""

    source: WebSource
    ends_at: float | None

    def failed(self, reason: str, *, hint: str = "") -> TransferFailed:
        return TransferFailed(without_secret(self.source.url), reason, hint=hint)


class UrllibFetcher:
    """Fetches files of the web."""

    def __init__(
        self,
        clock: Clock,
        limits: DownloadLimits | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Fetch within limits; pause between the attempts."""
        self._clock = clock
        self._limits = limits or DownloadLimits()
        self._ways = Ways(hosts=self._limits.hosts, proxy=self._limits.proxy)
        self._pause = pause

    def fetch(self, source: WebSource, into: PurePath, timeout_seconds: float | None) -> None:
        """Write a file of the web into a file of this machine, in at most five attempts.

        Raises: TransferFailed.
        """
        ends_at = None if timeout_seconds is None else self._clock.monotonic() + timeout_seconds
        task = _Task(source, ends_at)
        if timeout_seconds is None:
            self._tried(task, into)
            return
        if not is_done_within(timeout_seconds, lambda: self._tried(task, into)):
            raise task.failed("Its time was up.")

    def _tried(self, task: _Task, into: PurePath) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._fetched(task, Path(into))
            except _TryAgainError as error:
                if attempt == _ATTEMPTS:
                    raise task.failed(f"{error} This was attempt {attempt}, the last.") from error
                self._wait(task, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            else:
                return

    def _wait(self, task: _Task, seconds: float) -> None:
        if task.ends_at is not None and self._clock.monotonic() + seconds >= task.ends_at:
            raise task.failed("There was no time left for another attempt.")
        self._pause(seconds)

    def _fetched(self, task: _Task, into: Path) -> None:
        """Follow redirects to the file, and write it."""
        url = task.source.url
        seen = [url]
        while True:
            with self._answer(task, url) as response:
                if response.status not in _REDIRECTING:
                    self._written(task, response, into)
                    return
                url = urljoin(url, response.headers.get("Location", ""))
            if url in seen:
                raise task.failed(f"It redirects in a circle, back to {without_secret(url)}.")
            seen.append(url)
            if len(seen) > _REDIRECTS + 1:
                raise task.failed(f"It redirects more than {_REDIRECTS} times.")

    @contextlib.contextmanager
    def _answer(self, task: _Task, url: str) -> Iterator["BaseHTTPResponse"]:
        """Ask for an address and give what comes back; a good answer is not read yet."""
        from urllib3.exceptions import HTTPError, LocationValueError, SSLError

        parts = _judged_parts(task, url)
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Accept-Encoding": "identity",
            "User-Agent": "imagebuilder",
            **authorization(parts),
        }
        with contextlib.ExitStack() as opened:
            try:
                pool = opened.enter_context(self._pool(task, parts))
                response = pool.urlopen(
                    "GET",
                    target(parts, self._ways),
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    assert_same_host=False,
                )
                opened.callback(response.close)
                self._require_good(task, response, url)
                yield response
            except LocationValueError as error:
                raise task.failed(f"{without_secret(url)} is no address.") from error
            except SSLError as error:
                # To trust another certificate the next time is not ours to hope for.
                raise task.failed(f"The certificate of {parts.hostname}: {error}.") from error
            except HTTPError as error:
                raise _TryAgainError(f"{parts.hostname} does not answer well: {error}.") from error

    def _require_good(self, task: _Task, response: "BaseHTTPResponse", url: str) -> None:
        status = response.status
        if status == _OK or (status in _REDIRECTING and "Location" in response.headers):
            return
        reason = f"{without_secret(url)} answers {status} {response.reason or ''}".rstrip() + "."
        if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
            raise _TryAgainError(reason)
        raise task.failed(reason)

    def _written(self, task: _Task, response: "BaseHTTPResponse", into: Path) -> None:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._limits.largest_bytes:
            raise self._too_large(task)
        checksum = task.source.checksum
        digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        with into.open("wb") as file:
            for chunk in self._chunks(task, response, file):
                if digest is not None:
                    digest.update(chunk)
        if checksum is not None and digest is not None and digest.hexdigest() != checksum.digest:
            raise task.failed(
                f"Its {checksum.algorithm} is {digest.hexdigest()}, not {checksum.digest}.",
                hint="Correct the checksum if the file was meant to change; else trust it not.",
            )

    def _chunks(self, task: _Task, response: "BaseHTTPResponse", file: BinaryIO) -> Iterator[bytes]:
        """Write what comes, and give it, up to the limits."""
        taken = 0
        # What has come, not a whole chunk: a slow server is to be seen to be slow.
        while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
            taken += len(chunk)
            if taken > self._limits.largest_bytes:
                raise self._too_large(task)
            if task.ends_at is not None and self._clock.monotonic() > task.ends_at:
                raise task.failed(f"Its time was up after {size_text(taken)}.")
            file.write(chunk)
            yield chunk

    def _too_large(self, task: _Task) -> TransferFailed:
        return task.failed(
            f"It is larger than the {size_text(self._limits.largest_bytes)} that may be fetched.",
            hint="Set download_limit to more, if the file may be so large.",
        )

    def _pool(self, task: _Task, parts: SplitResult) -> "HTTPConnectionPool | ProxyManager":
        """Give connections to the address that a host has now, or to the proxy."""
        from urllib3 import Timeout

        left = None if task.ends_at is None else max(0.1, task.ends_at - self._clock.monotonic())
        timeout = Timeout(
            connect=min(_CONNECT_SECONDS, left or _CONNECT_SECONDS),
            read=min(_READ_SECONDS, left or _READ_SECONDS),
        )
        ignores_certificate = task.source.ignores_certificate
        try:
            return connections(parts, self._ways, timeout, ignores_certificate=ignores_certificate)
        except HostUnknownError as error:
            raise _TryAgainError(str(error)) from error
        except HostNotPublicError as error:
            hint = "Name the host in the setting download_hosts, if files may come from it."
            raise task.failed(str(error), hint=hint) from error


def _judged_parts(task: _Task, url: str) -> SplitResult:
    """Give the parts of an address of the web. Raises: TransferFailed: it is something else."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in PORTS and parts.hostname and parts.port != 0:
            return parts
    raise task.failed(f"{without_secret(url)} is no address that begins with http:// or https://.")
