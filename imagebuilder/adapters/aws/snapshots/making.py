"""SnapshotMaking: a raw disk becomes a snapshot, of which only what must be is sent.

Whatever is cut off goes on: the same token gives the same snapshot, and the journal tells which of
its blocks are there. What cannot go on is deleted.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls, Patience
from imagebuilder.adapters.aws.snapshots.blocks import RawDisk, candidates, changed
from imagebuilder.adapters.aws.snapshots.journal import UploadJournal
from imagebuilder.adapters.aws.snapshots.workers import each
from imagebuilder.adapters.aws.tags import TOKEN, found_by, tag_list
from imagebuilder.adapters.aws.waiting import awaited
from imagebuilder.domain.units import GIB
from imagebuilder.ports.disks import BLOCK_BYTES
from imagebuilder.ports.targets import PlacingFailed

WORKERS = 32
_IDLE_MINUTES = 60
_UNSEEN_SECONDS = 120.0
"""So long may a snapshot that was just started not be found. Source: coldsnap, issue 43."""
_COMPLETING_SECONDS = 3600.0
_MOST_ATTEMPTS = 8
_NAMESPACE = uuid.UUID("6f3c5f0e-6a3b-4c39-9f0c-6a1d2f1f9d11")
_GONE = frozenset(("ResourceNotFoundException", "ConflictException"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """What a snapshot is made of.

    `base` is the raw disk that `parent`, a snapshot of the same account and region, was made of.
    `digest` is the disk's; `key` what it is encrypted with, empty for what the account does.
    """

    disk: PurePath
    digest: str
    token: str
    scratch: PurePath
    base: PurePath | None = None
    parent: str = ""
    key: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    entrance: Entrance
    cargo: Cargo
    journal: UploadJournal
    on_bytes: Callable[[int], None]
    began: float


class SnapshotMaking:
    """Makes snapshots."""

    def __init__(self, calls: Calls, *, workers: int = WORKERS) -> None:
        """Send so many blocks at a time."""
        self._calls = calls
        self._workers = workers

    def made(self, entrance: Entrance, cargo: Cargo, on_bytes: Callable[[int], None]) -> str:
        """Give the snapshot that a cargo became, completed; made now if it was not there.

        Raises: CallRefused; TargetUnavailable; PlacingFailed.
        """
        if there := self._own(entrance, cargo.token, "completed"):
            return there[0]
        identity = {"token": cargo.token, "disk": cargo.digest, "parent": cargo.parent}
        path = Path(cargo.scratch) / "upload.journal"
        with closing(UploadJournal(path, identity)) as journal, ExitStack() as held:
            disk = held.enter_context(closing(RawDisk(cargo.disk)))
            base = held.enter_context(closing(RawDisk(cargo.base))) if cargo.base else None
            upload = _Upload(
                entrance=entrance,
                cargo=cargo,
                journal=journal,
                on_bytes=on_bytes,
                began=self._calls.clock.monotonic(),
            )
            try:
                if not self._started(upload, disk.size_bytes):
                    self._send(upload, disk, base)
                    self._complete(upload)
                self._settle(upload)
            except (CallRefused, PlacingFailed):
                self._discard(upload)
                raise
            return journal.snapshot

    def _own(self, entrance: Entrance, token: str, *states: str) -> list[str]:
        found = self._calls.call(
            entrance,
            "ec2:DescribeSnapshots",
            OwnerIds=["self"],
            Filters=[*found_by({TOKEN: token}), {"Name": "status", "Values": list(states)}],
        )["Snapshots"]
        return [str(each["SnapshotId"]) for each in found]

    def _started(self, upload: _Upload, size_bytes: int) -> bool:
        """Begin the snapshot or find it again; tell whether it is completed already."""
        cargo, journal = upload.cargo, upload.journal
        asked: dict[str, Any] = {
            "VolumeSize": -(-size_bytes // GIB),
            "Timeout": _IDLE_MINUTES,
            "Description": cargo.description,
            "Tags": tag_list({**cargo.tags, TOKEN: cargo.token}),
        }
        if cargo.parent:
            asked["ParentSnapshotId"] = cargo.parent
        elif cargo.key:
            asked |= {"Encrypted": True, "KmsKeyArn": cargo.key}
        while journal.attempt < _MOST_ATTEMPTS:
            token = str(uuid.uuid5(_NAMESPACE, f"{cargo.token}/{journal.attempt}"))
            try:
                answer = self._calls.call(
                    upload.entrance, "ebs:StartSnapshot", **asked, ClientToken=token
                )
            except CallRefused as refused:
                if refused.code not in _GONE or (cargo.parent and cargo.parent in refused.said):
                    raise
                # A killed process may have begun one otherwise, that no journal tells of.
                for other in self._own(upload.entrance, cargo.token, "pending", "error"):
                    self._delete(upload.entrance, other)
                journal.start_over()
                continue
            state = self._state(upload.entrance, answer["SnapshotId"])[0] or answer["Status"]
            if state in {"pending", "completed"}:
                journal.begin(answer["SnapshotId"])
                return bool(state == "completed")
            self._delete(upload.entrance, answer["SnapshotId"])
            journal.start_over()
        reason = f"{_MOST_ATTEMPTS} snapshots for it came to nothing."
        raise PlacingFailed(upload.entrance.key, "ebs:StartSnapshot", reason)

    def _send(self, upload: _Upload, disk: RawDisk, base: RawDisk | None) -> None:
        journal = upload.journal
        there = frozenset(journal.done)
        patience = self._until_seen(upload)

        def send(index: int) -> None:
            block = changed(disk, base, index)
            if block is None:
                return
            digest = hashlib.sha256(block).digest()
            self._calls.call(
                upload.entrance,
                "ebs:PutSnapshotBlock",
                patience,
                SnapshotId=journal.snapshot,
                BlockIndex=index,
                BlockData=block,
                DataLength=BLOCK_BYTES,
                Checksum=base64.b64encode(digest).decode(),
                ChecksumAlgorithm="SHA256",
            )
            journal.note(index, digest)
            upload.on_bytes(BLOCK_BYTES)

        missing = (index for index in candidates(disk, base) if index not in there)
        each(missing, send, self._workers)

    def _complete(self, upload: _Upload) -> None:
        done = upload.journal.done
        asked: dict[str, Any] = {
            "SnapshotId": upload.journal.snapshot,
            "ChangedBlocksCount": len(done),
        }
        if done:
            joined = b"".join(done[index] for index in sorted(done))
            asked |= {
                "Checksum": base64.b64encode(hashlib.sha256(joined).digest()).decode(),
                "ChecksumAlgorithm": "SHA256",
                "ChecksumAggregationMethod": "LINEAR",
            }
        self._calls.call(upload.entrance, "ebs:CompleteSnapshot", self._until_seen(upload), **asked)

    def _until_seen(self, upload: _Upload) -> Patience:
        return Patience(until={"ResourceNotFoundException": upload.began + _UNSEEN_SECONDS})

    def _settle(self, upload: _Upload) -> None:
        snapshot = upload.journal.snapshot

        def look() -> str | None:
            state, message = self._state(upload.entrance, snapshot)
            if state in {"error", "recoverable"}:
                reason = f"{snapshot} ended as {state}: {message or 'AWS gave no reason'}."
                raise PlacingFailed(upload.entrance.key, "ebs:CompleteSnapshot", reason)
            return state if state == "completed" else None

        if awaited(self._calls, look, _COMPLETING_SECONDS) is None:
            reason = f"{snapshot} was not completed within {_COMPLETING_SECONDS:.0f} s."
            raise PlacingFailed(upload.entrance.key, "ebs:CompleteSnapshot", reason)

    def _state(self, entrance: Entrance, snapshot: str) -> tuple[str, str]:
        """Give the state of a snapshot and what is said of it; nothing while it is not seen."""
        try:
            found = self._calls.call(entrance, "ec2:DescribeSnapshots", SnapshotIds=[snapshot])
        except CallRefused as refused:
            if refused.code == "InvalidSnapshot.NotFound":
                return "", ""
            raise
        seen: Mapping[str, str] = next(iter(found["Snapshots"]), {})
        return seen.get("State", ""), seen.get("StateMessage", "")

    def _discard(self, upload: _Upload) -> None:
        if upload.journal.snapshot:
            self._delete(upload.entrance, upload.journal.snapshot)
        upload.journal.start_over()

    def _delete(self, entrance: Entrance, snapshot: str) -> None:
        try:
            self._calls.call(entrance, "ec2:DeleteSnapshot", SnapshotId=snapshot)
        except CallRefused as refused:
            if refused.code != "InvalidSnapshot.NotFound":
                raise
