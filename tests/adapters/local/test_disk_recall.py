"""A disk that was built before is had again, of whatever is left of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.disk import LocalDisks
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.units import MIB
from imagebuilder.ports.disks import BuiltDisk
from tests.disks import EPOCH, a_request, local_disks

pytestmark = pytest.mark.root

OF_A_DISK = [format_ for format_ in ArtifactFormat if format_ is not ArtifactFormat.TAR]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recall")


@pytest.fixture(scope="module")
def root(folder: Path) -> Path:
    root = folder / "root"
    (root / "boot").mkdir(parents=True)
    (root / "boot/vmlinuz").write_bytes(os.urandom(MIB))
    for path in (*root.rglob("*"), root):
        os.utime(path, (EPOCH, EPOCH))
    return root


@pytest.fixture(scope="module")
def built(folder: Path, root: Path) -> Iterator[tuple[BuiltDisk, dict[ArtifactFormat, Path]]]:
    """Give a disk, and all files it can be handed out as."""
    disks = local_disks(folder)
    with disks.assemble(a_request(root)) as disk:
        files: dict[ArtifactFormat, Path] = {}
        for format_ in OF_A_DISK:
            files[format_] = Path(disks.package(disk, root, format_)).rename(folder / format_)
        yield disk, files


@pytest.fixture
def disks(tmp_path: Path) -> LocalDisks:
    return local_disks(tmp_path)


@pytest.mark.parametrize("format_", OF_A_DISK)
def test_recalled_when_one_file_is_left_then_is_the_same_disk(
    built: tuple[BuiltDisk, dict[ArtifactFormat, Path]],
    disks: LocalDisks,
    tmp_path: Path,
    format_: ArtifactFormat,
) -> None:
    disk, files = built

    with disks.recalled("web", disk.digest, {format_: files[format_]}) as raw:
        assert BlockMap.of(raw).digest == disk.digest

    assert files[format_].exists()
    assert list((tmp_path / "work").glob("*")) == []


def test_recalled_when_it_is_at_hand_then_nothing_is_made(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    with disks.assemble(a_request(root)) as disk:
        disks.remember("web", disk)
    lost = {ArtifactFormat.QCOW2: tmp_path / "lost"}

    with disks.recalled("web", disk.digest, lost) as raw:
        assert BlockMap.of(raw).digest == disk.digest
    with disks.recalled("web", disk.digest, lost) as again:
        assert again == raw


def test_recalled_when_the_disk_at_hand_is_another_then_a_file_is_read(
    built: tuple[BuiltDisk, dict[ArtifactFormat, Path]], disks: LocalDisks, root: Path
) -> None:
    disk, files = built
    with disks.assemble(a_request(root, size_bytes=disk.size_bytes + MIB)) as other:
        disks.remember("web", other)

    with disks.recalled("web", disk.digest, files) as raw:
        assert BlockMap.of(raw).digest == disk.digest


@pytest.mark.parametrize("format_", OF_A_DISK)
def test_recalled_when_the_file_holds_another_disk_then_is_refused(
    built: tuple[BuiltDisk, dict[ArtifactFormat, Path]],
    disks: LocalDisks,
    format_: ArtifactFormat,
) -> None:
    _, files = built
    other = Digest.of_bytes(b"other")

    with (
        pytest.raises(DigestMismatch),
        disks.recalled("web", other, {format_: files[format_]}),
    ):
        pytest.fail("it was given")
