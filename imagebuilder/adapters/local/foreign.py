"""LocalForeignImages: image files that others made, opened in user space.

A qcow2 file may name other files of the machine that reads it, so that its header is judged before
any program opens it. Formats that tell of other files in ways of their own are not taken.

Source: QEMU, docs/interop/qcow2.txt; ext4's on-disk layout, the superblock; UEFI 2.10, chapter 5.
"""

import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.debugfs import Place
from imagebuilder.adapters.local.foreign_root import ForeignRoot, RootUnreadable, Walled
from imagebuilder.adapters.local.manifest import file_digest
from imagebuilder.adapters.local.space import full_told
from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.disk import SECTOR_BYTES
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.units import MIB
from imagebuilder.ports.foreign import ForeignImage, ForeignImageRefused
from imagebuilder.ports.process import Command, CommandRunner

_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_HEAD = struct.Struct(">4sIQ")
_INCOMPATIBLE_AT, _EXTERNAL_DATA = 72, 1 << 2
_OTHERS = {
    b"KDMV": "a VMDK file",
    b"# Disk Des": "a VMDK descriptor",
    b"conectix": "a VHD file",
    b"vhdxfile": "a VHDX file",
}
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_CONVERT = "Convert it first: qemu-img convert -O qcow2 FILE NEW.qcow2"

