"""BucketShelf: objects below a prefix of a bucket of S3, or of what speaks like it.

Texts are written on the condition that nobody else did since they were read, so that two who change
one at a time both come through.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from imagebuilder.adapters.aws.clients import Boto, Patience, made_client
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import S3Place, TargetUnavailable
from imagebuilder.ports.shelves import LARGEST_TEXT_BYTES, Change, Parcel, Shelved
from imagebuilder.ports.targets import TargetRefused

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait
_PATIENCE = Patience(connect_seconds=10, read_seconds=60, attempts=5)
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_OUTRUN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "500", "503"}
_ATTEMPTS = 50
_PAUSE_SECONDS = 0.05
_DIGEST = "sha256"
"""Where an object keeps the digest of its bytes, since S3 tells none of what came in parts."""


class BucketShelf:
    """Keeps files in a bucket."""

    def __init__(
        self,
        place: S3Place,
        *,
        pause: Callable[[float], None] = time.sleep,
        patience: Patience = _PATIENCE,
    ) -> None:
        """Use what the place names, with patience; pause after another writer was faster."""
        self._s3 = place
        self._patience = patience
        self._pause = pause
        self._made: Boto = None
        self._making = threading.Lock()

    @property
    def place(self) -> str:
        """Where it is, as errors say it."""
        return f"s3:{self._s3.bucket}/{self._s3.prefix.strip('/')}".rstrip("/")

    def hindrance(self, needed_bytes: int) -> Objection | None:
        """Give what keeps us from the bucket; it is never full. Raises: TargetUnavailable."""
        del needed_bytes
        try:
            with self._translated("HeadBucket"):
                self._client.head_bucket(Bucket=self._s3.bucket)
        except TargetRefused as error:
            return Objection(reason=f"{error.message} {error.context}", remedy=error.hint)
        return None

    def find(self, path: str) -> Shelved | None:
        """Give what is there; its digest where we put it. Raises: as the port."""
        with self._translated(f"HeadObject of {path}"):
            try:
                head = self._client.head_object(**self._at(path))
            except self._client.exceptions.ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
        return Shelved(size_bytes=head["ContentLength"], digest=_digest_of(head))

    def put(self, parcel: Parcel, on_bytes: Callable[[int], None]) -> None:
        """See that an object is there. Raises: TargetUnavailable; TargetRefused."""
        with self._translated(f"PutObject of {parcel.path}"):
            self._client.upload_file(
                str(parcel.file),
                self._s3.bucket,
                self._key(parcel.path),
                ExtraArgs={"Metadata": {_DIGEST: parcel.digest.hex}},
                Callback=on_bytes,
            )

    def read(self, path: str) -> bytes:
        """Give a text, or nothing. Raises: TargetUnavailable; TargetRefused."""
        return self._read(path)[0]

    def rewrite(self, path: str, change: Change) -> None:
        """Let a text be what change makes of it. Raises: TargetUnavailable; TargetRefused."""
        for _ in range(_ATTEMPTS):
            before, etag = self._read(path)
            after = change(before)
            if after == before:
                return
            try:
                with self._translated(f"PutObject of {path}"):
                    self._write(path, after, etag)
            except _OutrunError:
                self._pause(_PAUSE_SECONDS)
            else:
                return
        reason = f"Others changed it each time in {_ATTEMPTS} attempts."
        raise TargetUnavailable(self.place, f"PutObject of {path}", reason)

    def remove(self, path: str) -> None:
        """Take an object away. Raises: TargetUnavailable; TargetRefused."""
        with self._translated(f"DeleteObject of {path}"):
            self._client.delete_object(**self._at(path))

    def _read(self, path: str) -> tuple[bytes, str]:
        """Give a text and what tells it from others; both empty when there is none."""
        with self._translated(f"GetObject of {path}"):
            try:
                answer = self._client.get_object(**self._at(path))
            except self._client.exceptions.ClientError as error:
                if _code(error) in _ABSENT:
                    return b"", ""
                raise
            text = answer["Body"].read(LARGEST_TEXT_BYTES + 1)
        if len(text) > LARGEST_TEXT_BYTES:
            reason = f"It is larger than {LARGEST_TEXT_BYTES:,} bytes."
            hint = "Look who put it there, take it away, then do this again."
            raise TargetRefused(self.place, f"GetObject of {path}", reason, hint)
        return text, answer["ETag"]

    def _write(self, path: str, after: bytes, etag: str) -> None:
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        if not after:
            self._client.delete_object(**self._at(path), **condition)
            return
        kind = "application/json" if path.endswith(".json") else "text/plain"
        self._client.put_object(
            **self._at(path),
            **condition,
            Body=after,
            ContentType=kind,
            Metadata={_DIGEST: Digest.of_bytes(after).hex},
        )

    def _key(self, path: str) -> str:
        prefix = self._s3.prefix.strip("/")
        return f"{prefix}/{path}" if prefix else path

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self._s3.bucket, "Key": self._key(path)}

    @property
    def _client(self) -> Boto:
        with self._making:
            if self._made is None:
                endpoint, region = self._s3.endpoint or None, self._s3.region or None
                self._made = made_client("s3", endpoint, self._patience, region=region)
            return self._made

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error, S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except S3UploadFailedError as error:
            cause = error.__context__
            raise self._said(call, cause if isinstance(cause, ClientError) else error) from error
        except NoCredentialsError as error:
            hint = "Give boto3 an account: AWS_PROFILE, or AWS_ACCESS_KEY_ID and the rest."
            raise TargetRefused(self.place, call, str(error), hint) from error
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise self._said(call, error) from error

    def _said(self, call: str, error: Exception) -> Exception:
        code = _code(error)
        if not code or code in _BUSY:
            return TargetUnavailable(self.place, call, str(error))
        if code in _OUTRUN:
            return _OutrunError()
        hint = "Check that the bucket is there, and what its policy and your account allow."
        return TargetRefused(self.place, call, str(error), hint)


class _OutrunError(Exception):
    """Another writer was faster."""


def _code(error: Exception) -> str:
    """Give what S3 calls an error; empty for one that is not its own."""
    answer = getattr(error, "response", {}).get("Error", {})
    return str(answer.get("Code", ""))


def _digest_of(head: dict[str, Any]) -> Digest | None:
    try:
        return Digest(head["Metadata"][_DIGEST])
    except (KeyError, ValueError):  # another one put it there
        return None
