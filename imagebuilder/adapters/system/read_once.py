"""ReadOnce: documents as they were when they were first asked for."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest
from imagebuilder.ports.documents import DocumentSource


class ReadOnce:
    """A DocumentSource for one look at many recipes: no file is read, and no folder, twice."""

    def __init__(self, source: DocumentSource) -> None:
        """Read from source."""
        self._source = source
        self.text = cache(source.text)
        self.content = cache(source.content)
        self.folder_digest = cache(source.folder_digest)
        self._components = cache(source.component_paths)
        self._recipes = cache(source.recipe_paths)

    def documents_at(self, place: str) -> Sequence[str]:
        """Give the path itself when it is no folder, else every document in the folder, sorted."""
        return self._source.documents_at(place)

    def component_paths(self, beside: str) -> Sequence[str]:
        """Give every component document a recipe at `beside` may name, sorted."""
        return self._components(_any_in(beside))

    def recipe_paths(self, beside: str) -> Sequence[str]:
        """Give every recipe in the folder of `beside`, sorted."""
        return self._recipes(_any_in(beside))

    def locate(self, path: str, beside: str) -> PurePath:
        """Give the absolute path of a file that a document names. Raises: DocumentUnreadable."""
        return self._source.locate(path, beside)

    def python_files(self, path: PurePath) -> Sequence[str]:
        """Give a located file itself, or every Python file below a folder, sorted."""
        return self._source.python_files(path)

    def shipped_digest(self, path: str, beside: str) -> Digest:
        """Give the digest of a file or folder that a component at `beside` ships."""
        return self._source.shipped_digest(path, beside)


def _any_in(beside: str) -> str:
    """Give one name for all that lie in the same folder: what is found beside them is the same."""
    return str(Path(beside).absolute().parent / "any")