_SUPERBLOCK_AT, _SUPERBLOCK_BYTES = 1024, 1024
_EXT_MAGIC_AT, _EXT_MAGIC = 56, b"\x53\xef"
_EXT_INCOMPATIBLE_AT, _NEEDS_RECOVERY = 96, 4
_GPT_MAGIC, _GPT_ENTRIES_AT, _GPT_HEADER = b"EFI PART", 72, struct.Struct("<QII")
_GPT_ENTRY = struct.Struct("<16s16xQQ")
_MOST_PARTITIONS = 128
_LARGEST_ENTRY_BYTES = 4096
_MBR_MAGIC_AT, _MBR_MAGIC = 510, b"\x55\xaa"
_MBR_ENTRIES_AT, _MBR_ENTRY = 446, struct.Struct("<8xII")
_ROOT_TYPES = {
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
}
"""Source: the Discoverable Partitions Specification: the root of an x86-64 and an ARM machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Partition:
    start_bytes: int
    size_bytes: int
    type: str = ""


class LocalForeignImages:
    """Opens image files of this machine."""

    def __init__(self, commands: CommandRunner, work: Path) -> None:
        """Run programs with commands; work below a folder."""
        self._commands = commands
        self._work = work

    @contextmanager
    def opened(self, file: PurePath, on_bytes: Callable[[int], None]) -> Iterator[ForeignImage]:
        """Give what is in a file. Raises: ForeignImageRefused; CommandFailed; StorageFull."""
        given = Path(file)
        if not given.is_file():
            raise ForeignImageRefused(file, "There is no such file.", "Check its path.")
        with full_told(self._work), working_folder(self._work, "foreign-") as folder:
            copy = folder / "given"
            copy_sparse(given, copy)
            on_bytes(copy.stat().st_size)
            format_ = _format_of(file, copy)
            if format_ is ArtifactFormat.TAR:
                yield _tar(copy)
                return
            raw = self._raw(copy, format_, folder)
            archive = folder / "root.tar"
            place = _root_of(file, raw)
            inside = folder / "root"
            inside.mkdir()
            try:
                ForeignRoot(self._commands, place, inside).archived(archive)
            except RootUnreadable as error:
                raise ForeignImageRefused(
                    file, f"Its root does not hold together: {error}"
                ) from error
            yield ForeignImage(
                format=format_,
                copy=copy,
                digest=file_digest(str(copy)),
                size_bytes=copy.stat().st_size,
                disk_digest=BlockMap.of(raw).digest,
                virtual_size_bytes=raw.stat().st_size,
                archive=archive,
            )

    def _raw(self, copy: Path, format_: ArtifactFormat, folder: Path) -> Path:
        if format_ is ArtifactFormat.RAW:
            return copy
        made = folder / "made"
        made.mkdir()
        raw = made / "disk.raw"
        argv = ("qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-m", "16", "-W")
        walled = Walled(commands=self._commands, disk=copy, folder=made)
        walled.check(Command(argv=(*argv, str(copy), str(raw))))
        return raw


def _root_of(file: PurePath, raw: Path) -> Place:
    """Give where the root of a disk lies: the partition that says so, or the largest ext4."""
    found = [p for p in _partitions(raw) if _has_ext(raw, p.start_bytes)]
    if not found:
        reason = "There is no ext4 file system in it."
        raise ForeignImageRefused(file, reason)
    named = [p for p in found if p.type in _ROOT_TYPES]
    root = max(named or found, key=lambda p: p.size_bytes)
    if _needs_recovery(raw, root.start_bytes):
        hint = "Start and shut it down cleanly, or repair it with e2fsck, then copy it again."
        reason = "Its root was in use when it was copied: the journal is not written back."
        raise ForeignImageRefused(file, reason, hint)
    return Place(raw=raw, offset_bytes=root.start_bytes)


def _partitions(raw: Path) -> list[_Partition]:
    """Give the partitions of a disk; one without a table is a file system by itself."""
    whole = _Partition(start_bytes=0, size_bytes=raw.stat().st_size)
    if _has_ext(raw, 0):
        return [whole]
    with raw.open("rb") as disk:
        head = disk.read(SECTOR_BYTES * 2)
        is_gpt = head[SECTOR_BYTES:].startswith(_GPT_MAGIC)
        found = _gpt(disk, head[SECTOR_BYTES:], whole) if is_gpt else _mbr(head)
        # A table may name any place; what does not lie on the disk is nowhere.
        return [p for p in found if p.start_bytes + p.size_bytes <= whole.size_bytes]


def _gpt(disk: BinaryIO, header: bytes, whole: _Partition) -> Iterator[_Partition]:
    entries_at, count, entry_bytes = _GPT_HEADER.unpack_from(header, _GPT_ENTRIES_AT)
    if entry_bytes > _LARGEST_ENTRY_BYTES or entries_at * SECTOR_BYTES >= whole.size_bytes:
        return
    disk.seek(entries_at * SECTOR_BYTES)
    for _ in range(min(count, _MOST_PARTITIONS)):
        entry = disk.read(max(entry_bytes, _GPT_ENTRY.size))
        if len(entry) < _GPT_ENTRY.size:
            return
        type_, first, last = _GPT_ENTRY.unpack_from(entry)
        if any(type_) and last >= first:
            yield _Partition(
                start_bytes=first * SECTOR_BYTES,
                size_bytes=(last - first + 1) * SECTOR_BYTES,
                type=str(uuid.UUID(bytes_le=type_)).upper(),
            )


def _mbr(head: bytes) -> Iterator[_Partition]:
    """Give the primary partitions of a table of old; none where there is no such table."""
    if head[_MBR_MAGIC_AT:].startswith(_MBR_MAGIC):
        for number in range(4):
            first, sectors = _MBR_ENTRY.unpack_from(head, _MBR_ENTRIES_AT + number * 16)
            if sectors:
                yield _Partition(
                    start_bytes=first * SECTOR_BYTES, size_bytes=sectors * SECTOR_BYTES
                )


def _tar(copy: Path) -> ForeignImage:
    digest, size_bytes = file_digest(str(copy)), copy.stat().st_size
    return ForeignImage(
        format=ArtifactFormat.TAR,
        copy=copy,
        digest=digest,
        size_bytes=size_bytes,
        disk_digest=digest,
        virtual_size_bytes=size_bytes,
        archive=copy,
    )


def _format_of(file: PurePath, copy: Path) -> ArtifactFormat:
    """Give what a file is by its first bytes. Raises: ForeignImageRefused."""
    with copy.open("rb") as opened:
        head = opened.read(4096)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise ForeignImageRefused(file, f"It is {what}.", _CONVERT)
    if head.startswith(_QCOW2_MAGIC):
        _refuse_references(file, head)
        return ArtifactFormat.QCOW2
    if head.startswith(_COMPRESSED) or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return ArtifactFormat.TAR
    if copy.stat().st_size < MIB:
        raise ForeignImageRefused(file, "It is too small for a disk, and no tar file.")
    return ArtifactFormat.RAW


def _refuse_references(file: PurePath, head: bytes) -> None:
    """Let a qcow2 file pass that names no other file. Raises: ForeignImageRefused."""
    try:
        _, version, backing_at = _QCOW2_HEAD.unpack_from(head)
        (features,) = struct.unpack_from(">Q", head, _INCOMPATIBLE_AT) if version > 2 else (0,)  # noqa: PLR2004 - the version that has none
    except struct.error as error:
        raise ForeignImageRefused(file, "It is a qcow2 file that was cut off.") from error
    if backing_at or features & _EXTERNAL_DATA:
        raise ForeignImageRefused(file, "It lies upon another file, which it names.", _CONVERT)


def _has_ext(raw: Path, start_bytes: int) -> bool:
    superblock = _superblock(raw, start_bytes)
    is_whole = len(superblock) == _SUPERBLOCK_BYTES
    return is_whole and superblock[_EXT_MAGIC_AT:].startswith(_EXT_MAGIC)


def _needs_recovery(raw: Path, start_bytes: int) -> bool:
    (features,) = struct.unpack_from("<I", _superblock(raw, start_bytes), _EXT_INCOMPATIBLE_AT)
    return bool(features & _NEEDS_RECOVERY)


def _superblock(raw: Path, start_bytes: int) -> bytes:
    with raw.open("rb") as disk:
        disk.seek(start_bytes + _SUPERBLOCK_AT)
        return disk.read(_SUPERBLOCK_BYTES)
