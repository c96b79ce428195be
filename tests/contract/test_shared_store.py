"""What every SharedStore keeps: a folder, a bucket of a double of S3, and the fake."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from imagebuilder.adapters.aws.shared_bucket import SharedBucket
from imagebuilder.adapters.system.shared_directory import SharedDirectory
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.sharing import (
    SharedKind,
    SharedName,
    SharedObjectDamaged,
    SharedObjectMissing,
    SharedStore,
    SharedStoreUnavailable,
)
from tests.fakes.sharing import FakeSharedStore

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

CONTENT = bytes(range(256)) * 64
NAME = SharedName(kind=SharedKind.FILE, digest=Digest.of_bytes(CONTENT))
RECORD = SharedName(kind=SharedKind.KEY, digest=Digest.of_bytes(b"a key"))
PLENTY = 1 << 20
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["folder", "bucket", "fake"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SharedStore]:
    if request.param == "fake":
        yield FakeSharedStore()
        return
    if request.param == "folder":
        (tmp_path / "store").mkdir()
        yield SharedDirectory(tmp_path / "store")
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    address = request.getfixturevalue("endpoint")
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket="shared")
    yield SharedBucket("shared", "a/prefix", endpoint=address)
    for entry in client.list_objects_v2(Bucket="shared").get("Contents", ()):
        assert entry["Key"].startswith("a/prefix/")
        client.delete_object(Bucket="shared", Key=entry["Key"])
    client.delete_bucket(Bucket="shared")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


def made_silent(store: SharedStore) -> None:
    """Take the place away where a store is."""
    if isinstance(store, FakeSharedStore):
        store.silent = True
    elif isinstance(store, SharedDirectory):
        store._root.rename(store._root.with_name("elsewhere"))
    else:
        assert isinstance(store, SharedBucket)
        store._bucket = "no-such-bucket"


def test_put_then_get_gives_the_same_bytes(store: SharedStore, file: Path, tmp_path: Path) -> None:
    store.put(NAME, file)
    store.put(NAME, file)
    store.get(NAME.digest, tmp_path / "got", PLENTY)

    assert (tmp_path / "got").read_bytes() == CONTENT
    assert store.read(NAME, PLENTY) == CONTENT
    assert file.read_bytes() == CONTENT


def test_write_then_read_gives_the_last_bytes(store: SharedStore) -> None:
    store.write(RECORD, b"first")
    store.write(RECORD, b"second")

    assert store.read(RECORD, PLENTY) == b"second"


def test_find_tells_size_and_moment_of_what_is_there_and_nothing_else(store: SharedStore) -> None:
    assert store.find(RECORD) is None

    store.write(RECORD, b"record")

    found = store.find(RECORD)
    assert found is not None
    assert (found.name, found.size_bytes) == (RECORD, 6)
    assert found.stored_at.tzinfo is not None
    assert store.find(SharedName(kind=SharedKind.LAYER, digest=RECORD.digest)) is None


def test_what_is_not_there_is_missing(store: SharedStore, tmp_path: Path) -> None:
    with pytest.raises(SharedObjectMissing):
        store.get(NAME.digest, tmp_path / "got", PLENTY)
    with pytest.raises(SharedObjectMissing):
        store.read(RECORD, PLENTY)


def test_a_file_that_is_another_one_is_damaged(store: SharedStore, tmp_path: Path) -> None:
    store.write(NAME, CONTENT[:-1] + b"x")

    with pytest.raises(SharedObjectDamaged) as got:
        store.get(NAME.digest, tmp_path / "got", PLENTY)
    with pytest.raises(SharedObjectDamaged):
        store.read(NAME, PLENTY)
    assert got.value.name == NAME


def test_what_is_larger_than_allowed_is_damaged(store: SharedStore, tmp_path: Path) -> None:
    store.write(NAME, CONTENT)

    with pytest.raises(SharedObjectDamaged):
        store.get(NAME.digest, tmp_path / "got", len(CONTENT) - 1)
    with pytest.raises(SharedObjectDamaged):
        store.read(NAME, len(CONTENT) - 1)
    store.get(NAME.digest, tmp_path / "all", len(CONTENT))


def test_objects_are_those_of_a_kind(store: SharedStore) -> None:
    others = [SharedName(kind=SharedKind.KEY, digest=Digest.of_bytes(bytes([n]))) for n in range(5)]
    for name in (NAME, *others):
        store.write(name, b"x")

    assert {found.name for found in store.objects(SharedKind.KEY)} == set(others)
    assert [found.name for found in store.objects(SharedKind.FILE)] == [NAME]
    assert list(store.objects(SharedKind.LAYER)) == []


def test_remove_then_it_is_gone_also_twice(store: SharedStore) -> None:
    store.write(RECORD, b"record")

    store.remove(RECORD)
    store.remove(RECORD)

    assert store.find(RECORD) is None


def test_renew_then_bytes_stay_and_what_is_not_there_is_no_error(store: SharedStore) -> None:
    store.write(RECORD, b"record")
    before = store.find(RECORD)

    store.renew(RECORD)
    store.renew(NAME)

    after = store.find(RECORD)
    assert before is not None
    assert after is not None
    assert after.stored_at >= before.stored_at
    assert store.read(RECORD, PLENTY) == b"record"
    assert store.find(NAME) is None


def test_sweep_then_what_is_whole_stays(store: SharedStore) -> None:
    store.write(RECORD, b"record")

    store.sweep(datetime.now(UTC) + timedelta(days=1))

    assert store.read(RECORD, PLENTY) == b"record"


def test_check_when_it_is_there_then_does_nothing(store: SharedStore) -> None:
    store.check()


@pytest.mark.parametrize(
    "method", ["check", "write", "put", "objects", "find", "read", "get", "remove", "renew"]
)
def test_a_store_that_is_gone_is_unavailable(
    store: SharedStore, method: str, file: Path, tmp_path: Path
) -> None:
    made_silent(store)
    calls: dict[str, Callable[[], object]] = {
        "check": store.check,
        "write": lambda: store.write(RECORD, b"record"),
        "put": lambda: store.put(NAME, file),
        "objects": lambda: list(store.objects(SharedKind.KEY)),
        "find": lambda: store.find(RECORD),
        "read": lambda: store.read(RECORD, PLENTY),
        "get": lambda: store.get(NAME.digest, tmp_path / "got", PLENTY),
        "remove": lambda: store.remove(RECORD),
        "renew": lambda: store.renew(RECORD),
    }

    with pytest.raises(SharedStoreUnavailable) as gone:
        calls[method]()

    assert store.place in gone.value.message


def test_a_folder_when_a_writer_died_then_sweep_takes_its_file_away(tmp_path: Path) -> None:
    store = SharedDirectory(tmp_path)
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming/half").write_bytes(b"half")

    assert store.sweep(LONG_AGO) == 0
    assert store.sweep(datetime.now(UTC) + timedelta(seconds=5)) == 1
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_bucket_when_nobody_listens_then_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    store = SharedBucket("shared", endpoint="http://127.0.0.1:9")

    with pytest.raises(SharedStoreUnavailable, match="s3://shared"):
        store.find(RECORD)
