"""Disk: where partitions lie, how large a file system must be, and the names both are known by.

Arithmetic and text only; the tools are run elsewhere.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from imagebuilder.domain.recipe import Firmware
from imagebuilder.domain.units import GIB, KIB, MIB

SECTOR_BYTES = 512
ALIGNMENT_BYTES = MIB
FILE_SYSTEM_BLOCK_BYTES = 4 * KIB

_BIOS_BOOT_BYTES = MIB
_ESP_BYTES = 64 * MIB
"""The least at which FAT32, the only kind every UEFI must read, is possible with room to spare."""

_NAMESPACE = uuid.UUID("1b3df7a5-5a6a-5c62-9a94-3d5f6f0f7c11")

_INODE_BYTES = 256
_BYTES_PER_INODE = 16 * KIB
_BLOCKS_PER_GROUP = 32768
_GROUP_DESCRIPTOR_BYTES = 64
_LARGEST_GROWTH = 1024
_MOST_RESERVED_DESCRIPTOR_BLOCKS = 1024
_SHORT_SYMLINK_BYTES = 59
_JOURNAL_SIZES = (
    (128 * MIB, 4),
    (GIB, 16),
    (2 * GIB, 32),
    (16 * GIB, 64),
    (32 * GIB, 128),
    (64 * GIB, 256),
    (128 * GIB, 512),
)
"""Below which size a file system has a journal of how many MiB. Source: e2fsprogs, mkjournal.c."""
_LARGEST_JOURNAL_MIB = 1024
_SLACK_BYTES = 32 * MIB
"""What a machine needs to start at all: logs, keys, a machine id."""


class PartitionRole(StrEnum):
    """What a partition is for."""

    BIOS_BOOT = "bios-boot"
    ESP = "esp"
    ROOT = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A stretch of the disk. Invariant: start and size are multiples of the alignment."""

    role: PartitionRole
    start_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first byte after it."""
        return self.start_bytes + self.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayout:
    """A disk and its partitions, in their order on it.

    Invariant: partitions are aligned, do not overlap, leave room for both partition tables, and the
    last one is the root file system, which takes all that is left.
    """

    size_bytes: int
    partitions: tuple[Partition, ...]

    @classmethod
    def for_firmware(cls, size_bytes: int, firmware: Iterable[Firmware]) -> Self:
        """Lay out a disk; what its size has beyond whole MiB is not used.

        Raises: ValueError: it has no room for a root partition at all.
        """
        whole = size_bytes // ALIGNMENT_BYTES * ALIGNMENT_BYTES
        asked = set(firmware)
        fixed = [
            (role, size)
            for role, size, needed_by in (
                (PartitionRole.BIOS_BOOT, _BIOS_BOOT_BYTES, Firmware.BIOS),
                (PartitionRole.ESP, _ESP_BYTES, Firmware.UEFI),
            )
            if needed_by in asked
        ]
        partitions, start = [], ALIGNMENT_BYTES
        for role, size in fixed:
            partitions.append(Partition(role=role, start_bytes=start, size_bytes=size))
            start += size
        root_bytes = whole - ALIGNMENT_BYTES - start
        if root_bytes <= 0:
            raise ValueError(f"a disk of {size_bytes} bytes has no room for a root partition")
        partitions.append(
            Partition(role=PartitionRole.ROOT, start_bytes=start, size_bytes=root_bytes)
        )
        return cls(size_bytes=whole, partitions=tuple(partitions))

    def partition(self, role: PartitionRole) -> Partition | None:
        """Give the partition of a role, if the disk has one."""
        return next((p for p in self.partitions if p.role is role), None)

    @property
    def root(self) -> Partition:
        """The partition of the root file system."""
        return self.partitions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What must fit into a file system, in its blocks and names."""

    blocks: int
    inodes: int

    @classmethod
    def of(cls, *, file_sizes: Iterable[int], folder_names: Iterable[int], links: int) -> Self:
        """Count files by size, folders by the bytes their entries take, and links by number."""
        files = [_blocks(size) for size in file_sizes]
        folders = [max(1, _blocks(size)) for size in folder_names]
        # A symbolic link may need a block of its own; few do, so all are counted as if.
        return cls(
            blocks=sum(files) + sum(folders) + links,
            inodes=len(files) + len(folders) + links,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemPlan:
    """The sizes an ext4 file system is made with, stated so that no machine's defaults matter."""

    blocks: int
    inodes: int
    journal_mib: int

    @classmethod
    def for_size(cls, size_bytes: int, contents: Contents) -> Self:
        """Plan a file system of a size that has inodes enough for contents and as much again."""
        return cls(
            blocks=size_bytes // FILE_SYSTEM_BLOCK_BYTES,
            inodes=max(size_bytes // _BYTES_PER_INODE, 2 * contents.inodes),
            journal_mib=next(
                (mib for limit, mib in _JOURNAL_SIZES if size_bytes < limit), _LARGEST_JOURNAL_MIB
            ),
        )

    @property
    def overhead_bytes(self) -> int:
        """What the file system takes for itself."""
        groups = -(-self.blocks // _BLOCKS_PER_GROUP)
        grown_groups = self.blocks * _LARGEST_GROWTH // _BLOCKS_PER_GROUP
        descriptors_per_block = FILE_SYSTEM_BLOCK_BYTES // _GROUP_DESCRIPTOR_BYTES
        reserved = min(_MOST_RESERVED_DESCRIPTOR_BLOCKS, 1 + grown_groups // descriptors_per_block)
        descriptors = 1 + groups // descriptors_per_block
        copies = _superblock_copies(groups)
        blocks = copies * (1 + descriptors + reserved) + 2 * groups
        # Inode tables are whole blocks in every group.
        tables = self.inodes * _INODE_BYTES + groups * FILE_SYSTEM_BLOCK_BYTES
        return blocks * FILE_SYSTEM_BLOCK_BYTES + tables + self.journal_mib * MIB


def needed_bytes(contents: Contents, firmware: Iterable[Firmware]) -> int:
    """Give the size of the smallest disk on which contents fit and a machine can start."""
    outside = DiskLayout.for_firmware(GIB, firmware).root.start_bytes + ALIGNMENT_BYTES
    data = contents.blocks * FILE_SYSTEM_BLOCK_BYTES + _SLACK_BYTES
    size = _whole_mib(data)
    # Overhead grows with the size, but far slower than it: this ends after a few rounds.
    while (
        needed := _whole_mib(data + FileSystemPlan.for_size(size, contents).overhead_bytes)
    ) > size:
        size = needed
    return size + outside


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIdentity:
    """Every identifier of a disk, made of its image's name: versions of one image share them."""

    disk: uuid.UUID
    root_file_system: uuid.UUID
    hash_seed: uuid.UUID
    partitions: dict[PartitionRole, uuid.UUID]
    esp_serial: int

    @classmethod
    def of(cls, name: str) -> Self:
        """Give the identity of an image's disks."""
        return cls(
            disk=_uuid(name, "disk"),
            root_file_system=_uuid(name, "root-file-system"),
            hash_seed=_uuid(name, "hash-seed"),
            partitions={role: _uuid(name, role) for role in PartitionRole},
            # Zero would tell mkfs.vfat nothing, and a FAT without a serial cannot be named.
            esp_serial=_uuid(name, "esp-serial").int & 0xFFFFFFFF or 1,
        )


def root_uuid(name: str) -> str:
    """Give the UUID of the root file system of an image, as fstab and GRUB write it."""
    return str(DiskIdentity.of(name).root_file_system)


def esp_uuid(name: str) -> str:
    """Give the serial of the EFI system partition of an image, as fstab writes it."""
    serial = DiskIdentity.of(name).esp_serial
    return f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"


def fstab(root_uuid: str, esp_uuid: str | None = None) -> str:
    """Give the text of /etc/fstab."""
    lines = [f"UUID={root_uuid} / ext4 errors=remount-ro 0 1"]
    if esp_uuid is not None:
        # A machine whose boot loader was already found must come up without this partition.
        lines.append(f"UUID={esp_uuid} /boot/efi vfat umask=0077,nofail 0 2")
    return "\n".join(lines) + "\n"


def grub_config(*, kernel_release: str, root_uuid: str, arguments: str = "") -> str:
    """Give the text of /boot/grub/grub.cfg: one kernel, at once, on screen and serial line."""
    # The kernel takes the last console as the one that /dev/console is: the serial line.
    line = f"root=UUID={root_uuid} ro console=tty0 console=ttyS0,115200 {arguments}".rstrip()
    return f"""\
search --no-floppy --fs-uuid --set=root {root_uuid}
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
set default=0
set timeout=0
menuentry "Linux {kernel_release}" {{
  search --no-floppy --fs-uuid --set=root {root_uuid}
  linux /boot/vmlinuz-{kernel_release} {line}
  initrd /boot/initrd.img-{kernel_release}
}}
"""


def folder_entry_bytes(name_bytes: int) -> int:
    """Give what a name takes in its folder."""
    return 8 + -(-name_bytes // 4) * 4


def _uuid(name: str, what: str) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"{name}/{what}")


def _blocks(size_bytes: int) -> int:
    return -(-size_bytes // FILE_SYSTEM_BLOCK_BYTES)


def _whole_mib(size_bytes: int) -> int:
    return -(-size_bytes // MIB) * MIB


def _superblock_copies(groups: int) -> int:
    """Count the groups that hold a copy: 0, 1 and the powers of 3, 5 and 7 (sparse_super)."""
    holders = {0, 1} if groups > 1 else {0}
    for factor in (3, 5, 7):
        power = factor
        while power < groups:
            holders.add(power)
            power *= factor
    return len(holders)
