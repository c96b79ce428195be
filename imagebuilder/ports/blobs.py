"""BlobStore: bytes by digest.

Every adapter must keep: a blob appears whole or not at all; putting the same bytes twice is the
same as once.
"""

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Unavailable, WrongState


class BlobStore(Protocol):
    """Keeps bytes under their digest."""

    def put(self, content: bytes) -> Digest:
        """Keep content; Durable: it survives a crash once this returned."""
        ...

    def adopt(self, file: PurePath) -> Digest:
        """Keep a file's bytes, taking the file itself away."""
        ...

    def read(self, digest: Digest) -> bytes:
        """Give the bytes. Raises: BlobMissing; DigestMismatch: they are damaged."""
        ...

    def has(self, digest: Digest, size_bytes: int | None = None) -> bool:
        """Whether a blob is there, of that size when one is given; its bytes are not read."""
        ...

    def size_bytes(self, digest: Digest) -> int:
        """Give how large a blob is. Raises: BlobMissing."""
        ...

    def path(self, digest: Digest) -> PurePath:
        """Give a file to read from, unverified. Raises: BlobMissing."""
        ...

    def verify(self, digest: Digest) -> None:
        """Read all of a blob. Raises: BlobMissing; DigestMismatch: it is damaged."""
        ...

    def copy_to(
        self, digest: Digest, target: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Write a blob to a file outside, with holes for zeros; target appears whole or not at all.

        It replaces what target was; on_bytes is told how many bytes came along, again and again.

        Raises: BlobMissing; DigestMismatch: it is damaged; CopyFailed: target cannot be written.
        """
        ...

    def digests(self) -> Iterator[Digest]:
        """Give every blob there is."""
        ...


class BlobMissing(WrongState):
    """Bytes that a record speaks of are not in the store."""

    code = "blob-missing"

    def __init__(self, digest: Digest) -> None:
        """Name the blob."""
        super().__init__(
            f"The stored file {digest.short} is missing.",
            context=f"A record names {digest}, but the store does not have it.",
            hint="Build the image again: its layers are reused and the file is made anew.",
        )


class BlobStoreFailed(Unavailable):
    """The place where blobs are kept does not take or give them."""

    code = "blob-store-failed"

    def __init__(self, what: str, reason: str) -> None:
        """Say what could not be done and what the system said."""
        super().__init__(
            f"{what}.",
            context=reason,
            hint="Check the free space and the permissions of the folder IMAGEBUILDER_HOME names.",
        )


class CopyFailed(Unavailable):
    """A blob cannot be written to where it was asked for."""

    code = "copy-failed"

    def __init__(self, target: PurePath, reason: str) -> None:
        """Name the file and what the system said."""
        super().__init__(
            f"{target} cannot be written.",
            context=reason,
            hint=f"Check that {target.parent} is there, its permissions and its free space.",
        )
