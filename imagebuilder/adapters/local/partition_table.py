"""GPT: a disk layout as the bytes that firmware and kernels read.

Written here and not by a tool, so that the table of a predecessor can be compared with the one that
is wanted, byte for byte. Source: UEFI specification 2.10, chapter 5.
"""

import struct
import uuid
import zlib
from dataclasses import dataclass

from imagebuilder.domain.disk import SECTOR_BYTES, DiskIdentity, DiskLayout, PartitionRole

_ENTRY_COUNT = 128
_ENTRY_BYTES = 128
_ENTRY_SECTORS = _ENTRY_COUNT * _ENTRY_BYTES // SECTOR_BYTES
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_NAME_BYTES = 72
_LARGEST_LBA32 = 0xFFFFFFFF

_TYPES = {
    PartitionRole.BIOS_BOOT: uuid.UUID("21686148-6449-6e6f-744e-656564454649"),
    PartitionRole.ESP: uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    # The root of an x86-64 machine, which tools of systemd find by it.
    PartitionRole.ROOT: uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """The bytes of a table. `front` begins with the protective MBR; `back` ends with the disk."""

    front: bytes
    back: bytes


def partition_table(layout: DiskLayout, identity: DiskIdentity) -> PartitionTable:
    """Give the table of a layout."""
    entries = _entries(layout, identity)
    last = layout.size_bytes // SECTOR_BYTES - 1
    front = _header(identity, entries, own=1, other=last, entries_at=2)
    back = _header(identity, entries, own=last, other=1, entries_at=last - _ENTRY_SECTORS)
    return PartitionTable(front=_protective_mbr(last) + front + entries, back=entries + back)


def _entries(layout: DiskLayout, identity: DiskIdentity) -> bytes:
    written = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            _TYPES[partition.role].bytes_le,
            identity.partitions[partition.role].bytes_le,
            partition.start_bytes // SECTOR_BYTES,
            partition.end_bytes // SECTOR_BYTES - 1,
            0,
            partition.role.value.encode("utf-16-le")[:_NAME_BYTES],
        )
        for partition in layout.partitions
    )
    return written.ljust(_ENTRY_COUNT * _ENTRY_BYTES, b"\0")


def _header(
    identity: DiskIdentity, entries: bytes, *, own: int, other: int, entries_at: int
) -> bytes:
    first_usable = 2 + _ENTRY_SECTORS
    last_usable = max(own, other) - _ENTRY_SECTORS - 1
    fields = (own, other, first_usable, last_usable, identity.disk.bytes_le, entries_at)
    counts = (_ENTRY_COUNT, _ENTRY_BYTES, zlib.crc32(entries))
    start = (b"EFI PART", 0x00010000, _HEADER.size)
    unsealed = _HEADER.pack(*start, 0, 0, *fields, *counts)
    sealed = _HEADER.pack(*start, zlib.crc32(unsealed), 0, *fields, *counts)
    return sealed.ljust(SECTOR_BYTES, b"\0")


def _protective_mbr(last_lba: int) -> bytes:
    """Say to whoever does not know GPT that all of the disk is taken."""
    partition = struct.pack(
        "<B3sB3sII",
        0x00,
        b"\x00\x02\x00",
        0xEE,
        b"\xff\xff\xff",
        1,
        min(last_lba, _LARGEST_LBA32),
    )
    return bytes(446) + partition + bytes(48) + b"\x55\xaa"
