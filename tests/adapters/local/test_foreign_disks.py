"""Disks that somebody made to harm who opens them: refused at once, without a crash."""

import struct
import subprocess
from pathlib import Path

import pytest

from imagebuilder.adapters.local.foreign import LocalForeignImages
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.foreign import ForeignImageRefused

pytestmark = pytest.mark.timeout(60)

SECTOR = 512
SIZE = 4 << 20


def refusal(file: Path) -> str:
    """Give why a file is not opened; nothing is left of the try."""
    work = file.parent / "work"
    images = LocalForeignImages(SystemCommandRunner(SystemClock()), work)
    with pytest.raises(ForeignImageRefused) as refused, images.opened(file, lambda _: None):
        pass
    assert list(work.iterdir()) == []
    return refused.value.context


def a_table(
    folder: Path, *, at: int = 2, entry_bytes: int = 128, partition: tuple[int, int] | None = None
) -> Path:
    """Give a disk whose GPT says that, in a file that takes no room whatever its size."""
    header = bytearray(SECTOR)
    header[:8] = b"EFI PART"
    struct.pack_into("<QII", header, 72, at, 128, entry_bytes)
    disk = folder / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(max(SIZE, 4 * entry_bytes))
        file.seek(SECTOR)
        file.write(header)
        if partition is not None:
            file.write(struct.pack("<16s16xQQ", b"a type of root..", *partition))
    return disk


def a_file_system(folder: Path, script: str, size: str = "16M") -> Path:
    """Give an ext4 that debugfs was made to damage."""
    disk = folder / "disk.raw"
    run = ["mke2fs", "-q", "-F", "-t", "ext4", str(disk), size]
    subprocess.run(run, check=True, timeout=50)
    editing = ["debugfs", "-w", "-f", "-", str(disk)]
    subprocess.run(editing, input=script, text=True, check=True, capture_output=True, timeout=50)
    return disk


@pytest.mark.parametrize(
    "fields",
    [
        {"at": 2**63},
        {"partition": (2**62, 2**62 + 5)},
        {"partition": (34, 2**62)},
        {"entry_bytes": 2**31},
    ],
)
def test_opened_when_a_table_names_places_beyond_the_disk_then_nothing_is_found(
    tmp_path: Path, fields: dict[str, int]
) -> None:
    assert "no ext4 file system" in refusal(a_table(tmp_path, **fields))  # type: ignore[arg-type] # each is of its own type


def test_opened_when_the_disk_ends_within_the_superblock_then_nothing_is_found(
    tmp_path: Path,
) -> None:
    disk = a_table(tmp_path, partition=(SIZE // SECTOR, SIZE // SECTOR + 1))
    with disk.open("r+b") as file:
        file.seek(SIZE + 1024 + 56)
        file.write(b"\x53\xef")

    assert "no ext4 file system" in refusal(disk)


def test_opened_when_a_folder_lies_within_itself_then_is_refused(tmp_path: Path) -> None:
    disk = a_file_system(tmp_path, "mkdir /a\nlink /a /a/x\n")

    assert "another name" in refusal(disk)


def test_opened_when_one_file_has_very_many_names_then_they_are_not_all_written_out(
    tmp_path: Path,
) -> None:
    content = tmp_path / "content"
    content.write_bytes(b"x" * (1 << 20))
    names = "".join(f"link /f /f{number}\n" for number in range(40))
    disk = a_file_system(tmp_path, f"write {content} f\n{names}")

    assert "claim 41.0 MiB" in refusal(disk)


def test_opened_when_a_large_disk_that_takes_no_room_has_a_file_of_holes_then_is_refused(
    tmp_path: Path,
) -> None:
    # Without blocks: all of it is a hole.
    script = f"write /dev/null f\nsif f size {70 << 30}\n"

    assert "claim 70.0 GiB" in refusal(a_file_system(tmp_path, script, "100G"))
