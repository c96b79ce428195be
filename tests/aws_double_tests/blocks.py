"""Snapshots written to a double, block by block."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

BLOCK_BYTES = 524288


def checksum(block: bytes) -> str:
    """Give the checksum that goes with a block."""
    return base64.b64encode(hashlib.sha256(block).digest()).decode()


def a_block(content: bytes = b"x") -> bytes:
    """Give a block that begins with some content."""
    return content.ljust(BLOCK_BYTES, b"\0")


def put(ebs: Any, snapshot: str, index: int, block: bytes, **other: Any) -> None:
    """Put a block; what is other is said wrongly on purpose."""
    said = {
        "SnapshotId": snapshot,
        "BlockIndex": index,
        "BlockData": block,
        "DataLength": len(block),
        "Checksum": checksum(block),
        "ChecksumAlgorithm": "SHA256",
    }
    ebs.put_snapshot_block(**(said | other))


def a_snapshot(ebs: Any, ec2: Any, blocks: Mapping[int, bytes] | None = None, **more: Any) -> str:
    """Give a snapshot that is completed."""
    snapshot = str(ebs.start_snapshot(**({"VolumeSize": 1} | more))["SnapshotId"])
    blocks = {0: a_block()} if blocks is None else blocks
    for index, block in blocks.items():
        put(ebs, snapshot, index, block)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
    settle(ec2, snapshot)
    return snapshot


def settle(ec2: Any, snapshot: str) -> None:
    """Look at a snapshot until it is completed; at the double the next look is at once."""
    is_double = "127.0.0.1" in ec2.meta.endpoint_url
    limits = {"Delay": 0, "MaxAttempts": 5} if is_double else {"Delay": 5, "MaxAttempts": 60}
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=limits)
