"""A DocumentSource in memory."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath

from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.ports.documents import DocumentUnreadable


class FakeDocumentSource:
    """Keeps documents by absolute path; components are those below a folder `components`.

    `read_paths` are the documents whose text was asked for, in order.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        """Begin with these documents. Shape: absolute path -> text."""
        self.documents = dict(documents)
        self.read_paths: list[str] = []

    def text(self, path: str) -> str:
        """Give a document's text."""
        self.read_paths.append(path)
        if path not in self.documents:
            raise DocumentUnreadable(path, "There is no such file.")
        return self.documents[path]

    def documents_at(self, place: str) -> Sequence[str]:
        """Give the path itself when it is no folder, else every document in the folder, sorted."""
        folder = PurePosixPath(place)
        below = [path for path in self.documents if PurePosixPath(path).parent == folder]
        return sorted(below) or [place]

    def component_paths(self, beside: str) -> Sequence[str]:
        """Give every component document, sorted."""
        return sorted(path for path in self.documents if "components" in PurePosixPath(path).parts)

    def recipe_paths(self, beside: str) -> Sequence[str]:
        """Give every document in the folder of `beside`, sorted."""
        folder = posixpath.dirname(beside)
        return sorted(path for path in self.documents if posixpath.dirname(path) == folder)

    def locate(self, path: str, beside: str) -> PurePath:
        """Give the absolute path of a file that a document at `beside` names."""
        found = posixpath.normpath(posixpath.join(posixpath.dirname(beside), path))
        if not any(known == found or known.startswith(f"{found}/") for known in self.documents):
            raise DocumentUnreadable(path, f"There is nothing at {found}.", is_named=True)
        return PurePosixPath(found)

    def content(self, path: PurePath) -> bytes:
        """Give the bytes of a located file."""
        return self.text(str(path)).encode()

    def folder_digest(self, path: PurePath) -> Digest:
        """Give the digest of a file, or of all files below a folder and their names."""
        below = {
            known: text
            for known, text in self.documents.items()
            if PurePosixPath(known).is_relative_to(path)
        }
        if not below:
            raise DocumentUnreadable(str(path), "There is no such file.")
        return digest_of(below)

    def python_files(self, path: PurePath) -> Sequence[str]:
        """Give a located file itself, or every Python file below a folder, sorted."""
        if str(path) in self.documents:
            return [str(path)]
        found = (p for p in self.documents if PurePosixPath(p).is_relative_to(path))
        return sorted(p for p in found if p.endswith(".py"))

    def shipped_digest(self, path: str, beside: str) -> Digest:
        """Give the digest of a file or folder that a component at `beside` ships."""
        return self.folder_digest(self.locate(path, beside))
