"""What only a bucket does, on a double of S3."""

from pathlib import Path

import boto3
import pytest

from imagebuilder.adapters.aws.bucket_shelf import BucketShelf
from imagebuilder.adapters.aws.clients import Patience
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.target import S3Place, TargetUnavailable
from imagebuilder.ports.shelves import Parcel, Shelved
from imagebuilder.ports.targets import TargetRefused
from tests.listeners import free_port

pytestmark = pytest.mark.filterwarnings("default")  # the double's own


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


def a_place(endpoint: str, bucket: str = "own") -> S3Place:
    return S3Place(bucket=bucket, endpoint=endpoint, region="us-east-1")


def test_find_when_another_one_put_it_then_nobody_tells_its_digest(endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="own")
    client.put_object(Bucket="own", Key="web/f", Body=b"abc")

    assert BucketShelf(a_place(endpoint)).find("web/f") == Shelved(size_bytes=3, digest=None)


def test_hindrance_when_there_is_no_bucket_then_says_so(endpoint: str) -> None:
    objection = BucketShelf(a_place(endpoint, "none-such")).hindrance(1)

    assert objection is not None
    assert "404" in objection.reason
    assert "s3:none-such" in objection.reason


def test_put_when_there_is_no_bucket_then_is_refused(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    parcel = Parcel(path="f", file=tmp_path / "f", digest=Digest.of_bytes(b"x"))

    with pytest.raises(TargetRefused) as refused:
        BucketShelf(a_place(endpoint, "none-such")).put(parcel, lambda _: None)

    assert "NoSuchBucket" in refused.value.context


def test_read_when_nobody_answers_then_is_unavailable() -> None:
    once = Patience(connect_seconds=1, read_seconds=1, attempts=1)
    shelf = BucketShelf(a_place(f"http://127.0.0.1:{free_port()}"), patience=once)

    with pytest.raises(TargetUnavailable):
        shelf.read("f")


def test_rewrite_when_others_are_faster_each_time_then_ends(endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="busy")
    asked: list[bytes] = []

    def change(before: bytes) -> bytes:
        asked.append(before)
        client.put_object(Bucket="busy", Key="t", Body=f"{len(asked)}".encode())
        return b"ours"

    with pytest.raises(TargetUnavailable) as outrun:
        BucketShelf(a_place(endpoint, "busy"), pause=lambda _: None).rewrite("t", change)

    assert "50 attempts" in outrun.value.context
    assert len(asked) == 50
