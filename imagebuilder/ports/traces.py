"""TraceStore and FileDigests: what digests are of, and what digests a file has."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.trace import FileDigest, Trace


class TraceStore(Protocol):
    """Knows every digest that a version remembers."""

    def traces(self, start: str) -> Sequence[Trace]:
        """Give what has a digest whose hexadecimal digits start so, by kind, digest and name.

        Of each, some versions are given; of each kind, some digests.
        """
        ...

    def of_run(self, run_id: RunId) -> Sequence[VersionId]:
        """Give the versions that a run recorded."""
        ...


class FileDigests(Protocol):
    """Reads files that are not ours."""

    def digests(
        self, path: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> Iterator[FileDigest]:
        """Give the digest of a file, then of what it holds when it is compressed.

        on_bytes is told how many bytes were read, again and again.

        Raises: FileUnreadable.
        """
        ...


class FileUnreadable(InvalidInput):
    """A file that was to be looked at cannot be read."""

    code = "file-unreadable"

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name it and say what the system said."""
        super().__init__(
            f"{path} cannot be read.",
            context=reason,
            hint="Name a plain file that you may read.",
        )
