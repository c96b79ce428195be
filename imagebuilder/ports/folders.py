"""FolderSight: which files lie in a folder, and whether they are still what they were."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Protocol, TypeAlias

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import WrongState

Stamp: TypeAlias = tuple[int, ...]
"""What changes when a file is written; the same does not yet mean the same content."""


class FolderSight(Protocol):
    """Looks into folders, also of another machine's and while somebody writes there."""

    def files(self, folder: PurePath) -> Mapping[PurePath, Stamp]:
        """Give every file below a folder but what is hidden, by its absolute path.

        A file that goes away while it is looked for is left out. Raises: DocumentUnreadable: the
        folder itself, or one in it, cannot be read.
        """
        ...

    def real(self, file: PurePath) -> PurePath:
        """Give where a file really lies, behind all links on the way to it."""
        ...

    def digest(self, file: PurePath) -> Digest | None:
        """Give the digest of a file's bytes; None when it is gone, or cannot be read now."""
        ...


class FolderEmptied(WrongState):
    """A watched folder holds nothing any more, which is rather a mistake than meant."""

    code = "folder-emptied"

    def __init__(self, folder: PurePath, count: int) -> None:
        """Say what would have gone with it."""
        super().__init__(
            f"The watched folder {folder} is empty.",
            context=f"{count} pipelines that were applied from it stay in force.",
            hint="Mount it again, or end each with: imagebuilder pipeline remove NAME",
        )
