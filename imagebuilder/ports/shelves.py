"""Shelf: a place that hands out files by their path, such as a folder or a prefix of a bucket.

Every adapter must keep: a file appears whole or not at all, and what takes its place does so at
once; putting it twice is the same as once; a text that several change at a time loses no change.
What only we can see, such as a lock, may lie there too.

Paths are relative, with slashes, and never lead out of the shelf.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol, TypeAlias

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.objection import Objection

Change: TypeAlias = Callable[[bytes], bytes]
"""Gives a text as it is to be of the text as it is, empty when there is none."""


LARGEST_TEXT_BYTES = 64 << 20
"""What is larger is no text of ours: it would tell of half a million files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A file on a shelf; `digest` is None where only who put it there could have told it."""

    size_bytes: int
    digest: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A file to be put on a shelf: `digest` is of its bytes, which were compared with it."""

    path: str
    file: PurePath
    digest: Digest


class Shelf(Protocol):
    """Hands out files. Raises everywhere: TargetUnavailable; TargetRefused."""

    @property
    def place(self) -> str:
        """Where it is, as errors say it."""
        ...

    def hindrance(self, needed_bytes: int) -> Objection | None:
        """Give what would keep so many bytes from it, found without changing anything."""
        ...

    def find(self, path: str) -> Shelved | None:
        """Give what is there at a path, None when there is nothing."""
        ...

    def put(self, parcel: Parcel, on_bytes: Callable[[int], None]) -> None:
        """See that a file is there, in place of what was at its path.

        Raises: DigestMismatch: it is another one by now.
        """
        ...

    def read(self, path: str) -> bytes:
        """Give a text; empty when there is none. Raises: TargetRefused: it is too large for one."""
        ...

    def rewrite(self, path: str, change: Change) -> None:
        """Let a text be what change makes of it; one that becomes empty is gone.

        Change may be called more than once, each time with what is there then.
        """
        ...

    def remove(self, path: str) -> None:
        """Take a file away; one that is not there is no error."""
        ...
