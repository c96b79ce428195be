"""A disk laid out without one large file, which is put there in the end."""

import os
from pathlib import Path

import pytest

from imagebuilder.domain.layer import Tree, difference
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.units import MIB
from imagebuilder.ports.disks import DiskTooSmall
from tests.disks import (
    EPOCH,
    SIZE_BYTES,
    ReadBack,
    a_request,
    local_disks,
    output_of,
    tree_of,
)

pytestmark = pytest.mark.root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "boot").mkdir(parents=True)
    (root / "boot/vmlinuz").write_bytes(os.urandom(MIB))
    (root / "etc").mkdir()
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "var").mkdir()
    (root / "var/much").write_bytes(os.urandom(12 * MIB))
    settle_times(root)
    return root


def settle_times(root: Path) -> None:
    for path in (*root.rglob("*"), root):
        os.utime(path, (EPOCH, EPOCH))


def with_initramfs(root: Path, size_bytes: int = MIB) -> Tree:
    (root / "boot/initrd.img").write_bytes(os.urandom(size_bytes))
    settle_times(root)
    return tree_of(root)


def read_back(raw: Path, folder: Path) -> Tree:
    found = dict(ReadBack(raw).dump(folder))
    found.pop("/lost+found")
    return found


@pytest.mark.parametrize("share", [1, 8], ids=["a small file", "too much to follow"])
def test_complete_then_the_disk_and_its_qcow2_file_hold_all(
    root: Path, tmp_path: Path, share: int
) -> None:
    disks, held = local_disks(tmp_path), tree_of(root)
    with disks.assemble(a_request(root)) as draft:
        disks.package(draft, root, ArtifactFormat.QCOW2)
        wanted = with_initramfs(root, share * MIB)
        disk = disks.complete(draft, held, a_request(root))
        assert difference(read_back(Path(disk.raw), tmp_path / "dump"), wanted).is_empty
        made = disks.package(disk, root, ArtifactFormat.QCOW2)
        output_of("qemu-img", "compare", "-f", "raw", "-F", "qcow2", disk.raw, made)
        assert (disk.predecessor, disk.changed_blocks) == (None, None)


def test_complete_twice_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    held = tree_of(root)
    (tmp_path / "with").mkdir()
    output_of("cp", "-a", root, tmp_path / "with/root")
    full = tmp_path / "with/root"
    with_initramfs(full)
    digests = set()
    for name in ("one", "other"):
        disks = local_disks(tmp_path / name)
        with disks.assemble(a_request(root)) as draft:
            digests.add(disks.complete(draft, held, a_request(full)).digest)
    assert len(digests) == 1


def test_complete_when_the_disk_is_too_small_for_all_then_says_how_much_is_needed(
    root: Path, tmp_path: Path
) -> None:
    disks, held = local_disks(tmp_path), tree_of(root)
    with disks.assemble(a_request(root)) as draft:
        with_initramfs(root, SIZE_BYTES)
        with pytest.raises(DiskTooSmall):
            disks.complete(draft, held, a_request(root))


def test_complete_when_the_disk_is_remembered_then_the_next_can_take_it(
    root: Path, tmp_path: Path
) -> None:
    disks, held = local_disks(tmp_path), tree_of(root)
    with disks.assemble(a_request(root)) as draft:
        with_initramfs(root)
        disks.remember("web", disks.complete(draft, held, a_request(root)))
    assert (tmp_path / "store/raws/web.raw").exists()
