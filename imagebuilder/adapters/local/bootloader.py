"""GRUB as the parts of a disk that firmware starts: boot code for BIOS, a FAT partition for UEFI.

Both find the root file system by its UUID and go on with its /boot/grub/grub.cfg. They depend only
on that UUID and on the machine's GRUB, and so are kept.
"""

import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.local.sparse import data_extents
from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.domain.disk import (
    SECTOR_BYTES,
    DiskIdentity,
    DiskLayout,
    Partition,
    PartitionRole,
)
from imagebuilder.domain.errors import Unavailable
from imagebuilder.ports.process import Command, CommandRunner

_BIOS_FOLDER = "i386-pc"
_UEFI_FOLDER = "x86_64-efi"
_MODULES = (
    *("part_gpt", "ext2", "search", "search_fs_uuid", "configfile", "linux", "normal", "boot"),
    *("echo", "test", "ls", "cat", "serial", "terminal", "reboot", "halt", "sleep", "minicmd"),
)
_BIOS_MODULES = ("biosdisk", *_MODULES)
_UEFI_MODULES = ("fat", "efi_gop", "all_video", *_MODULES)

_BOOT_CODE_BYTES = 440
_CORE_SECTOR_AT = 0x5C
_DRIVE_CHECK_AT = 0x66
_NO_OPERATION = b"\x90\x90"
_CORE_LIST_AT = 0x1F4
_CORE_LENGTH_AT = 0x1FC
"""Source: GRUB 2.06, boot.S and diskboot.S, and what its own set-up program writes there."""

_DATE = "315532800"
"""The first moment that FAT can write: 1 January 1980."""
_PIECE_BYTES = 64 * 1024


