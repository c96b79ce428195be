"""DiskBuilder: a root file system made into a disk that boots, and the disk into files people take.

Every adapter must keep: the same request gives the same bytes; nothing of the host gets into the
disk; a request that follows a predecessor gives the same files as one that does not, only laid out
so that unchanged files keep their blocks.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput, StepFailed
from imagebuilder.domain.layer import Tree
from imagebuilder.domain.recipe import ArtifactFormat, Firmware
from imagebuilder.domain.units import size_text

BLOCK_BYTES = 512 * 1024
"""The unit in which two disks are compared: that of EBS direct and of changed-block copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The disk of the version before, whose layout the new one follows.

    `artifact` is its qcow2 file, from which the raw disk can be had again when no copy is at hand.
    """

    disk_digest: Digest
    tree: Tree
    artifact: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRequest:
    """A disk to make.

    `root` is a mounted folder that holds `tree`, whose /boot has the kernel, the initramfs and
    grub/grub.cfg. `name` seeds every UUID, so that versions of one image share them.
    """

    name: str
    root: PurePath
    tree: Tree
    size_bytes: int
    firmware: tuple[Firmware, ...]
    source_date_epoch: int
    predecessor: Predecessor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltDisk:
    """A raw disk in a working folder.

    `digest` is that of its block map (which 512 KiB block holds what), the same for the same bytes
    in whatever file format. `changed_blocks` are those that differ from the predecessor, None when
    it was laid out anew; `anew_because` then says why, when there was one to follow. Shape:
    `seconds` maps a part of the work to its duration.
    """

    raw: PurePath
    digest: Digest
    size_bytes: int
    changed_blocks: tuple[int, ...] | None
    predecessor: Predecessor | None
    anew_because: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


class DiskBuilder(Protocol):
    """Makes disks and the files they are handed out as."""

    def assemble(self, request: DiskRequest) -> AbstractContextManager[BuiltDisk]:
        """Make the disk; it is gone when the context ends.

        Raises: DiskTooSmall; CommandFailed: a tool refused.
        """
        ...

    def complete(self, draft: BuiltDisk, held: Tree, request: DiskRequest) -> BuiltDisk:
        """Make a disk of one that was just assembled, which holds less, in its place.

        A file that was packaged of the draft and not taken away helps to make the new one's.
        Raises: DiskTooSmall; CommandFailed: a tool refused.
        """
        ...

    def package(self, disk: BuiltDisk, root: PurePath, format_: ArtifactFormat) -> PurePath:
        """Make a file of a format in the disk's working folder; the caller takes it away."""
        ...

    def archive(self, root: PurePath, source_date_epoch: int) -> PurePath:
        """Make a tar file of a root that needs no disk; the caller takes it away."""
        ...

    def recalled(
        self, name: str, digest: Digest, files: Mapping[ArtifactFormat, PurePath]
    ) -> AbstractContextManager[PurePath]:
        """Give a raw disk that was built before, to be read; it is gone when the context ends.

        It is the one at hand, or had again of a file that it was handed out as.
        Raises: DigestMismatch: none of the files holds that disk.
        """
        ...

    def remember(self, name: str, disk: BuiltDisk) -> None:
        """Keep the raw disk at hand as the predecessor of the next; only a hint, it may be lost."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDisk:
    """A disk that was made elsewhere. `digest` is that of its block map, as of a `BuiltDisk`.

    Shape: `files` maps each format that was asked for to a file, which the caller takes away.
    """

    raw: PurePath
    digest: Digest
    size_bytes: int
    files: Mapping[ArtifactFormat, PurePath]


class DiskImporter(Protocol):
    """Takes in disks that were made elsewhere."""

    def imported(
        self, file: PurePath, read_as: ArtifactFormat, formats: Sequence[ArtifactFormat]
    ) -> AbstractContextManager[ImportedDisk]:
        """Give a disk as a raw file and in formats; all is gone when the context ends.

        Nothing is guessed: a file is read as what its maker was told to write.
        Raises: DiskUnreadable: it is none of that format, or stands on another file.
        """
        ...


class DiskUnreadable(StepFailed):
    """A file that should be a disk is none that is taken in."""

    code = "disk-unreadable"

    def __init__(self, path: str, reason: str) -> None:
        """Name the file and say why."""
        super().__init__(
            f"{path} is not taken in as a disk.",
            context=reason,
            hint="See that what made it was told to write a whole disk, in the format named here.",
        )


class DiskTooSmall(InvalidInput):
    """The files do not fit on the disk the recipe asks for."""

    code = "disk-too-small"

    def __init__(self, *, asked_bytes: int, needed_bytes: int) -> None:
        """Say how much there is and how much it takes."""
        super().__init__(
            f"The image needs a disk of at least {size_text(needed_bytes)}, "
            f"and the recipe gives it {size_text(asked_bytes)}.",
            hint=f"Set disk.size to {-(-needed_bytes // 2**30)}GiB or more.",
        )
