"""Disks made by the real tools from small roots. Owners need root, so most of this does too."""

import hashlib
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Protocol

import pytest

from imagebuilder.adapters.local.disk import LocalDisks
from imagebuilder.adapters.local.ext4 import TreeNotAsRecorded
from imagebuilder.domain.layer import Tree, difference
from imagebuilder.domain.recipe import ArtifactFormat, Firmware
from imagebuilder.domain.units import MIB
from imagebuilder.ports.disks import BuiltDisk, DiskTooSmall, Predecessor
from tests.disks import EPOCH, SIZE_BYTES, ReadBack, a_request, local_disks, output_of, tree_of

pytestmark = pytest.mark.root

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
SECRET = b"not to be seen again"
OTHER_CAPABILITY = bytes.fromhex("0000000202000000000000000000000000000000")
ACL = bytes.fromhex(
    "0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff"
)


class Follow(Protocol):
    """Builds the disk that follows the first one."""

    def __call__(self, size_bytes: int = SIZE_BYTES) -> AbstractContextManager[BuiltDisk]: ...


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one of everything that is hard to carry over."""
    root = tmp_path / "root"
    for folder in ("etc", "usr/bin", "var/lib", "dev", "empty", "with space"):
        (root / folder).mkdir(parents=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "var/lib/large").write_bytes(hashlib.sha256(b"seed").digest() * 200_000)
    (root / "var/lib/secret").write_bytes(SECRET * 1000)
    (root / "usr/bin/sudo").write_text("set-uid")
    (root / "usr/bin/sudo").chmod(0o4755)
    (root / "usr/bin/ping").write_text("capable")
    os.setxattr(root / "usr/bin/ping", "security.capability", CAPABILITY)
    (root / "etc/acl").write_text("listed")
    os.setxattr(root / "etc/acl", "system.posix_acl_access", ACL)
    os.setxattr(root / "etc", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "etc/hosts", "trusted.overlay.origin", b"\x00\xfb")
    os.setxattr(root / "etc/hosts", "user.note", b"\x00\xff binary")
    (root / "usr/bin/one").write_text("linked")
    (root / "usr/bin/two").hardlink_to(root / "usr/bin/one")
    (root / "etc/link").symlink_to("../usr bin")
    (root / "etc/long").symlink_to("x" * 200)
    os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
    os.mknod(root / "dev/big", 0o60660, os.makedev(259, 70000))
    os.mkfifo(root / "dev/pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "dev/socket"))
    (root / "with space/say \"hi\" 'x' $y").write_text("quotes")
    (root / "etc/owned").write_text("owned")
    os.chown(root / "etc/owned", 70_000, 4_000_000_000)
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (EPOCH - 5, EPOCH - 5), follow_symlinks=False)
    return root


def unusual(root: Path) -> Path:
    """Add names that debugfs cannot be told."""
    (root / "etc/new\nline").write_text("newline")
    Path(os.fsdecode(os.fsencode(root) + b"/etc/caf\xe9")).write_text("latin")
    return root


def raw_digest(raw: Path | PurePath) -> str:
    with Path(raw).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def assert_same_files(found: Tree, wanted: Tree) -> None:
    """Compare what a dump keeps: no devices, link counts, attributes or set-uid bits."""
    kinds = {"file", "directory", "symlink"}
    wanted = {
        path: replace(entry, xattrs=(), hard_link_of=None, mtime=0, mode=entry.mode & 0o777)
        for path, entry in wanted.items()
        if entry.kind in kinds
    }
    found = {
        path: replace(entry, xattrs=(), hard_link_of=None, mtime=0, mode=entry.mode & 0o777)
        for path, entry in found.items()
        if path != "/lost+found"
    }
    assert difference(found, wanted).is_empty


@pytest.fixture
def disks(tmp_path: Path) -> LocalDisks:
    return local_disks(tmp_path)


@pytest.fixture
def following(disks: LocalDisks, root: Path, tmp_path: Path) -> Follow:
    """Build a disk, then change the root; gives a function that builds the disk that follows."""
    tree = tree_of(root)
    with disks.assemble(a_request(root, tree=tree)) as first:
        artifact = shutil.move(
            disks.package(first, root, ArtifactFormat.QCOW2), tmp_path / "a.qcow2"
        )
        disks.remember("web", first)
    before = Predecessor(disk_digest=first.digest, tree=tree, artifact=Path(artifact))

    def follow(size_bytes: int = SIZE_BYTES) -> AbstractContextManager[BuiltDisk]:
        return disks.assemble(a_request(root, predecessor=before, size_bytes=size_bytes))

    return follow


def test_assemble_twice_gives_the_same_bytes(disks: LocalDisks, root: Path, tmp_path: Path) -> None:
    unusual(root)
    with disks.assemble(a_request(root)) as one:
        first = raw_digest(one.raw)
    copy = tmp_path / "copy"
    output_of("cp", "-a", root, copy)
    with local_disks(tmp_path / "other").assemble(a_request(copy)) as other:
        assert raw_digest(other.raw) == first
        assert other.digest == one.digest


def test_assemble_carries_everything_over(disks: LocalDisks, root: Path) -> None:
    with disks.assemble(a_request(unusual(root))) as disk:
        image = ReadBack(disk.raw)
        assert image.stat("/usr/bin/sudo")["Mode"] == "04755"
        assert image.stat("/usr/bin/one")["Inode"] == image.stat("/usr/bin/two")["Inode"]
        assert image.stat("/usr/bin/one")["Links"] == "2"
        assert image.stat("/etc/owned")["User"] == "70000"
        assert int(image.stat("/etc/owned")["Group"]) & 0xFFFFFFFF == 4_000_000_000
        assert image.stat("/dev/null")["device"] == "01:03"
        assert image.stat("/dev/big")["device"] == "259:70000"
        assert image.stat("/dev/pipe")["Type"] == "FIFO"
        assert image.stat("/dev/socket")["Type"] == "socket"
        assert "user.note" in image.ask("ea_list /etc/hosts")
        assert "00 ff 20 62 69 6e" in image.ask("ea_get /etc/hosts user.note")
        assert "01 00 00 02 00 20" in image.ask("ea_get -x /usr/bin/ping security.capability")
        assert "system.posix_acl_access" in image.ask("ea_list /etc/acl")


def test_assemble_keeps_the_marks_of_overlays_out(disks: LocalDisks, root: Path) -> None:
    with disks.assemble(a_request(root)) as disk:
        image = ReadBack(disk.raw)
        assert "overlay" not in image.ask("ea_list /etc")
        assert "overlay" not in image.ask("ea_list /etc/hosts")


def test_assemble_sets_all_times_from_the_tree_and_none_from_the_machine(
    disks: LocalDisks, root: Path
) -> None:
    with disks.assemble(a_request(root)) as disk:
        for path in ("/etc", "/etc/hosts", "/etc/link", "/dev/null", "/with space"):
            facts = ReadBack(disk.raw).stat(path)
            times = {facts[name] for name in ("mtime_at", "ctime_at", "atime_at", "crtime_at")}
            assert times == {str(EPOCH - 5)}, path


def test_assemble_gives_the_contents_of_every_file(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    with disks.assemble(a_request(root)) as disk:
        assert_same_files(ReadBack(disk.raw).dump(tmp_path / "dump"), tree_of(root))


def test_assemble_for_uefi_has_the_loader_in_its_partition(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    with disks.assemble(
        a_request(root, firmware=(Firmware.UEFI, Firmware.BIOS), size_bytes=256 * MIB)
    ) as disk:
        esp = f"{disk.raw}@@{2 * MIB}"
        target = tmp_path / "loader"
        output_of("mcopy", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", target)
        assert target.read_bytes()[:2] == b"MZ"
        assert Path(disk.raw).read_bytes()[510:512] == b"\x55\xaa"


def test_assemble_when_a_file_is_not_as_recorded_is_refused(disks: LocalDisks, root: Path) -> None:
    tree = dict(tree_of(root))
    tree["/etc/hosts"] = replace(tree["/etc/hosts"], size_bytes=3)

    with pytest.raises(TreeNotAsRecorded, match="/etc/hosts has"):
        disks.assemble(a_request(root, tree=tree)).__enter__()


def test_assemble_when_a_file_is_not_recorded_is_refused_and_leaves_nothing(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    tree = tree_of(root)
    (root / "etc/surprise").write_text("?")

    with pytest.raises(TreeNotAsRecorded, match="/etc/surprise should not"):
        disks.assemble(a_request(root, tree=tree)).__enter__()

    assert list((tmp_path / "work").iterdir()) == []


def test_assemble_on_a_disk_too_small_says_what_is_needed_and_that_is_enough(
    disks: LocalDisks, root: Path
) -> None:
    with pytest.raises(DiskTooSmall) as caught:
        disks.assemble(a_request(root, size_bytes=32 * MIB)).__enter__()
    needed = int(float(caught.value.message.split("at least ")[1].split(" MiB")[0]) + 1) * MIB

    with disks.assemble(a_request(root, size_bytes=needed)) as disk:
        assert disk.size_bytes == needed


def test_follow_without_a_change_gives_the_same_disk(following: Follow) -> None:
    with following() as disk:
        assert disk.changed_blocks == ()
        assert disk.predecessor is not None
        assert disk.digest == disk.predecessor.disk_digest


def test_follow_changes_few_blocks_and_gives_the_files_of_a_fresh_disk(
    following: Follow, root: Path, tmp_path: Path
) -> None:
    changed(root)
    with following() as disk:
        assert disk.anew_because == ""
        assert disk.changed_blocks is not None
        assert 0 < len(disk.changed_blocks) <= 12
        image = ReadBack(disk.raw)
        assert_same_files(image.dump(tmp_path / "dump"), tree_of(root))
        assert image.stat("/usr/bin/one")["Links"] == "3"
        assert image.stat("/usr/bin/new set-uid")["Mode"] == "04711"
        assert image.stat("/usr/bin/new set-uid")["User"] == "70001"
        assert image.stat("/dev/tty")["device"] == "05:00"
        assert "00 00 00 02 02" in image.ask("ea_get -x /usr/bin/ping security.capability")
        assert "user.note" not in image.ask("ea_list /etc/hosts")
        for path, status in (("/etc", root / "etc"), ("/usr/bin", root / "usr/bin")):
            assert image.stat(path)["mtime_at"] == str(int(status.stat().st_mtime))
        assert image.stat("/etc/added")["ctime_at"] == str(EPOCH - 1)


def changed(root: Path) -> None:
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").write_text("127.0.0.1 localhost web\n")
    (root / "etc/added").write_text("added")
    (root / "etc/acl").unlink()
    shutil.rmtree(root / "empty")
    (root / "empty").symlink_to("etc")
    (root / "with space/sub dir").mkdir()
    (root / 'with space/sub dir/"').write_text("quote")
    (root / "usr/bin/three").hardlink_to(root / "usr/bin/one")
    (root / "usr/bin/new set-uid").write_text("x")
    os.chown(root / "usr/bin/new set-uid", 70_001, 5)
    (root / "usr/bin/new set-uid").chmod(0o4711)
    os.setxattr(root / "usr/bin/ping", "security.capability", OTHER_CAPABILITY)
    os.mknod(root / "dev/tty", 0o20620, os.makedev(5, 0))
    for path in ("etc/hosts", "etc/added", "usr/bin/new set-uid", "with space/sub dir"):
        os.utime(root / path, (EPOCH - 1, EPOCH - 1))


def test_follow_twice_gives_the_same_bytes_at_hand_or_from_the_artifact(
    following: Follow, root: Path, tmp_path: Path
) -> None:
    changed(root)
    with following() as one:
        first = raw_digest(one.raw)
    with following() as again:
        assert raw_digest(again.raw) == first
    shutil.rmtree(tmp_path / "store/raws")
    with following() as restored:
        assert raw_digest(restored.raw) == first
        assert restored.changed_blocks == one.changed_blocks


def test_follow_that_is_not_remembered_gives_the_disk_at_hand_back(
    following: Follow, root: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "store/raws/web.raw"
    before = raw_digest(kept)
    changed(root)
    with following():
        assert not kept.exists()

    assert raw_digest(kept) == before


def test_follow_by_a_second_builder_meanwhile_gives_the_same(following: Follow, root: Path) -> None:
    changed(root)
    with following() as one, following() as other:
        assert other.digest == one.digest
        assert other.raw != one.raw


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (unusual, "name"),
        (lambda root: (root / "var/lib/large").write_bytes(bytes(6_400_001)), "bytes changed"),
    ],
)
def test_follow_of_what_cannot_be_followed_is_made_anew_and_says_why(
    following: Follow, root: Path, change: Callable[[Path], object], reason: str
) -> None:
    change(root)
    with following() as disk:
        assert disk.changed_blocks is None
        assert reason in disk.anew_because
        assert ReadBack(disk.raw).stat("/etc/hosts")["Type"] == "regular"


def test_follow_of_a_disk_of_another_size_is_made_anew(following: Follow, root: Path) -> None:
    with following(size_bytes=200 * MIB) as disk:
        assert disk.changed_blocks is None
        assert "another size" in disk.anew_because
        assert disk.size_bytes == 200 * MIB


def test_follow_of_a_damaged_artifact_is_made_anew(
    following: Follow, root: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "store/raws")
    (tmp_path / "a.qcow2").write_bytes(b"no disk")
    with following() as disk:
        assert disk.changed_blocks is None
        assert "cannot be read" in disk.anew_because


def test_follow_of_a_file_system_that_is_not_what_was_said_is_made_anew(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    tree = tree_of(root)
    with disks.assemble(a_request(root, tree=tree)) as first:
        artifact = shutil.move(
            disks.package(first, root, ArtifactFormat.QCOW2), tmp_path / "a.qcow2"
        )
    wrong = dict(tree) | {"/etc/never": tree["/etc/hosts"]}
    before = Predecessor(disk_digest=first.digest, tree=wrong, artifact=Path(artifact))

    with disks.assemble(a_request(root, predecessor=before)) as disk:
        assert "could not be applied" in disk.anew_because
        assert disk.digest == first.digest


def test_follow_when_a_file_is_gone_then_nothing_of_it_is_on_the_disk(
    following: Follow, root: Path
) -> None:
    (root / "var/lib/secret").unlink()
    with following() as disk:
        assert disk.changed_blocks is not None
        assert SECRET not in Path(disk.raw).read_bytes()


def test_package_as_qcow2_of_a_disk_that_follows_holds_the_same_disk(
    following: Follow, disks: LocalDisks, root: Path
) -> None:
    changed(root)
    with following() as disk:
        made = disks.package(disk, root, ArtifactFormat.QCOW2)
        output_of("qemu-img", "compare", "-f", "raw", "-F", "qcow2", disk.raw, made)
        assert "backing" not in output_of("qemu-img", "info", made)


def test_package_as_qcow2_when_the_old_file_is_damaged_is_converted_anew(
    following: Follow, disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    changed(root)
    (tmp_path / "a.qcow2").write_bytes(b"QFI\xfb" + bytes(5000))
    with following() as disk:
        made = disks.package(disk, root, ArtifactFormat.QCOW2)
        output_of("qemu-img", "compare", "-f", "raw", "-F", "qcow2", disk.raw, made)


@pytest.mark.parametrize(
    ("format_", "name"),
    [(ArtifactFormat.RAW, "raw"), (ArtifactFormat.VMDK, "vmdk"), (ArtifactFormat.VHD, "vpc")],
)
def test_package_in_a_format_holds_the_disk_and_is_the_same_each_time(
    disks: LocalDisks, root: Path, format_: ArtifactFormat, name: str
) -> None:
    with disks.assemble(a_request(root)) as disk:
        made = disks.package(disk, root, format_)
        output_of("qemu-img", "compare", "-f", "raw", "-F", name, disk.raw, made)
        first = raw_digest(made)
        assert raw_digest(disks.package(disk, root, format_)) == first


def test_package_as_tar_keeps_what_a_root_is_made_of(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    with disks.assemble(a_request(root)) as disk:
        made = disks.package(disk, root, ArtifactFormat.TAR)
        first = raw_digest(made)
        assert raw_digest(disks.package(disk, root, ArtifactFormat.TAR)) == first
        target = tmp_path / "unpacked"
        target.mkdir()
        output_of("tar", "-x", "--xattrs", "--xattrs-include=*", "-f", made, "-C", target)

    assert (target / "usr/bin/one").stat().st_ino == (target / "usr/bin/two").stat().st_ino
    assert os.getxattr(target / "usr/bin/ping", "security.capability") == CAPABILITY
    assert "trusted.overlay.opaque" not in os.listxattr(target / "etc")
    assert (target / "usr/bin/sudo").stat().st_mode & 0o7777 == 0o4755
    assert list((target / "dev").iterdir()) == []
    assert (target / "etc/owned").stat().st_uid == 70_000


def test_archive_of_a_root_needs_no_disk(disks: LocalDisks, root: Path, tmp_path: Path) -> None:
    made = Path(disks.archive(root, EPOCH))

    assert "./etc/hosts" in output_of("tar", "-tf", made).splitlines()


def test_check_finds_a_file_system_without_faults(disks: LocalDisks, root: Path) -> None:
    with disks.assemble(a_request(root)) as disk:
        place = ReadBack(disk.raw).place
        assert "Pass 5" in output_of("e2fsck", "-fn", place)
        assert set(disk.seconds) >= {"file system", "owners and times", "check", "block map"}


def test_kept_boot_parts_are_made_once(disks: LocalDisks, root: Path, tmp_path: Path) -> None:
    with disks.assemble(a_request(root)):
        (core,) = (tmp_path / "store/boot").iterdir()
        made_at = core.stat().st_mtime_ns
    with disks.assemble(a_request(root)):
        assert core.stat().st_mtime_ns == made_at


def test_assemble_when_the_file_system_fills_up_all_the_same_says_how_much_more(
    disks: LocalDisks, root: Path
) -> None:
    tree = tree_of(root)
    (root / "var/lib/large").write_bytes(b"x" * SIZE_BYTES)

    with pytest.raises(DiskTooSmall, match=r"at least 200\.0 MiB"):
        disks.assemble(a_request(root, tree=tree)).__enter__()


def test_package_as_qcow2_of_many_followers_stays_near_the_size_of_a_fresh_one(
    disks: LocalDisks, root: Path, tmp_path: Path
) -> None:
    (root / "var/lib/noise").write_bytes(os.urandom(8_000_000))
    before: Predecessor | None = None
    sizes = []
    for number in range(8):
        (root / "etc/version").write_bytes(os.urandom(1_000_000))
        tree = tree_of(root)
        with disks.assemble(a_request(root, tree=tree, predecessor=before)) as disk:
            made = disks.package(disk, root, ArtifactFormat.QCOW2)
            kept = Path(shutil.move(str(made), str(tmp_path / f"{number}.qcow2")))
            disks.remember("web", disk)
        assert disk.anew_because == ""
        before = Predecessor(disk_digest=disk.digest, tree=tree, artifact=kept)
        sizes.append(kept.stat().st_size)

    assert max(sizes) < sizes[0] * 1.4
