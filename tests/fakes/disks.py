"""A DiskBuilder whose disks are a few bytes that follow from what is asked of it."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.layer import Tree
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.disks import BuiltDisk, DiskRequest, ImportedDisk


@dataclass(slots=True)
class FakeDisks:
    """Makes its files in a folder of the test; `fails` is raised instead of a disk.

    Shape: `recalls` are the names of disks that were recalled, and whether those were at hand.
    """

    folder: Path
    fails: BaseException | None = None
    requests: list[DiskRequest] = field(default_factory=list)
    remembered: dict[str, Digest] = field(default_factory=dict)
    recalls: list[tuple[str, bool]] = field(default_factory=list)
    open_count: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def assemble(self, request: DiskRequest) -> Iterator[BuiltDisk]:
        self.requests.append(request)
        if self.fails is not None:
            raise self.fails
        raw = self._file("raw", _bytes(request.name, request.tree))
        self.open_count += 1
        try:
            yield BuiltDisk(
                raw=raw,
                digest=Digest.of_bytes(raw.read_bytes()),
                size_bytes=request.size_bytes,
                changed_blocks=(0, 1) if request.predecessor else None,
                predecessor=request.predecessor,
                seconds={"files": 0.25},
            )
        finally:
            self.open_count -= 1

    def complete(self, draft: BuiltDisk, held: Tree, request: DiskRequest) -> BuiltDisk:
        self.requests.append(request)
        Path(draft.raw).write_bytes(_bytes(request.name, request.tree))
        return replace(draft, digest=Digest.of_bytes(Path(draft.raw).read_bytes()))

    def package(self, disk: BuiltDisk, root: PurePath, format_: ArtifactFormat) -> PurePath:
        return self._file(format_, Path(disk.raw).read_bytes() + format_.encode())

    def archive(self, root: PurePath, source_date_epoch: int) -> PurePath:
        return self._file("tar", f"{source_date_epoch}".encode())

    @contextmanager
    def recalled(
        self, name: str, digest: Digest, files: Mapping[ArtifactFormat, PurePath]
    ) -> Iterator[PurePath]:
        format_, file = next(iter(files.items()))
        content = Path(file).read_bytes().removesuffix(format_.encode())
        if Digest.of_bytes(content) != digest:
            found = Digest.of_bytes(content)
            raise DigestMismatch("A disk", expected=digest, found=found, hint="Make it again.")
        self.recalls.append((name, digest in self.remembered.values()))
        yield self._file("raw", content)

    def remember(self, name: str, disk: BuiltDisk) -> None:
        self.remembered[name] = disk.digest

    def _file(self, kind: str, content: bytes) -> Path:
        file = self.folder / f"{next(self._numbers)}.{kind}"
        file.write_bytes(content)
        return file


def _bytes(name: str, tree: Tree) -> bytes:
    return "\n".join([name, *(f"{path} {e.content}" for path, e in sorted(tree.items()))]).encode()


@dataclass(slots=True)
class FakeDiskImporter:
    """Takes in any file that is there, in a folder of the test."""

    folder: Path
    read: list[tuple[str, ArtifactFormat]] = field(default_factory=list)
    open_count: int = 0

    @contextmanager
    def imported(
        self, file: PurePath, read_as: ArtifactFormat, formats: Sequence[ArtifactFormat]
    ) -> Iterator[ImportedDisk]:
        content = Path(file).read_bytes()
        self.read.append((file.name, read_as))
        made = {}
        for format_ in formats:
            made[format_] = self.folder / f"imported.{format_.value}"
            made[format_].write_bytes(content + format_.encode())
        self.open_count += 1
        try:
            yield ImportedDisk(
                raw=file, digest=Digest.of_bytes(content), size_bytes=len(content), files=made
            )
        finally:
            self.open_count -= 1
