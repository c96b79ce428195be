"""Disks that were made elsewhere, taken in with qemu's own tools."""

import subprocess
from pathlib import Path

import pytest

from imagebuilder.adapters.local.imports import LocalDiskImporter, require_plain
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.disks import DiskUnreadable

SIZE = 3 * 1024 * 1024


@pytest.fixture
def importer(tmp_path: Path) -> LocalDiskImporter:
    return LocalDiskImporter(SystemCommandRunner(SystemClock()), tmp_path / "work")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(b"a disk".ljust(SIZE - 8, b"\0") + b"its end.")
    return path


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("format_", "name"),
    [(ArtifactFormat.QCOW2, "qcow2"), (ArtifactFormat.RAW, "raw"), (ArtifactFormat.VMDK, "vmdk")],
)
def test_imported_when_a_disk_is_in_a_format_then_its_bytes_and_digest_are_those_of_any_other(
    importer: LocalDiskImporter, raw: Path, tmp_path: Path, format_: ArtifactFormat, name: str
) -> None:
    made = tmp_path / f"disk.{name}"
    qemu_img("convert", "-f", "raw", "-O", name, raw, made)
    wanted = (ArtifactFormat.QCOW2, ArtifactFormat.RAW)

    with importer.imported(made, format_, wanted) as disk:
        assert Path(disk.raw).read_bytes() == raw.read_bytes()
        assert Path(disk.files[ArtifactFormat.RAW]).read_bytes() == raw.read_bytes()
        assert Path(disk.files[ArtifactFormat.QCOW2]).read_bytes()[:4] == b"QFI\xfb"
        assert disk.size_bytes == SIZE
        digest = disk.digest
    with importer.imported(raw, ArtifactFormat.RAW, ()) as again:
        assert again.digest == digest

    assert list((tmp_path / "work").iterdir()) == []


def test_imported_when_a_disk_stands_on_another_file_then_it_is_refused(
    importer: LocalDiskImporter, raw: Path, tmp_path: Path
) -> None:
    made = tmp_path / "disk.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", raw, "-F", "raw", made)

    with (
        pytest.raises(DiskUnreadable) as refused,
        importer.imported(made, ArtifactFormat.QCOW2, ()),
    ):
        pass

    assert "stands on another file" in refused.value.context


def test_imported_when_a_raw_disk_looks_like_a_qcow2_file_then_it_stays_what_it_is(
    importer: LocalDiskImporter, raw: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", raw, "-F", "raw", trap)

    with importer.imported(trap, ArtifactFormat.RAW, ()) as disk:
        assert Path(disk.raw).read_bytes()[: trap.stat().st_size] == trap.read_bytes()


def test_imported_when_it_is_no_disk_of_that_format_then_says_so(
    importer: LocalDiskImporter, raw: Path
) -> None:
    with pytest.raises(DiskUnreadable), importer.imported(raw, ArtifactFormat.QCOW2, ()):
        pass


_DESCRIPTOR = """version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"
RW 2 FLAT "/etc/passwd" 0
"""


def test_require_plain_when_a_raw_disk_begins_as_another_format_then_it_is_refused(
    raw: Path, tmp_path: Path
) -> None:
    runner = SystemCommandRunner(SystemClock())
    require_plain(runner, raw, tmp_path)
    with raw.open("r+b") as disk:
        disk.write(_DESCRIPTOR.encode())

    with pytest.raises(DiskUnreadable):
        require_plain(runner, raw, tmp_path)


def test_require_plain_when_a_raw_disk_begins_as_a_qcow2_on_another_file_then_it_is_refused(
    raw: Path, tmp_path: Path
) -> None:
    overlay = tmp_path / "overlay"
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", overlay)
    raw.write_bytes(overlay.read_bytes())

    with pytest.raises(DiskUnreadable):
        require_plain(SystemCommandRunner(SystemClock()), raw, tmp_path)
