"""Blobs as files named by their digest.

A name appears only by rename, after its bytes are on the disk: a crash leaves at most a temporary
file in `incoming`, which its lock tells from one that is still being written. Files are read-only,
against accidents.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.ports.blobs import BlobMissing, BlobStoreFailed, CopyFailed
from imagebuilder.ports.freeing import StoredBlob

_READ_ONLY = 0o444
_BLOCK_BYTES = 512
_CHUNK_BYTES = 256 * 1024
_ZEROS = bytes(_CHUNK_BYTES)


class FileBlobStore:
    """Keeps blobs in `root`/sha256/ab/abcd..., with `incoming` beside them on the same file system.

    Several processes may use one root at the same time.
    """

    def __init__(self, root: Path) -> None:
        """Use root, which is made when the first blob comes."""
        self._root = root
        self._incoming = root / "incoming"

    def put(self, content: bytes) -> Digest:
        """Keep content, also in place of damaged bytes under its name. Raises: BlobStoreFailed.

        Durable: it survives a crash once this returned.
        """
        digest = Digest.of_bytes(content)
        file = self._file(digest)
        with _translated(f"The store cannot keep {digest.short}"):
            if not (self.has(digest, len(content)) and file.read_bytes() == content):
                with self._temporary() as temporary:
                    temporary.write_bytes(content)
                    self._move_in(temporary, digest)
        return digest

    def adopt(self, file: PurePath) -> Digest:
        """Keep a file's bytes, taking the file itself away. Raises: BlobStoreFailed."""
        source = Path(file)
        with _translated(f"The store cannot take {source}"):
            # A file that has another name could be changed behind our back: only its copy is ours.
            is_ours = not source.is_symlink() and source.stat().st_nlink == 1
            if is_ours and source.stat().st_dev == self._made_incoming().stat().st_dev:
                digest = _digest_of(source)
                self._move_in(source, digest)
                return digest
            with self._temporary() as temporary:
                digest = copied(source, temporary)
                self._move_in(temporary, digest)
            source.unlink()
        return digest

    def read(self, digest: Digest) -> bytes:
        """Give the bytes. Raises: BlobMissing; BlobStoreFailed; DigestMismatch: damaged."""
        file = self._existing(digest)
        with _translated(f"The stored file {digest.short} cannot be read"):
            content = file.read_bytes()
        _compare(digest, Digest.of_bytes(content), file)
        return content

    def has(self, digest: Digest, size_bytes: int | None = None) -> bool:
        """Whether a blob is there, of that size when one is given; its bytes are not read."""
        file = self._file(digest)
        return file.is_file() and size_bytes in {None, file.stat().st_size}

    def size_bytes(self, digest: Digest) -> int:
        """Give how large a blob is. Raises: BlobMissing."""
        return self._existing(digest).stat().st_size

    def path(self, digest: Digest) -> PurePath:
        """Give a file to read from, unverified. Raises: BlobMissing."""
        return self._existing(digest)

    def verify(self, digest: Digest) -> None:
        """Read all of a blob. Raises: BlobMissing; BlobStoreFailed; DigestMismatch: damaged."""
        file = self._existing(digest)
        with _translated(f"The stored file {digest.short} cannot be read"):
            found = _digest_of(file)
        _compare(digest, found, file)

    def copy_to(
        self, digest: Digest, target: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Write a blob to a file outside, with holes for zeros; target appears whole or not at all.

        Raises: BlobMissing; DigestMismatch: it is damaged; CopyFailed: target cannot be written.
        """
        source, final = self._existing(digest), Path(target)
        partial = final.with_name(f".{final.name}.{os.getpid()}.part")
        try:
            partial.touch(exist_ok=False)
            found = copied(source, partial, on_bytes)
            _compare(digest, found, source)
            flush(partial)
            partial.replace(final)
        except OSError as error:
            raise CopyFailed(target, str(error)) from error
        finally:
            with suppress(OSError):  # what was said before is what the person should read
                partial.unlink(missing_ok=True)

    def digests(self) -> Iterator[Digest]:
        """Give every blob there is, sorted."""
        for file in sorted(self._root.glob("sha256/??/*")):
            with suppress(ValueError):  # a name that is no digest is not ours
                yield Digest(file.name)

    def stored(self) -> Sequence[StoredBlob]:
        """Give every blob, with the room it takes on the disk and when it came."""
        found = []
        for digest in self.digests():
            status = self._file(digest).stat()
            stored_at = datetime.fromtimestamp(status.st_mtime, UTC)
            size_bytes = status.st_blocks * _BLOCK_BYTES
            found.append(StoredBlob(digest=digest, size_bytes=size_bytes, stored_at=stored_at))
        return found

    def remove(self, digest: Digest) -> int:
        """Take a blob away and give the bytes it took; 0 when it is not there."""
        file = self._file(digest)
        with _translated(f"The stored file {digest.short} cannot be removed"):
            try:
                size_bytes = file.stat().st_blocks * _BLOCK_BYTES
                file.unlink()
            except FileNotFoundError:
                return 0
            flush(file.parent)
        return size_bytes

    def sweep(self) -> int:
        """Remove the temporary files of writers that are gone, and tell how many there were."""
        swept = 0
        for file in sorted(self._incoming.glob("*")):
            with suppress(BlockingIOError, FileNotFoundError), file.open("rb") as opened:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()
                swept += 1
        return swept

    def _file(self, digest: Digest) -> Path:
        return self._root / "sha256" / digest.hex[:2] / digest.hex

    def _existing(self, digest: Digest) -> Path:
        file = self._file(digest)
        if not file.is_file():
            raise BlobMissing(digest)
        return file

    def _made_incoming(self) -> Path:
        self._incoming.mkdir(parents=True, exist_ok=True)
        return self._incoming

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Give a file that is locked while we live and gone when the context ends."""
        fd, path = self._locked_file()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(fd)

    def _locked_file(self) -> tuple[int, Path]:
        while True:
            fd, name = tempfile.mkstemp(dir=self._made_incoming())
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd, Path(name)
            os.close(fd)  # a sweep was quicker than our lock

    def _move_in(self, source: Path, digest: Digest) -> None:
        """Make source the blob, in this order: bytes on the disk, name, name on the disk."""
        target = self._file(digest)
        source.chmod(_READ_ONLY)
        flush(source)
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            flush(target.parent.parent)
        source.replace(target)
        flush(target.parent)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreFailed(what, str(error)) from error


def _digest_of(file: Path) -> Digest:
    with file.open("rb") as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())


def copied(source: Path, target: Path, on_bytes: Callable[[int], None] | None = None) -> Digest:
    """Copy bytes, leaving holes where they are zero, and give the digest of what was copied."""
    hasher = hashlib.sha256()
    with source.open("rb") as reading, target.open("r+b") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            hasher.update(chunk)
            if chunk == _ZEROS[: len(chunk)]:
                writing.seek(len(chunk), os.SEEK_CUR)
            else:
                writing.write(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
        writing.truncate()
    return Digest(hasher.hexdigest())


def flush(path: Path) -> None:
    """See that a file's bytes, or a folder's names, are on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _compare(digest: Digest, found: Digest, file: Path) -> None:
    if found != digest:
        raise DigestMismatch(
            f"The stored file {digest.short}",
            expected=digest,
            found=found,
            hint=f"Remove {file} and build the image again.",
        )
