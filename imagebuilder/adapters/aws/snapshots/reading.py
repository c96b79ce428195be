"""SnapshotReading: a snapshot becomes a raw disk again."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import PurePath

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.clients import Boto
from imagebuilder.adapters.aws.snapshots.blocks import ZEROS
from imagebuilder.adapters.aws.snapshots.workers import each
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.domain.units import GIB
from imagebuilder.ports.disks import BLOCK_BYTES

_PER_PAGE = 10_000
_WORKERS = 16
_TRIES = 3
_MOST_BYTES = 65_536 * GIB
"""Source: Amazon EBS User Guide, largest volume."""


class SnapshotReading:
    """Reads snapshots."""

    def __init__(self, calls: Calls, *, workers: int = _WORKERS) -> None:
        """Fetch so many blocks at a time."""
        self._calls = calls
        self._workers = workers

    def read(
        self, entrance: Entrance, snapshot: str, into: PurePath, on_bytes: Callable[[int], None]
    ) -> int:
        """Write the disk of a snapshot into a new sparse file, and give its size.

        Raises: CallRefused; TargetUnavailable.
        Units: bytes.
        """
        descriptor = os.open(into, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            size_bytes = [0]
            blocks = self._blocks(entrance, snapshot, size_bytes)

            def fetch(entry: Boto) -> None:
                block = self._block(entrance, snapshot, entry)
                if block != ZEROS:
                    written(descriptor, block, entry["BlockIndex"] * BLOCK_BYTES)
                on_bytes(BLOCK_BYTES)

            each(blocks, fetch, self._workers)
            os.ftruncate(descriptor, size_bytes[0])
            return size_bytes[0]
        finally:
            os.close(descriptor)

    def _blocks(self, entrance: Entrance, snapshot: str, size_bytes: list[int]) -> Iterator[Boto]:
        pages = self._calls.pages(
            entrance, "ebs:ListSnapshotBlocks", SnapshotId=snapshot, MaxResults=_PER_PAGE
        )
        for page in pages:
            size_bytes[0] = int(page["VolumeSize"]) * GIB
            for entry in page["Blocks"]:
                if not 0 <= entry["BlockIndex"] * BLOCK_BYTES < size_bytes[0] <= _MOST_BYTES:
                    reason = f"Block {entry['BlockIndex']} is outside of {snapshot}."
                    raise TargetUnavailable(entrance.key, "ebs:ListSnapshotBlocks", reason)
                yield entry

    def _block(self, entrance: Entrance, snapshot: str, entry: Boto) -> bytes:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - what needs no AWS need not wait

        reason = ""
        for _ in range(_TRIES):
            answer = self._calls.call(
                entrance,
                "ebs:GetSnapshotBlock",
                SnapshotId=snapshot,
                BlockIndex=entry["BlockIndex"],
                BlockToken=entry["BlockToken"],
            )
            try:
                block: bytes = answer["BlockData"].read(BLOCK_BYTES + 1)
            except BotoCoreError as error:
                reason = str(error)
                continue
            digest = base64.b64encode(hashlib.sha256(block).digest()).decode()
            if len(block) == BLOCK_BYTES and digest == answer["Checksum"]:
                return block
            reason = f"Block {entry['BlockIndex']} of {snapshot} is not what its checksum is of."
        raise TargetUnavailable(entrance.key, "ebs:GetSnapshotBlock", reason)


def written(descriptor: int, block: bytes, at: int) -> None:
    """Write all of a block: where a disk becomes full, the system writes a part and says so."""
    written = 0
    while written < len(block):
        written += os.pwrite(descriptor, block[written:], at + written)
