"""Shelves: what is kept on this machine and may be taken away.

Who takes away holds the lock of the store alone, and so nothing is taken that a build, an export
or a booted machine works with. Every adapter must keep: taking away what is not there is no error;
after a crash in the middle nothing that is left points to what is gone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLayer:
    """A layer in the store; `used_at` is when it was made, or last found by its key.

    `blobs` are those that speak of it, and go when nothing else needs them.
    """

    content: Digest
    name: str
    size_bytes: int
    used_at: datetime
    blobs: frozenset[Digest] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """A blob in the store, and the room that it takes on the disk."""

    digest: Digest
    size_bytes: int
    stored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that nobody needs any more: a package long unused, the lock of a dead process."""

    what: str
    size_bytes: int
    count: int


class LayerShelf(Protocol):
    """The layers that are kept."""

    def stored(self) -> Sequence[StoredLayer]:
        """Give every layer that is whole or partly there."""
        ...

    def remove(self, contents: Collection[Digest]) -> int:
        """Take layers away but for what is written of their files, and give the bytes that took.

        First nothing finds them any more, then they go.
        """
        ...


class BlobShelf(Protocol):
    """The blobs that are kept."""

    def stored(self) -> Sequence[StoredBlob]:
        """Give every blob."""
        ...

    def remove(self, digest: Digest) -> int:
        """Take a blob away and give the bytes that it took."""
        ...


class DiskShelf(Protocol):
    """The raw disks that are kept at hand for the next version of an image."""

    def remove(self, name: str, needed: Collection[Digest]) -> int:
        """Take the disk of an image away unless it is one of those that are needed."""
        ...


class LeftoverShelf(Protocol):
    """What builds leave that is no layer and no blob."""

    def remove(self, unused_since: datetime, *, only_look: bool) -> Sequence[Leftover]:
        """Take away what nobody used since a moment, or only say what that is."""
        ...


class SharedShelf(Protocol):
    """What this machine and others gave each other. No lock keeps the others from it."""

    def remove(
        self,
        layers: Collection[Digest],
        blobs: Collection[Digest],
        unused_since: datetime,
        *,
        only_look: bool,
    ) -> Leftover:
        """Take away, or look at, what nobody used since a moment and is none of these.

        What others may just have put there, or count on in a run under way, stays.
        Raises: SharedStoreUnavailable.
        """
        ...
