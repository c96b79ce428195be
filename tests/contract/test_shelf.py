"""What every Shelf keeps: a folder, a bucket of a double of S3, and the fake."""

import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from imagebuilder.adapters.aws.bucket_shelf import BucketShelf
from imagebuilder.adapters.system.folder_shelf import FolderShelf
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.target import S3Place
from imagebuilder.ports.shelves import Parcel, Shelf, Shelved
from tests.fakes.shelves import FakeShelf

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

CONTENT = bytes(range(256)) * (40 << 10)  # above what is moved in one part
PATH = "web/web_1.2.0-3.qcow2"


@pytest.fixture(params=["folder", "bucket", "fake"])
def shelf(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shelf]:
    if request.param == "fake":
        yield FakeShelf()
        return
    if request.param == "folder":
        (tmp_path / "shelf").mkdir()
        yield FolderShelf(tmp_path / "shelf")
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    address = request.getfixturevalue("endpoint")
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket="images")
    place = S3Place(bucket="images", prefix="/a/prefix/", endpoint=address, region="us-east-1")
    yield BucketShelf(place, pause=lambda _: None)
    for entry in client.list_objects_v2(Bucket="images").get("Contents", ()):
        assert entry["Key"].startswith("a/prefix/")
        client.delete_object(Bucket="images", Key=entry["Key"])
    client.delete_bucket(Bucket="images")


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return Parcel(path=PATH, file=file, digest=Digest.of_bytes(CONTENT))


def test_put_then_it_is_found_with_its_digest(shelf: Shelf, parcel: Parcel) -> None:
    moved: list[int] = []

    shelf.put(parcel, moved.append)

    assert shelf.find(PATH) == Shelved(size_bytes=len(CONTENT), digest=parcel.digest)
    assert shelf.read(PATH) == CONTENT
    assert sum(moved) == len(CONTENT)


def test_put_again_then_the_new_one_takes_its_place(
    shelf: Shelf, parcel: Parcel, tmp_path: Path
) -> None:
    shelf.put(parcel, lambda _: None)
    (tmp_path / "new").write_bytes(b"new")

    new = Parcel(path=PATH, file=tmp_path / "new", digest=Digest.of_bytes(b"new"))
    shelf.put(new, lambda _: None)

    assert shelf.read(PATH) == b"new"


def test_find_and_read_when_nothing_is_there_then_give_nothing(shelf: Shelf) -> None:
    assert shelf.find("none") is None
    assert shelf.read("none") == b""


def test_remove_then_it_is_gone_and_again_is_no_error(shelf: Shelf, parcel: Parcel) -> None:
    shelf.put(parcel, lambda _: None)

    shelf.remove(PATH)
    shelf.remove(PATH)

    assert shelf.find(PATH) is None


def test_rewrite_then_is_told_what_was_there_and_empty_is_gone(shelf: Shelf) -> None:
    shelf.rewrite("web/SHA256SUMS", lambda before: before + b"one\n")
    shelf.rewrite("web/SHA256SUMS", lambda before: before + b"two\n")
    assert shelf.read("web/SHA256SUMS") == b"one\ntwo\n"

    shelf.rewrite("web/SHA256SUMS", lambda _: b"")
    assert shelf.find("web/SHA256SUMS") is None

    shelf.rewrite("web/SHA256SUMS", lambda _: b"")
    assert shelf.find("web/SHA256SUMS") is None


@pytest.mark.parametrize("shelf", ["folder", "bucket"], indirect=True)
def test_rewrite_by_several_at_a_time_then_no_change_is_lost(shelf: Shelf) -> None:
    writers = 6

    def add(number: int) -> None:
        shelf.rewrite("list", lambda before: before + f"{number}\n".encode())

    threads = [threading.Thread(target=add, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(shelf.read("list").split()) == [str(n).encode() for n in range(writers)]


def test_hindrance_when_there_is_none_then_says_nothing(shelf: Shelf) -> None:
    assert shelf.hindrance(10) is None
