"""The boot mode of an AMI follows from the partition table of its disk."""

import struct
from pathlib import Path
from uuid import UUID

import pytest

from imagebuilder.adapters.aws.images.firmware import boot_mode, firmware_of

BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"


def a_gpt(path: Path, *kinds: str) -> Path:
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 128, 128)
    entries = b"".join(UUID(kind).bytes_le.ljust(128, b"\1") for kind in kinds)
    path.write_bytes(bytes(512) + header.ljust(512, b"\0") + entries.ljust(128 * 128, b"\0"))
    return path


@pytest.mark.parametrize(
    ("kinds", "mode"),
    [
        ((BIOS_BOOT, ROOT), "legacy-bios"),
        ((ESP, ROOT), "uefi"),
        ((BIOS_BOOT, ESP, ROOT), "uefi-preferred"),
    ],
    ids=["BIOS", "UEFI", "both"],
)
def test_boot_mode_when_a_disk_has_partitions_then_is_what_they_can(
    tmp_path: Path, kinds: tuple[str, ...], mode: str
) -> None:
    assert boot_mode(firmware_of(a_gpt(tmp_path / "raw", *kinds))) == mode


@pytest.mark.parametrize("content", [b"", bytes(2048), b"\xff" * 2048], ids=["empty", "0", "1"])
def test_boot_mode_when_there_is_no_table_then_is_that_of_old_machines(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "raw").write_bytes(content)
    assert boot_mode(firmware_of(tmp_path / "raw")) == "legacy-bios"
