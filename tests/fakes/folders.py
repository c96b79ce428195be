"""Folders in memory, whose files are written at moments that count."""

from collections.abc import Mapping
from pathlib import PurePath

from imagebuilder.domain.digest import Digest
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.ports.folders import Stamp


class FakeFolderSight:
    """Sees files of a dictionary."""

    def __init__(self) -> None:
        """Begin with nothing there."""
        self.kept: dict[PurePath, tuple[bytes, int]] = {}
        self.is_away = False
        self._count = 0

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        self._count += 1
        self.kept[PurePath(path)] = (text.encode(), self._count)

    def files(self, folder: PurePath) -> Mapping[PurePath, Stamp]:
        """Give every file below a folder."""
        if self.is_away:
            raise DocumentUnreadable(str(folder), "There is no such folder.")
        return {
            path: (at, len(content))
            for path, (content, at) in self.kept.items()
            if path.is_relative_to(folder)
        }

    def real(self, file: PurePath) -> PurePath:
        """Give where a file really lies: there are no links here."""
        return file

    def digest(self, file: PurePath) -> Digest | None:
        """Give the digest of a file's bytes; None when it is gone."""
        found = self.kept.get(file)
        return None if found is None else Digest.of_bytes(found[0])
