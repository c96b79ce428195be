"""A BlobStore in memory."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.ports.blobs import BlobMissing, CopyFailed


class FakeBlobStore:
    """Keeps bytes in a dictionary; `path` writes them to a temporary folder on demand."""

    def __init__(self) -> None:
        """Begin empty."""
        self.contents: dict[Digest, bytes] = {}
        self._folder: Path | None = None

    def put(self, content: bytes) -> Digest:
        """Keep content."""
        digest = Digest.of_bytes(content)
        self.contents[digest] = content
        return digest

    def adopt(self, file: PurePath) -> Digest:
        """Keep a file's bytes, taking the file itself away."""
        digest = self.put(Path(file).read_bytes())
        Path(file).unlink()
        return digest

    def read(self, digest: Digest) -> bytes:
        """Give the bytes, whole."""
        self.verify(digest)
        return self.contents[digest]

    def has(self, digest: Digest, size_bytes: int | None = None) -> bool:
        """Whether a blob is there, of that size when one is given."""
        return digest in self.contents and size_bytes in {
            None,
            len(self.contents[digest]),
        }

    def size_bytes(self, digest: Digest) -> int:
        return len(self.read(digest))

    def path(self, digest: Digest) -> PurePath:
        """Give a file to read from."""
        if digest not in self.contents:
            raise BlobMissing(digest)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fake-blobs-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        file = self._folder / digest.hex
        file.write_bytes(self.contents[digest])
        return file

    def verify(self, digest: Digest) -> None:
        """Compare a blob with its digest."""
        if digest not in self.contents:
            raise BlobMissing(digest)
        found = Digest.of_bytes(self.contents[digest])
        if found != digest:
            raise DigestMismatch("A blob", expected=digest, found=found, hint="Make it again.")

    def copy_to(
        self, digest: Digest, target: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Write a sound blob to a file."""
        self.verify(digest)
        try:
            Path(target).write_bytes(self.contents[digest])
        except OSError as error:
            raise CopyFailed(target, str(error)) from error
        if on_bytes is not None:
            on_bytes(len(self.contents[digest]))

    def digests(self) -> Iterator[Digest]:
        """Give every blob there is."""
        return iter(sorted(self.contents))
