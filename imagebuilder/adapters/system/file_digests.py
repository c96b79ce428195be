"""Digests of files that are not ours, which may be anything."""

import bz2
import gzip
import hashlib
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.trace import FileDigest
from imagebuilder.ports.traces import FileUnreadable

_CHUNK_BYTES = 1 << 20
_LARGEST_BYTES = 1 << 40
"""A small file may claim to hold more than anybody can wait for."""

_BEGINNINGS: tuple[tuple[bytes, str, Callable[[Path], BufferedIOBase]], ...] = (
    (b"\x1f\x8b", "gzip", gzip.GzipFile),
    (b"\xfd7zXZ\0", "xz", lzma.LZMAFile),
    (b"BZh", "bzip2", bz2.BZ2File),
)


class SystemFileDigests:
    """Reads files of this machine."""

    def digests(
        self, path: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> Iterator[FileDigest]:
        """Give the digest of a file, then of what it holds when it is compressed.

        Raises: FileUnreadable.
        """
        file = Path(path)
        try:
            # A device or a pipe may never end, and to open one can already change something.
            if not stat.S_ISREG(file.stat().st_mode):
                raise FileUnreadable(path, "It is no plain file.")
            with file.open("rb") as stream:
                begins = stream.read(8)
                stream.seek(0)
                own = _digest(stream, on_bytes)
        except (OSError, ValueError) as error:
            raise FileUnreadable(path, str(error)) from error
        yield FileDigest(digest=own)
        for beginning, name, opened in _BEGINNINGS:
            if begins.startswith(beginning):
                try:
                    with opened(file) as stream:
                        held = _digest(stream, None)
                except (OSError, EOFError, lzma.LZMAError, zlib.error):
                    # It begins like a compressed file and is none: its own digest is all it has.
                    return
                yield FileDigest(digest=held, through=f"{name} undone")


def _digest(stream: BufferedIOBase, on_bytes: Callable[[int], None] | None) -> Digest:
    read = hashlib.sha256()
    count = 0
    while (chunk := stream.read(_CHUNK_BYTES)) and count < _LARGEST_BYTES:
        read.update(chunk)
        count += len(chunk)
        if on_bytes is not None:
            on_bytes(len(chunk))
    return Digest(read.hexdigest())
