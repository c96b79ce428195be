"""Objects of a double of S3 on this machine's loopback."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from imagebuilder.adapters.aws.objects import S3Objects
from imagebuilder.ports.transfers import Bucket, TransferFailed

OWNER = "123456789012"
"""The account that the double gives everybody."""
BUCKET = Bucket(name="files", owner=OWNER)

pytestmark = pytest.mark.filterwarnings("default")  # the double's own


@pytest.fixture
def objects(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Objects]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET.name)
    yield S3Objects(endpoint=endpoint, largest_bytes=30 << 20)
    for entry in client.list_objects_v2(Bucket=BUCKET.name).get("Contents", ()):
        client.delete_object(Bucket=BUCKET.name, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET.name)


def test_bring_and_fetch_then_the_bytes_are_the_same(objects: S3Objects, tmp_path: Path) -> None:
    content = bytes(range(256)) * (80 << 10)  # above what is moved in one part
    (tmp_path / "in").write_bytes(content)
    objects.bring(tmp_path / "in", BUCKET, "a/b c")
    objects.fetch(BUCKET, "a/b c", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content


def test_keys_then_are_those_below_the_prefix_up_to_the_limit(
    objects: S3Objects, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    for key in ("p/b", "p/a", "p/sub/c", "q"):
        objects.bring(tmp_path / "f", BUCKET, key)
    assert list(objects.keys(BUCKET, "p/", 10)) == ["p/a", "p/b", "p/sub/c"]
    assert list(objects.keys(BUCKET, "p/", 2)) == ["p/a", "p/b"]


@pytest.mark.parametrize(
    "bucket", [BUCKET, Bucket(name="none"), Bucket(name="files", owner="999999999999")]
)
def test_fetch_when_it_is_not_there_or_not_theirs_then_says_so(
    objects: S3Objects, tmp_path: Path, bucket: Bucket
) -> None:
    with pytest.raises(TransferFailed) as failed:
        objects.fetch(bucket, "none", tmp_path / "out")
    assert f"s3://{bucket.name}/none" in failed.value.message
    assert failed.value.context.startswith(("404", "403"))


def test_fetch_when_the_object_is_larger_than_may_be_then_nothing_is_written(
    endpoint: str, objects: S3Objects, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 11)
    objects.bring(tmp_path / "in", BUCKET, "large")
    with pytest.raises(TransferFailed) as failed:
        S3Objects(endpoint=endpoint, largest_bytes=10).fetch(BUCKET, "large", tmp_path / "out")
    assert "larger than the 10 B" in failed.value.context
    assert not (tmp_path / "out").exists()


def test_keys_when_there_is_no_bucket_then_says_so(objects: S3Objects) -> None:
    with pytest.raises(TransferFailed) as failed:
        objects.keys(Bucket(name="none"), "", 10)
    assert "NoSuchBucket" in failed.value.context


def test_bring_when_there_is_no_bucket_then_says_so(objects: S3Objects, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(TransferFailed):
        objects.bring(tmp_path / "f", Bucket(name="none"), "k")


def test_fetch_when_there_are_no_credentials_then_says_so(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(TransferFailed) as failed:
        S3Objects(endpoint=endpoint).fetch(BUCKET, "k", tmp_path / "out")
    assert "credentials" in failed.value.context
