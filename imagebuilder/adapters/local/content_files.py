"""Files of content: copies of those that people name, and those of Debian's own package.

Source: deb(5), ar(5): a package is an archive of archives. Of those inside, only the names of files
are looked at, and nothing is written where they say.
"""

import lzma
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import file_digest
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

from imagebuilder.adapters.local.archives import AptArchives
from imagebuilder.adapters.local.sources import AptSources
from imagebuilder.domain.content import ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import Suite
from imagebuilder.domain.units import size_text
from imagebuilder.ports.content import LARGEST_CONTENT_BYTES, ContentFile, ContentNotPackaged

_PACKAGE, _ARCHITECTURE = "ssg-debian", "amd64"
"""It is data and the same for all; lists of packages are of some architecture all the same."""
_SUITE = Suite.SID
_CONTENT = re.compile(r"(?:\./)?usr/share/xml/scap/ssg/content/(ssg-[a-z0-9]+-ds\.xml)")
_LARGEST_PACKAGE_BYTES = 64 * 2**20
_LARGEST_UNPACKED_BYTES = 2**30
_DATA = b"data.tar.xz"
_MAGIC, _HEAD_BYTES, _END = b"!<arch>\n", 60, b"`\n"
_NAME, _SIZE = slice(0, 16), slice(48, 58)

Folders: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Gives a new folder, named with a prefix, that is gone when the context ends."""


class LocalContentFiles:
    """Gives copies of files that may be content."""

    def __init__(self, folders: Folders, sources: AptSources, archives: AptArchives) -> None:
        """Copy into what folders gives; packages come from the archive that builds use."""
        self._folders = folders
        self._sources = sources
        self._archives = archives

    @contextmanager
    def copied(self, file: str) -> Iterator[ContentFile]:
        """Give a copy of a file of this machine. Raises: ContentUnreadable."""
        with self._folders("content-") as folder:
            copy = folder / (Path(file).name or "content")
            try:
                _copy(file, copy)
            except OSError as error:
                reason = f"It cannot be read: {os.strerror(error.errno or 0)}."
                raise ContentUnreadable(file, reason) from error
            yield _content_file(copy)

    @contextmanager
    def packaged(self) -> Iterator[Sequence[ContentFile]]:
        """Give the data streams of Debian's newest package of them.

        Raises: NoMirror; MirrorUnreachable; SignatureRefused; IndexDiffers; ContentNotPackaged.
        """
        found = self._archives.package(
            self._sources.repositories(_SUITE), _PACKAGE, _ARCHITECTURE, _LARGEST_PACKAGE_BYTES
        )
        if found is None:
            raise ContentNotPackaged(_PACKAGE, f"The archive has no such package in {_SUITE}.")
        with self._folders("content-") as folder:
            try:
                files = list(_unpacked(found, folder))
            except (OSError, ValueError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
                raise ContentNotPackaged(_PACKAGE, f"It cannot be unpacked: {error}.") from error
            if not files:
                raise ContentNotPackaged(_PACKAGE, "It holds no data stream.")
            yield [_content_file(file) for file in files]


def _copy(source: str, target: Path) -> None:
    # A pipe would be waited for, were it not opened so.
    fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as opened, target.open("wb") as copy:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ContentUnreadable(source, "It is no plain file.")
        copied = opened.read(LARGEST_CONTENT_BYTES + 1)
        if len(copied) > LARGEST_CONTENT_BYTES:
            limit = size_text(LARGEST_CONTENT_BYTES)
            raise ContentUnreadable(source, f"It is larger than {limit}.")
        copy.write(copied)


def _content_file(path: Path) -> ContentFile:
    with path.open("rb") as opened:
        digest = Digest(file_digest(opened, "sha256").hexdigest())
    return ContentFile(name=path.name, path=path, digest=digest)


def _unpacked(package: bytes, folder: Path) -> Iterator[Path]:
    """Write the data streams of a package into a folder. Raises: ValueError; TarError; OSError."""
    left_bytes = _LARGEST_UNPACKED_BYTES
    with (
        lzma.open(BytesIO(_data(package))) as unpacking,
        tarfile.open(fileobj=unpacking, mode="r|") as archive,
    ):
        for member in archive:
            left_bytes -= max(member.size, 0)
            if left_bytes < 0:
                raise ValueError(f"it is larger than {size_text(_LARGEST_UNPACKED_BYTES)}")
            match = _CONTENT.fullmatch(member.name)
            opened = archive.extractfile(member) if match and member.isreg() else None
            if match and opened is not None and member.size <= LARGEST_CONTENT_BYTES:
                file = folder / match[1]
                with file.open("wb") as written:
                    shutil.copyfileobj(opened, written)
                yield file


def _data(package: bytes) -> bytes:
    """Give the archive of files in a package. Raises: ValueError."""
    if not package.startswith(_MAGIC):
        raise ValueError("it is no package")
    place = len(_MAGIC)
    while head := package[place : place + _HEAD_BYTES]:
        if len(head) < _HEAD_BYTES or not head.endswith(_END) or not head[_SIZE].strip().isdigit():
            break
        place += _HEAD_BYTES
        size_bytes = int(head[_SIZE])
        if head[_NAME].strip().rstrip(b"/") == _DATA:
            return package[place : place + size_bytes]
        place += size_bytes + size_bytes % 2
    raise ValueError(f"it holds no {_DATA.decode()}")
