"""What every BlobStore keeps: the one in files and its fake."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.adapters.system.blobs import FileBlobStore
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.ports.blobs import BlobMissing, BlobStore, CopyFailed
from tests.fakes.blobs import FakeBlobStore

ABSENT = Digest.of_bytes(b"never stored")


@pytest.fixture(params=["files", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """Give each store in turn."""
    return FileBlobStore(tmp_path / "blobs") if request.param == "files" else FakeBlobStore()


def damage(store: BlobStore, digest: Digest, content: bytes) -> None:
    """Put other bytes in a blob's place, as a failing disk would."""
    if isinstance(store, FakeBlobStore):
        store.contents[digest] = content
    else:
        file = Path(store.path(digest))
        file.chmod(0o600)
        file.write_bytes(content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(content=st.binary(max_size=4096))
def test_put_then_read_gives_the_same_bytes_under_their_digest(
    store: BlobStore, content: bytes
) -> None:
    digest = store.put(content)

    assert digest == Digest.of_bytes(content)
    assert store.read(digest) == content


def test_put_twice_is_the_same_as_once(store: BlobStore) -> None:
    assert store.put(b"same") == store.put(b"same")
    assert list(store.digests()) == [Digest.of_bytes(b"same")]


def test_adopt_takes_the_file_away_and_keeps_its_bytes(store: BlobStore, tmp_path: Path) -> None:
    file = tmp_path / "artifact"
    file.write_bytes(b"artifact" * 1000)

    digest = store.adopt(file)

    assert not file.exists()
    assert store.read(digest) == b"artifact" * 1000


def test_adopt_when_the_blob_is_there_already_then_takes_the_file_away_too(
    store: BlobStore, tmp_path: Path
) -> None:
    file = tmp_path / "again"
    file.write_bytes(b"again")
    store.put(b"again")

    assert store.adopt(file) == Digest.of_bytes(b"again")
    assert not file.exists()


@pytest.mark.parametrize("method", ["read", "path", "verify"])
def test_a_blob_that_is_not_there_raises_blob_missing(store: BlobStore, method: str) -> None:
    with pytest.raises(BlobMissing):
        getattr(store, method)(ABSENT)


@pytest.mark.parametrize("method", ["read", "verify"])
@pytest.mark.parametrize("content", [b"other", b"", b"worth keepinG"])
def test_a_damaged_blob_raises_digest_mismatch(
    store: BlobStore, method: str, content: bytes
) -> None:
    digest = store.put(b"worth keeping")
    damage(store, digest, content)

    with pytest.raises(DigestMismatch):
        getattr(store, method)(digest)


def test_put_when_the_blob_was_damaged_then_it_is_whole_again(store: BlobStore) -> None:
    digest = store.put(b"worth keeping")
    damage(store, digest, b"worth keepinG")

    store.put(b"worth keeping")

    store.verify(digest)


def test_adopt_when_the_blob_was_damaged_then_it_is_whole_again(
    store: BlobStore, tmp_path: Path
) -> None:
    digest = store.put(b"worth keeping")
    damage(store, digest, b"worth keepinG")
    file = tmp_path / "file"
    file.write_bytes(b"worth keeping")

    store.adopt(file)

    store.verify(digest)


def test_has_knows_presence_and_size(store: BlobStore) -> None:
    digest = store.put(b"four")

    assert store.has(digest)
    assert store.has(digest, 4)
    assert not store.has(digest, 5)
    assert not store.has(ABSENT)
    assert not store.has(ABSENT, 0)


def test_path_gives_a_file_with_the_bytes(store: BlobStore) -> None:
    assert Path(store.path(store.put(b"content"))).read_bytes() == b"content"


def test_digests_gives_every_blob_once(store: BlobStore) -> None:
    kept = {store.put(bytes([number])) for number in range(20)}

    given_out = list(store.digests())

    assert set(given_out) == kept
    assert len(given_out) == len(kept)


def test_copy_to_then_the_file_holds_the_bytes_and_all_were_told(
    store: BlobStore, tmp_path: Path
) -> None:
    content = bytes(700_000) + b"end"
    told: list[int] = []
    target = tmp_path / "copy"
    target.write_bytes(b"what was there")

    store.copy_to(store.put(content), target, told.append)

    assert target.read_bytes() == content
    assert sum(told) == len(content)


def test_copy_to_when_the_blob_is_missing_then_says_so_and_makes_no_file(
    store: BlobStore, tmp_path: Path
) -> None:
    with pytest.raises(BlobMissing):
        store.copy_to(ABSENT, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_copy_to_when_the_folder_is_missing_then_the_copy_fails(
    store: BlobStore, tmp_path: Path
) -> None:
    with pytest.raises(CopyFailed, match="copy cannot be written"):
        store.copy_to(store.put(b"content"), tmp_path / "no-such-folder/copy")


def test_copy_to_when_the_blob_is_damaged_then_says_so_and_makes_no_file(
    store: BlobStore, tmp_path: Path
) -> None:
    digest = store.put(b"content")
    damage(store, digest, b"contenT")

    with pytest.raises(DigestMismatch):
        store.copy_to(digest, tmp_path / "copy")

    assert [file.name for file in tmp_path.iterdir() if file.name != "blobs"] == []
