"""SharedBlobs: a machine's own blobs, and those of others once they are asked for."""

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import TypeVar

from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.ports.blobs import BlobMissing, BlobStore
from imagebuilder.ports.sharing import (
    SharedObjectDamaged,
    SharedObjectMissing,
    SharedStoreUnavailable,
)
from imagebuilder.services.sharing.exchange import Exchange, file_name
from imagebuilder.services.sharing.giving import Giving

_LARGEST_BYTES = 1 << 42

_Answer = TypeVar("_Answer")


class SharedBlobs:
    """A BlobStore that looks on this machine first, then in the shared store.

    What is read from there is kept here; what is put here is given there beside.
    """

    def __init__(self, local: BlobStore, giving: Giving, exchange: Exchange) -> None:
        """Keep blobs in local, and take those it lacks from the exchange's store."""
        self._local = local
        self._giving = giving
        self._exchange = exchange
        self._scratch = giving.scratch

    def put(self, content: bytes) -> Digest:
        """Keep content here, and give it."""
        digest = self._local.put(content)
        self._giving.file(digest)
        return digest

    def adopt(self, file: PurePath) -> Digest:
        """Keep a file's bytes here, taking the file itself away, and give them."""
        digest = self._local.adopt(file)
        self._giving.file(digest)
        return digest

    def read(self, digest: Digest) -> bytes:
        """Give the bytes. Raises: BlobMissing; DigestMismatch: damaged here and there."""
        return self._sound(digest, lambda: self._local.read(digest))

    def has(self, digest: Digest, size_bytes: int | None = None) -> bool:
        """Whether a blob is here or there, of that size when one is given."""
        return self._local.has(digest, size_bytes) or self._exchange.has(
            file_name(digest), size_bytes
        )

    def size_bytes(self, digest: Digest) -> int:
        """Give how large a blob is. Raises: BlobMissing."""
        self._fetch_unless_here(digest)
        return self._local.size_bytes(digest)

    def path(self, digest: Digest) -> PurePath:
        """Give a file to read from, unverified. Raises: BlobMissing."""
        self._fetch_unless_here(digest)
        return self._local.path(digest)

    def verify(self, digest: Digest) -> None:
        """Read all of a blob. Raises: BlobMissing; DigestMismatch: damaged here and there."""
        self._sound(digest, lambda: self._local.verify(digest))

    def copy_to(
        self, digest: Digest, target: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Write a blob to a file outside; target appears whole or not at all.

        Raises: BlobMissing; DigestMismatch: damaged here and there; CopyFailed.
        """
        self._sound(digest, lambda: self._local.copy_to(digest, target, on_bytes))

    def digests(self) -> Iterator[Digest]:
        """Give every blob that is here."""
        return self._local.digests()

    def _sound(self, digest: Digest, use: Callable[[], _Answer]) -> _Answer:
        """Use a blob that is here now, anew if it turns out to be damaged."""
        self._fetch_unless_here(digest)
        try:
            return use()
        except DigestMismatch as damaged:
            try:
                self._fetch(digest)
            except BlobMissing:
                raise damaged from None
            return use()

    def _fetch_unless_here(self, digest: Digest) -> None:
        if not self._local.has(digest):
            self._fetch(digest)

    def _fetch(self, digest: Digest) -> None:
        """Keep a blob of the shared store here. Raises: BlobMissing: it cannot be had."""
        with self._scratch() as folder:
            file = folder / "file"
            try:
                self._exchange.asked(lambda: self._exchange.store.get(digest, file, _LARGEST_BYTES))
            except SharedObjectMissing as error:
                raise BlobMissing(digest) from error
            except (SharedObjectDamaged, SharedStoreUnavailable) as error:
                missing = BlobMissing(digest)
                missing.context = f"{missing.context} {error.message} {error.context}"
                raise missing from error
            self._local.adopt(file)
