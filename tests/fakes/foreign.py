"""ForeignImages of whatever files: each is taken for a qcow2 disk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.recipe import AmiParent, ArtifactFormat, parent_text
from imagebuilder.ports.foreign import (
    FetchedImage,
    ForeignImage,
    RegistryReference,
)


@dataclass
class FakeForeignImages:
    """Gives a copy of any file; `failure` is raised instead of it."""

    folder: Path
    failure: ImageBuilderError | None = None

    @contextmanager
    def opened(self, file: PurePath, on_bytes: Callable[[int], None]) -> Iterator[ForeignImage]:
        if self.failure is not None:
            raise self.failure
        content = Path(file).read_bytes()
        copy = self.folder / "copy"
        copy.write_bytes(content)
        on_bytes(len(content))
        yield ForeignImage(
            format=ArtifactFormat.QCOW2,
            copy=copy,
            digest=Digest.of_bytes(content),
            size_bytes=len(content),
            disk_digest=Digest.of_bytes(b"disk of " + content),
            virtual_size_bytes=1 << 30,
            archive=self.folder / "root.tar",
        )
        copy.unlink(missing_ok=True)


@dataclass
class FakeImageRegistry:
    """Has one file under every reference."""

    file: Path
    asked: list[RegistryReference] = field(default_factory=list)

    @contextmanager
    def fetched(
        self, reference: RegistryReference, on_bytes: Callable[[int], None]
    ) -> Iterator[FetchedImage]:
        self.asked.append(reference)
        on_bytes(self.file.stat().st_size)
        yield FetchedImage(file=self.file, source=f"oci:{reference.text}@its-digest")


@dataclass
class FakeAmiSource:
    """Has one disk as every AMI."""

    file: Path
    asked: list[AmiParent] = field(default_factory=list)

    @contextmanager
    def fetched(self, ami: AmiParent, on_bytes: Callable[[int], None]) -> Iterator[FetchedImage]:
        self.asked.append(ami)
        on_bytes(self.file.stat().st_size)
        yield FetchedImage(file=self.file, source=parent_text(ami))
