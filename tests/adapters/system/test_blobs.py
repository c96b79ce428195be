"""What only blobs in files show: links, other file systems, crashes, full disks."""

import os
import subprocess
from pathlib import Path

import pytest

from imagebuilder.adapters.system.blobs import FileBlobStore
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.blobs import BlobStoreFailed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give the place of the store."""
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> FileBlobStore:
    """Give an empty store."""
    return FileBlobStore(root)


def test_put_makes_a_read_only_file_named_by_its_digest(store: FileBlobStore, root: Path) -> None:
    digest = store.put(b"content")

    file = root / "sha256" / digest.hex[:2] / digest.hex
    assert file.read_bytes() == b"content"
    assert file.stat().st_mode & 0o777 == 0o444


def test_put_leaves_no_temporary_file(store: FileBlobStore, root: Path) -> None:
    store.put(b"content")

    assert list((root / "incoming").iterdir()) == []


def test_adopt_on_the_same_file_system_moves_the_file_itself(
    store: FileBlobStore, tmp_path: Path
) -> None:
    file = tmp_path / "artifact"
    file.write_bytes(b"artifact")
    inode = file.stat().st_ino

    assert Path(store.path(store.adopt(file))).stat().st_ino == inode


def test_adopt_when_the_file_has_another_name_then_keeps_a_copy(
    store: FileBlobStore, tmp_path: Path
) -> None:
    file, other = tmp_path / "artifact", tmp_path / "other"
    file.write_bytes(b"artifact")
    other.hardlink_to(file)

    digest = store.adopt(file)
    other.write_bytes(b"changed behind our back")

    store.verify(digest)
    assert not file.exists()


def test_adopt_when_the_file_is_a_link_then_keeps_what_it_leads_to(
    store: FileBlobStore, tmp_path: Path
) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_bytes(b"target")
    link.symlink_to(target)

    digest = store.adopt(link)

    assert store.read(digest) == b"target"
    assert target.exists()
    assert not link.is_symlink()


def test_adopt_when_a_copy_is_needed_then_holes_stay_holes(
    store: FileBlobStore, tmp_path: Path
) -> None:
    file = tmp_path / "disk"
    with file.open("wb") as writing:
        writing.seek(64 * 1024 * 1024)
        writing.write(b"end")
        writing.truncate(100 * 1024 * 1024)
    (tmp_path / "other").hardlink_to(file)

    kept = Path(store.path(store.adopt(file))).stat()

    assert kept.st_size == 100 * 1024 * 1024
    assert kept.st_blocks * 512 < 8 * 1024 * 1024


@pytest.mark.root
def test_adopt_from_another_file_system_keeps_a_copy_and_takes_the_file_away(
    store: FileBlobStore,
) -> None:
    file = Path("/dev/shm", f"imagebuilder-test-{os.getpid()}")
    file.write_bytes(b"elsewhere")
    try:
        digest = store.adopt(file)
        assert store.read(digest) == b"elsewhere"
        assert not file.exists()
    finally:
        file.unlink(missing_ok=True)


def test_adopt_when_there_is_no_file_then_says_so(store: FileBlobStore, tmp_path: Path) -> None:
    with pytest.raises(BlobStoreFailed, match=r"cannot take .*absent\.$"):
        store.adopt(tmp_path / "absent")


def test_put_when_the_place_cannot_be_written_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the folder should be")

    with pytest.raises(BlobStoreFailed, match="cannot keep") as caught:
        FileBlobStore(tmp_path / "blobs").put(b"content")

    assert "blobs" in caught.value.context


@pytest.mark.root
def test_put_when_the_file_system_is_full_then_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        store = FileBlobStore(small)
        with pytest.raises(BlobStoreFailed, match="cannot keep") as caught:
            store.put(b"x" * 1_000_000)
        assert "No space left" in caught.value.context
        assert list(store.digests()) == []
        assert list((small / "incoming").iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_sweep_removes_what_a_dead_writer_left(store: FileBlobStore, root: Path) -> None:
    store.put(b"content")
    (root / "incoming/left").write_bytes(b"half")

    assert store.sweep() == 1
    assert list((root / "incoming").iterdir()) == []
    assert store.has(Digest.of_bytes(b"content"))


def test_sweep_leaves_what_a_living_writer_has_locked(store: FileBlobStore, root: Path) -> None:
    with store._temporary() as temporary:
        assert FileBlobStore(root).sweep() == 0
        assert temporary.exists()


def test_sweep_when_nothing_was_ever_stored_then_does_nothing(store: FileBlobStore) -> None:
    assert store.sweep() == 0


def test_digests_when_a_strange_file_lies_there_then_leaves_it_out(
    store: FileBlobStore, root: Path
) -> None:
    digest = store.put(b"content")
    (root / "sha256" / digest.hex[:2] / "README").write_text("not ours")

    assert list(store.digests()) == [digest]


def test_copy_to_when_it_is_mostly_zeros_then_leaves_holes(
    store: FileBlobStore, tmp_path: Path
) -> None:
    content = bytes(8 * 2**20) + b"end"

    store.copy_to(store.put(content), tmp_path / "copy")

    assert (tmp_path / "copy").stat().st_blocks * 512 < 2**20
    assert (tmp_path / "copy").stat().st_size == len(content)


def test_copy_to_when_it_replaces_a_file_then_other_names_of_that_file_stay_as_they_were(
    store: FileBlobStore, tmp_path: Path
) -> None:
    target, other = tmp_path / "copy", tmp_path / "other"
    target.write_bytes(b"before")
    other.hardlink_to(target)

    store.copy_to(store.put(b"after"), target)

    assert (target.read_bytes(), other.read_bytes()) == (b"after", b"before")
