"""A Shelf in memory: what it hands out are `contents`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.objection import Objection
from imagebuilder.ports.shelves import Change, Parcel, Shelved


@dataclass
class FakeShelf:
    """Keeps files in a dictionary. Shape: `troubles` maps a path to what is raised there, once.

    `meanwhile` is called once at the next rewrite of a path, after it was read.
    """

    place: str = "fake:shelf"
    contents: dict[str, bytes] = field(default_factory=dict)
    troubles: dict[str, ImageBuilderError] = field(default_factory=dict)
    meanwhile: dict[str, Callable[[], None]] = field(default_factory=dict)
    objection: Objection | None = None
    acts: list[str] = field(default_factory=list)

    def hindrance(self, needed_bytes: int) -> Objection | None:
        self.acts.append(f"asks for {needed_bytes}")
        return self.objection

    def find(self, path: str) -> Shelved | None:
        content = self.contents.get(path)
        if content is None:
            return None
        return Shelved(size_bytes=len(content), digest=Digest.of_bytes(content))

    def put(self, parcel: Parcel, on_bytes: Callable[[int], None]) -> None:
        self._act("puts", parcel.path)
        content = Path(parcel.file).read_bytes()
        self.contents[parcel.path] = content
        on_bytes(len(content))

    def read(self, path: str) -> bytes:
        return self.contents.get(path, b"")

    def rewrite(self, path: str, change: Change) -> None:
        self._act("writes", path)
        after = change(self.read(path))
        if path in self.meanwhile:
            self.meanwhile.pop(path)()
            after = change(self.read(path))
        if after:
            self.contents[path] = after
        else:
            self.contents.pop(path, None)

    def remove(self, path: str) -> None:
        self._act("removes", path)
        self.contents.pop(path, None)

    def _act(self, word: str, path: str) -> None:
        self.acts.append(f"{word} {path}")
        if path in self.troubles:
            raise self.troubles.pop(path)
