"""SystemFolderSight: files of this machine's folders, found anew at each look.

To ask for changes instead would not tell of those that another machine makes on a shared disk.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.ports.folders import Stamp

_LEFT_OUT = frozenset({"__pycache__"})


class SystemFolderSight:
    """A FolderSight."""

    def files(self, folder: PurePath) -> Mapping[PurePath, Stamp]:
        """Give every file below a folder but what is hidden. Raises: DocumentUnreadable."""
        root = Path(folder).absolute()
        try:
            return dict(_found(root, is_root=True))
        except OSError as error:
            raise DocumentUnreadable(str(root), error.strerror or str(error)) from error

    def real(self, file: PurePath) -> PurePath:
        """Give where a file really lies, behind all links on the way to it."""
        return PurePath(os.path.realpath(file))

    def digest(self, file: PurePath) -> Digest | None:
        """Give the digest of a file's bytes; None when it is gone, or cannot be read now."""
        try:
            with Path(file).open("rb") as opened:
                return Digest(hashlib.file_digest(opened, "sha256").hexdigest())
        except OSError:
            # Whoever replaces a file takes it away first; the next look finds the new one.
            return None


def _found(folder: Path, *, is_root: bool = False) -> Iterator[tuple[PurePath, Stamp]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        if is_root:
            raise
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _LEFT_OUT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _found(Path(entry.path))
            continue
        try:
            state = entry.stat()
        except FileNotFoundError:
            continue
        if entry.is_file():
            yield PurePath(entry.path), (state.st_mtime_ns, state.st_size, state.st_ino)
