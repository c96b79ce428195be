"""Transfers: files fetched from outside of an image, and brought there.

Every adapter must keep: what is fetched is written to the one file it is told, never above the
limit, never held in memory; a time limit holds for all of it; nothing private of this machine's
network can be fetched unless the settings name it; nothing said of a transfer holds a credential.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import StepFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What a file has to be. Shape: `algorithm` as hashlib calls it; `digest` in lower-case hex."""

    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSource:
    """A file of the web."""

    url: str
    checksum: Checksum | None = None
    ignores_certificate: bool = False


class WebFetcher(Protocol):
    """Fetches files of the web."""

    def fetch(self, source: WebSource, into: PurePath, timeout_seconds: float | None) -> None:
        """Write a file of the web into a file of this machine.

        Raises: TransferFailed: it could not be had, or is not what its checksum says; StorageFull.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A place of objects; `owner` is the account it has to belong to."""

    name: str
    owner: str | None = None


class ObjectStore(Protocol):
    """Lists, fetches and brings objects."""

    def keys(self, bucket: Bucket, prefix: str, limit: int) -> Sequence[str]:
        """Give the keys below a prefix, sorted, at most limit of them. Raises: TransferFailed."""
        ...

    def fetch(self, bucket: Bucket, key: str, into: PurePath) -> None:
        """Write an object into a file of this machine. Raises: TransferFailed; StorageFull."""
        ...

    def bring(self, file: PurePath, bucket: Bucket, key: str) -> None:
        """Make an object of a file of this machine. Raises: TransferFailed."""
        ...


class TransferFailed(StepFailed):
    """A file could not be fetched, or not be brought."""

    code = "transfer-failed"

    def __init__(self, what: str, reason: str, *, hint: str = "") -> None:
        """Say what was to be moved and why it was not."""
        super().__init__(
            f"{what} was not transferred.",
            context=reason,
            hint=hint or "Check the address and what it answers, then try again.",
        )
        self.what = what
