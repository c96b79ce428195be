"""S3Objects: objects of S3, or of what speaks like it.

Credentials and region are found by boto3 in its own way. boto3 is loaded with the first transfer.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from imagebuilder.adapters.aws.clients import Boto, Patience, made_client
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.transfers import Bucket, TransferFailed

# ruff: noqa: PLC0415 - a third of a second that builds without transfers need not wait
_PATIENCE = Patience(connect_seconds=10, read_seconds=60, attempts=5)
_LARGEST_BYTES = 4 * GIB


class S3Objects:
    """Lists, fetches and brings objects."""

    def __init__(self, *, endpoint: str | None = None, largest_bytes: int = _LARGEST_BYTES) -> None:
        """Ask the service at endpoint, by default S3; fetch nothing above largest_bytes."""
        self._endpoint = endpoint
        self._largest_bytes = largest_bytes
        self._made: Boto = None
        self._making = threading.Lock()

    def keys(self, bucket: Bucket, prefix: str, limit: int) -> Sequence[str]:
        """Give the keys below a prefix, sorted, at most limit of them. Raises: TransferFailed."""
        found: list[str] = []
        with _told_as_failed(f"s3://{bucket.name}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket.name, Prefix=prefix, **_owned(bucket)
            )
            for page in pages:
                found += [entry["Key"] for entry in page.get("Contents", ())]
                if len(found) >= limit:
                    break
        return sorted(found[:limit])

    def fetch(self, bucket: Bucket, key: str, into: PurePath) -> None:
        """Write an object into a file of this machine. Raises: TransferFailed."""
        what = f"s3://{bucket.name}/{key}"
        with _told_as_failed(what):
            head = self._client.head_object(Bucket=bucket.name, Key=key, **_owned(bucket))
            if head["ContentLength"] > self._largest_bytes:
                raise TransferFailed(
                    what,
                    f"It is larger than the {size_text(self._largest_bytes)} that may be fetched.",
                    hint="Set download_limit to more, if the file may be so large.",
                )
            self._client.download_file(
                bucket.name, key, str(into), ExtraArgs=_owned(bucket) | _same(head)
            )

    def bring(self, file: PurePath, bucket: Bucket, key: str) -> None:
        """Make an object of a file of this machine. Raises: TransferFailed."""
        with _told_as_failed(f"s3://{bucket.name}/{key}"):
            self._client.upload_file(str(file), bucket.name, key, ExtraArgs=_owned(bucket))

    @property
    def _client(self) -> Boto:
        with self._making:
            if self._made is None:
                self._made = made_client("s3", self._endpoint, _PATIENCE)
            return self._made


def _owned(bucket: Bucket) -> dict[str, str]:
    return {} if bucket.owner is None else {"ExpectedBucketOwner": bucket.owner}


def _same(head: dict[str, Any]) -> dict[str, str]:
    """Give what asks for the very object whose size was judged, where there are versions."""
    version = head.get("VersionId")
    return {"VersionId": version} if version and version != "null" else {}


@contextmanager
def _told_as_failed(what: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        answer = error.response["Error"]
        reason = f"{answer.get('Code', '')}: {answer.get('Message', '')}"
        raise TransferFailed(what, reason) from error
    except (BotoCoreError, Boto3Error) as error:
        raise TransferFailed(what, str(error)) from error