class GrubMissing(Unavailable):
    """The parts of GRUB for a firmware are not installed."""

    code = "grub-missing"

    def __init__(self, folder: Path, package: str) -> None:
        """Name the folder that was looked for, and the package that brings it."""
        super().__init__(
            f"This machine has no GRUB in {folder}.",
            hint=f"Install {package}, or run: imagebuilder doctor --fix",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPart:
    """Bytes that belong somewhere on the disk.

    Invariant: a file is as long as its part; bytes may be shorter, and then zeros follow.
    """

    start_bytes: int
    end_bytes: int
    content: Path | bytes

    @property
    def padded_content(self) -> bytes:
        """Its bytes, as long as the part is."""
        content = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        return content.ljust(self.end_bytes - self.start_bytes, b"\0")


class Bootloader:
    """Makes the boot parts of disks."""

    def __init__(self, commands: CommandRunner, store: Path, grub: Path) -> None:
        """Keep finished parts below store; take GRUB's modules from grub."""
        self._commands = commands
        self._store = store
        self._grub = grub

    def parts(self, layout: DiskLayout, identity: DiskIdentity) -> Sequence[BootPart]:
        """Give what belongs into a disk besides its tables and its root, made or kept.

        Raises: GrubMissing; ProgramMissing; CommandFailed.
        """
        parts: list[BootPart] = []
        if (bios := layout.partition(PartitionRole.BIOS_BOOT)) is not None:
            parts += self._bios_parts(bios, identity)
        if (esp := layout.partition(PartitionRole.ESP)) is not None:
            image = self._esp(esp, identity)
            parts.append(
                BootPart(start_bytes=esp.start_bytes, end_bytes=esp.end_bytes, content=image)
            )
        return parts

    def _bios_parts(self, partition: Partition, identity: DiskIdentity) -> Iterator[BootPart]:
        folder = self._modules(_BIOS_FOLDER, "grub-pc-bin")
        core = self._kept(
            _key(folder, identity, partition),
            "core.img",
            lambda made: self._make_image(folder, _BIOS_MODULES, identity, made),
        )
        sector = partition.start_bytes // SECTOR_BYTES
        boot = _boot_code((folder / "boot.img").read_bytes(), sector)
        yield BootPart(start_bytes=0, end_bytes=_BOOT_CODE_BYTES, content=boot)
        yield BootPart(
            start_bytes=partition.start_bytes,
            end_bytes=partition.end_bytes,
            content=_located_core(core.read_bytes(), sector),
        )

    def _esp(self, partition: Partition, identity: DiskIdentity) -> Path:
        folder = self._modules(_UEFI_FOLDER, "grub-efi-amd64-bin")
        return self._kept(
            _key(folder, identity, partition),
            "esp.img",
            lambda made: self._make_esp(folder, partition.size_bytes, identity, made),
        )

    def _modules(self, name: str, package: str) -> Path:
        folder = self._grub / name
        if not (folder / "kernel.img").exists():
            raise GrubMissing(folder, package)
        return folder

    def _kept(self, key: Digest, name: str, make: Callable[[Path], None]) -> Path:
        """Give a part from the store; made beside it first, so that it appears whole or not."""
        kept = self._store / "boot" / f"{key.hex}.{name}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".making-") as folder:
                made = Path(folder) / name
                make(made)
                with made.open("rb") as opened:
                    os.fsync(opened.fileno())
                made.replace(kept)
        return kept

    def _make_image(
        self, folder: Path, modules: Iterable[str], identity: DiskIdentity, made: Path
    ) -> None:
        early = made.with_name("early.cfg")
        early.write_text(
            f"search --no-floppy --fs-uuid --set=root {identity.root_file_system}\n"
            "set prefix=($root)/boot/grub\n"
            "configfile ($root)/boot/grub/grub.cfg\n"
        )
        argv = ("grub-mkimage", "-O", folder.name, "-d", str(folder), "-p", "/boot/grub")
        self._check((*argv, "-c", str(early), "-o", str(made), *modules))

    def _make_esp(self, folder: Path, size_bytes: int, identity: DiskIdentity, made: Path) -> None:
        loader = made.with_name("BOOTX64.EFI")
        self._make_image(folder, _UEFI_MODULES, identity, loader)
        os.utime(loader, (int(_DATE), int(_DATE)))
        with made.open("wb") as opened:
            opened.truncate(size_bytes)
        serial = f"{identity.esp_serial:08x}"
        format_ = ("mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-n", "ESP", "-i", serial)
        self._check((*format_, str(made)))
        self._check(("mmd", "-i", str(made), "::/EFI", "::/EFI/BOOT"))
        self._check(("mcopy", "-m", "-i", str(made), str(loader), "::/EFI/BOOT/BOOTX64.EFI"))

    def _check(self, argv: Sequence[str]) -> None:
        environment = {"LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": _DATE}
        self._commands.check(Command(argv=argv, environment=environment))


def write_parts(raw: Path, parts: Iterable[BootPart]) -> None:
    """Put parts into a disk; what is there already is not written again: holes stay holes."""
    with raw.open("r+b") as disk:
        for part in parts:
            if isinstance(part.content, bytes):
                _write_where_other(disk.fileno(), part.start_bytes, part.padded_content)
            else:
                with part.content.open("rb") as content:
                    _write_file(disk.fileno(), part, content.fileno())


def _write_file(disk: int, part: BootPart, content: int) -> None:
    """Write a file over the disk, looking only where one of them has data."""
    size = part.end_bytes - part.start_bytes
    found = {start // _PIECE_BYTES for start in _piece_starts(content, 0, size)}
    found |= {
        (start - part.start_bytes) // _PIECE_BYTES
        for start in _piece_starts(disk, part.start_bytes, part.end_bytes)
    }
    for number in sorted(found):
        start = number * _PIECE_BYTES
        piece = os.pread(content, min(_PIECE_BYTES, size - start), start)
        _write_where_other(disk, part.start_bytes + start, piece)


def _piece_starts(fd: int, start: int, end: int) -> Iterator[int]:
    """Give where in a stretch of a file there is data, at least once in every piece."""
    for first, last in data_extents(fd, end, start):
        yield from range(first, min(last, end), _PIECE_BYTES)
        yield min(last, end) - 1


def _write_where_other(disk: int, offset: int, wanted: bytes) -> None:
    if os.pread(disk, len(wanted), offset) != wanted:
        os.pwrite(disk, wanted, offset)


def _boot_code(boot: bytes, core_sector: int) -> bytes:
    """Tell the boot code where the rest is, and not to doubt the drive it was started from."""
    code = bytearray(boot[:_BOOT_CODE_BYTES])
    struct.pack_into("<Q", code, _CORE_SECTOR_AT, core_sector)
    code[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] = _NO_OPERATION
    return bytes(code)


def _located_core(core: bytes, sector: int) -> bytes:
    """Tell the first sector of the core image where its other sectors are and how many."""
    located = bytearray(core)
    struct.pack_into("<Q", located, _CORE_LIST_AT, sector + 1)
    struct.pack_into("<H", located, _CORE_LENGTH_AT, -(-len(core) // SECTOR_BYTES) - 1)
    return bytes(located)


def _key(folder: Path, identity: DiskIdentity, partition: Partition) -> Digest:
    """Give the identity of all that goes into a part; an upgrade of GRUB replaces its files."""
    with os.scandir(folder) as found:
        files = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in found)
    return digest_of(
        {
            "modules": [list(file) for file in files],
            "wanted": [*_BIOS_MODULES, *_UEFI_MODULES],
            "root": str(identity.root_file_system),
            "serial": identity.esp_serial,
            "size": partition.size_bytes,
            "format": 1,
        }
    )
