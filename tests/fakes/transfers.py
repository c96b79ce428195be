"""A web and a bucket that are made of what a test puts there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from imagebuilder.ports.transfers import Bucket, TransferFailed, WebSource


@dataclass(slots=True)
class FakeWebFetcher:
    """Has a file for each address it knows; `asked` are the sources it was asked for."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    asked: list[WebSource] = field(default_factory=list)

    def fetch(self, source: WebSource, into: PurePath, timeout_seconds: float | None) -> None:
        self.asked.append(source)
        content = self.files.get(source.url)
        if content is None:
            raise TransferFailed(source.url, "It answers 404.")
        Path(into).write_bytes(content)


@dataclass(slots=True)
class FakeObjectStore:
    """Has the objects of one account; `objects` maps bucket and key to content."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    account: str = "111122223333"

    def keys(self, bucket: Bucket, prefix: str, limit: int) -> Sequence[str]:
        self._require_owner(bucket)
        known = (key for name, key in self.objects if name == bucket.name)
        return sorted(key for key in known if key.startswith(prefix))[:limit]

    def fetch(self, bucket: Bucket, key: str, into: PurePath) -> None:
        self._require_owner(bucket)
        content = self.objects.get((bucket.name, key))
        if content is None:
            raise TransferFailed(f"s3://{bucket.name}/{key}", "404: Not Found")
        Path(into).write_bytes(content)

    def bring(self, file: PurePath, bucket: Bucket, key: str) -> None:
        self._require_owner(bucket)
        self.objects[bucket.name, key] = Path(file).read_bytes()

    def _require_owner(self, bucket: Bucket) -> None:
        if bucket.owner not in {None, self.account}:
            raise TransferFailed(f"s3://{bucket.name}", "403: Forbidden")
