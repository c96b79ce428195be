"""A ContentStore and ContentFiles in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.domain.content import AddedContent, ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.content import ContentFile, ContentNotPackaged


class FakeContentStore:
    """Keeps packs in a dictionary. Shape: `versions` maps a digest to how many it judged."""

    def __init__(self) -> None:
        """Begin empty."""
        self.kept: dict[Digest, AddedContent] = {}
        self.versions: dict[Digest, int] = {}

    def add(self, content: AddedContent) -> bool:
        """Keep a pack; whether none of its digest was there."""
        is_new = content.pack.digest not in self.kept
        self.kept.setdefault(content.pack.digest, content)
        return is_new

    def remove(self, digest: Digest) -> bool:
        """Forget a pack; whether it was there."""
        return self.kept.pop(digest, None) is not None

    def all(self) -> Sequence[AddedContent]:
        """Give all packs, by name and by when they were added."""
        return sorted(
            self.kept.values(), key=lambda each: (each.pack.name, each.added_at, each.pack.digest)
        )

    def judged(self, digest: Digest) -> int:
        """Give how many versions it judged."""
        return self.versions.get(digest, 0)


class FakeContentFiles:
    """Writes files of a dictionary into a folder. Shape: `there` maps a path to its bytes."""

    def __init__(
        self, folder: Path, there: Mapping[str, bytes], packaged: Sequence[str] = ()
    ) -> None:
        """Have these files, of which some came in a package."""
        self.folder = folder
        self.there = dict(there)
        self.in_package = packaged

    @contextmanager
    def copied(self, file: str) -> Iterator[ContentFile]:
        """Give a file."""
        if file not in self.there:
            raise ContentUnreadable(file, "It cannot be read: No such file or directory.")
        yield self._file(file)

    @contextmanager
    def packaged(self) -> Iterator[Sequence[ContentFile]]:
        """Give what came in the package."""
        if not self.in_package:
            raise ContentNotPackaged("ssg-debian", "The archive has no such package.")
        yield [self._file(name) for name in self.in_package]

    def _file(self, file: str) -> ContentFile:
        path = self.folder / file
        path.write_bytes(self.there[file])
        return ContentFile(name=file, path=path, digest=Digest.of_bytes(self.there[file]))
