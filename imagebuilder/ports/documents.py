"""DocumentSource: where recipes, components and the files beside them are found."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput


class DocumentSource(Protocol):
    """Finds and reads documents. Every path that goes in may be relative to the working folder."""

    def text(self, path: str) -> str:
        """Give a document's text. Raises: DocumentUnreadable."""
        ...

    def documents_at(self, place: str) -> Sequence[str]:
        """Give the path itself when it is no folder, else every document in the folder, sorted.

        Folders in it are not looked into.
        """
        ...

    def component_paths(self, beside: str) -> Sequence[str]:
        """Give every component document a recipe at `beside` may name, sorted."""
        ...

    def recipe_paths(self, beside: str) -> Sequence[str]:
        """Give every recipe in the folder of `beside`, sorted."""
        ...

    def locate(self, path: str, beside: str) -> PurePath:
        """Give the absolute path of a file that a document names. Raises: DocumentUnreadable."""
        ...

    def content(self, path: PurePath) -> bytes:
        """Give the bytes of a located file. Raises: DocumentUnreadable."""
        ...

    def folder_digest(self, path: PurePath) -> Digest:
        """Give the digest of a file, or of all files below a folder and their names."""
        ...

    def python_files(self, path: PurePath) -> Sequence[str]:
        """Give a located file itself, or every Python file below a folder, sorted.

        Links that leave the folder are not followed.
        """
        ...

    def shipped_digest(self, path: str, beside: str) -> Digest:
        """Give the digest of a file or folder that a component at `beside` ships.

        It covers names, contents, what can be executed, and where links lead.
        Raises: DocumentUnreadable: it is not there, or it, or a link in it, lies elsewhere.
        """
        ...


class DocumentUnreadable(InvalidInput):
    """A document, or a file it names, cannot be read."""

    code = "document-unreadable"

    def __init__(self, path: str, reason: str, *, is_named: bool = False) -> None:
        """Name the path, what the system said, and whether a document names it so."""
        super().__init__(
            f"{path} cannot be read.",
            context=reason,
            hint="Check the path; it is taken relative to the document that names it."
            if is_named
            else "Check the path.",
        )
