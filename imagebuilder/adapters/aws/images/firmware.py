"""How a raw disk can be booted, as its partition table tells."""

import os
import struct
from pathlib import PurePath
from uuid import UUID

from imagebuilder.domain.recipe import Firmware

_SECTOR_BYTES = 512
_MOST_ENTRIES = 1024
_MOST_ENTRY_BYTES = 4096
_KINDS = {
    UUID("21686148-6449-6e6f-744e-656564454649"): Firmware.BIOS,
    UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"): Firmware.UEFI,
}
"""Source: UEFI 2.10, 5.3; GRUB manual, BIOS installation."""


def firmware_of(disk: PurePath) -> frozenset[Firmware]:
    """Give the firmware that finds a boot loader on a disk; BIOS where there is no GPT."""
    descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = os.pread(descriptor, _SECTOR_BYTES, _SECTOR_BYTES)
        if header[:8] != b"EFI PART":
            return frozenset((Firmware.BIOS,))
        start, count, size = struct.unpack_from("<QII", header, 72)
        count, size = min(count, _MOST_ENTRIES), min(size, _MOST_ENTRY_BYTES)
        at = min(start * _SECTOR_BYTES, os.fstat(descriptor).st_size)
        table = os.pread(descriptor, count * size, at)
    finally:
        os.close(descriptor)
    kinds = (UUID(bytes_le=table[at : at + 16]) for at in range(0, len(table) - 15, max(size, 16)))
    return frozenset(_KINDS[kind] for kind in kinds if kind in _KINDS)


def boot_mode(firmware: frozenset[Firmware]) -> str:
    """Give the boot mode of an AMI for what its disk can do.

    Source: Amazon EC2 User Guide, boot modes.
    """
    if Firmware.UEFI not in firmware:
        return "legacy-bios"
    return "uefi-preferred" if Firmware.BIOS in firmware else "uefi"
