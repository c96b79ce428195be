"""SharedBucket: a bucket of S3, or of what speaks like it, below a prefix.

An object appears whole there by itself, also one that is brought in parts. Parts that a killed
machine left are taken away by a lifecycle rule of the bucket, or by `sweep`.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePath

from imagebuilder.adapters.aws.clients import Boto, Patience, made_client
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.sharing import (
    SharedKind,
    SharedName,
    SharedObject,
    SharedObjectMissing,
    SharedStoreUnavailable,
    refuse_large,
    refuse_other,
)

_PATIENCE = Patience(connect_seconds=5, read_seconds=60, attempts=3)
_CHUNK_BYTES = 1 << 20
_ABSENT = {"NoSuchKey", "404", "NotFound"}


class SharedBucket:
    """Keeps objects in a bucket."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint: str | None = None) -> None:
        """Use what is below a prefix of a bucket, of the service at endpoint, by default S3."""
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._is_there = False
        self._made: Boto = None
        self._making = threading.Lock()

    @property
    def place(self) -> str:
        """Where it is, as the setting says it."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def check(self) -> None:
        """Do nothing when it can be used. Raises: SharedStoreUnavailable."""
        with self._translated(None):
            self._client.head_bucket(Bucket=self._bucket)

    def find(self, name: SharedName) -> SharedObject | None:
        """Give what is there under a name. Raises: SharedStoreUnavailable."""
        try:
            with self._translated(name):
                head = self._client.head_object(**self._at(name))
        except SharedObjectMissing:
            self._check_once()
            return None
        return SharedObject(
            name=name, size_bytes=head["ContentLength"], stored_at=head["LastModified"]
        )

    def put(self, name: SharedName, file: PurePath) -> None:
        """Keep a file's bytes under a name. Raises: SharedStoreUnavailable."""
        with self._translated(name):
            self._client.upload_file(str(file), self._bucket, self._key(name))

    def get(self, digest: Digest, into: PurePath, largest_bytes: int) -> None:
        """Write the file of a digest into a new file.

        Raises: SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """
        name = SharedName(kind=SharedKind.FILE, digest=digest)
        with self._translated(name):
            answer = self._client.get_object(**self._at(name))
            refuse_large(self.place, name, answer["ContentLength"], largest_bytes)
            found = _written(answer["Body"], Path(into))
        refuse_other(self.place, name, found)

    def write(self, name: SharedName, content: bytes) -> None:
        """Keep bytes under a name. Raises: SharedStoreUnavailable."""
        with self._translated(name):
            self._client.put_object(**self._at(name), Body=content)

    def read(self, name: SharedName, largest_bytes: int) -> bytes:
        """Give the bytes of an object.

        Raises: SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """
        with self._translated(name):
            answer = self._client.get_object(**self._at(name))
            refuse_large(self.place, name, answer["ContentLength"], largest_bytes)
            content: bytes = answer["Body"].read()
        if name.kind is SharedKind.FILE:
            refuse_other(self.place, name, Digest.of_bytes(content))
        return content

    def renew(self, name: SharedName) -> None:
        """Let an object be as young as if it was put now. Raises: SharedStoreUnavailable."""
        if self.find(name) is None:
            return
        with suppress(SharedObjectMissing), self._translated(name):
            # A copy onto itself is refused unless something is said anew of the object.
            self._client.copy(
                {"Bucket": self._bucket, "Key": self._key(name)},
                self._bucket,
                self._key(name),
                ExtraArgs={"MetadataDirective": "REPLACE"},
            )

    def objects(self, kind: SharedKind) -> Iterator[SharedObject]:
        """Give every object of a kind, sorted. Raises: SharedStoreUnavailable."""
        below = f"{self._prefix}{kind}/"
        with self._translated(None):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=below
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    with suppress(ValueError):  # a name that is no digest is not ours
                        digest = Digest(entry["Key"].rpartition("/")[2])
                        yield SharedObject(
                            name=SharedName(kind=kind, digest=digest),
                            size_bytes=entry["Size"],
                            stored_at=entry["LastModified"],
                        )

    def remove(self, name: SharedName) -> None:
        """Take an object away. Raises: SharedStoreUnavailable."""
        with self._translated(name):
            self._client.delete_object(**self._at(name))

    def sweep(self, unfinished_since: datetime) -> int:
        """Take away the parts of what was never brought whole. Raises: SharedStoreUnavailable."""
        swept = 0
        with self._translated(None):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < unfinished_since:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        swept += 1
        return swept

    def _check_once(self) -> None:
        """Tell a bucket that lacks an object from one that is not there: both answer alike."""
        if not self._is_there:
            self.check()
            self._is_there = True

    def _key(self, name: SharedName) -> str:
        return f"{self._prefix}{name}"

    def _at(self, name: SharedName) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(name)}

    @property
    def _client(self) -> Boto:
        with self._making:
            if self._made is None:
                self._made = made_client("s3", self._endpoint, _PATIENCE)
            return self._made

    @contextmanager
    def _translated(self, name: SharedName | None) -> Iterator[None]:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - as in `made_client`
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same

        try:
            yield
        except ClientError as error:
            answer = error.response["Error"]
            if name is not None and answer.get("Code") in _ABSENT:
                raise SharedObjectMissing(self.place, name) from error
            reason = f"{answer.get('Code', '')}: {answer.get('Message', '')}"
            raise SharedStoreUnavailable(self.place, reason) from error
        except (BotoCoreError, Boto3Error) as error:
            raise SharedStoreUnavailable(self.place, str(error)) from error


def _written(body: Boto, target: Path) -> Digest:
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for chunk in body.iter_chunks(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return Digest(digest.hexdigest())
