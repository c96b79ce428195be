"""The EBS direct service: snapshots written and read block by block."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from tests.aws_double.block_spool import BLOCK_BYTES
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.snapshots import Snapshot
from tests.aws_double.volume_keys import KeyNotUsable, default_key, usable_key
from tests.aws_double.world import new_id

_SNAPSHOT_ID: Final = re.compile(r"snap-[0-9a-f]{8,17}")
_LARGEST_GIB: Final = 65536
_FEWEST_PER_PAGE: Final = 100
_MOST_PER_PAGE: Final = 10000


def _invalid(message: str, reason: str = "INVALID_PARAMETER_VALUE") -> Refusal:
    return Refusal("ValidationException", message, reason=reason)


@operation("ebs", "StartSnapshot")
def start_snapshot(asked: Asked) -> Answer:
    """Begin a snapshot, or give the one that was begun with this token."""
    snapshots, token = asked.world.snapshots, asked.get("ClientToken")
    place = (asked.account, asked.region, str(token))
    if token and place in snapshots.tokens:
        known, parameters = snapshots.tokens[place]
        if parameters != dict(asked.parameters):
            raise Refusal("ConflictException", "The token was used with other parameters.")
        return _started(known)
    size = int(asked.parameters["VolumeSize"])
    minutes = int(asked.get("Timeout") or 60)
    if not 1 <= size <= _LARGEST_GIB:
        raise _invalid(f"A volume of {size} GiB cannot be.", "INVALID_VOLUME_SIZE")
    if not 10 <= minutes <= 4320:
        raise _invalid("Timeout must be from 10 to 4320 minutes.")
    _check_quota(asked)
    parent = _parent(asked, size)
    snapshot = Snapshot(
        id=(made := new_id("snap")),
        account=asked.account,
        region=asked.region,
        size_gib=size,
        started_at=asked.world.clock.now(),
        touched_at=asked.world.clock.now(),
        idle_limit=timedelta(minutes=minutes),
        lineage=parent.lineage if parent else made,
        description=asked.get("Description") or "",
        parent=parent.id if parent else None,
        key=parent.key if parent else _key(asked),
        tags={asked.account: _tags(asked.get("Tags") or [])},
        hidden_calls=asked.world.faults.hidden_snapshot_calls,
    )
    if parent:
        snapshot.full = dict(parent.full)
    snapshots.add(snapshot)
    if token:
        snapshots.tokens[place] = (snapshot, dict(asked.parameters))
    return _started(snapshot)


def _check_quota(asked: Asked) -> None:
    pending = [
        snapshot
        for snapshot in asked.world.snapshots.every(asked.region)
        if snapshot.account == asked.account and snapshot.state == "pending"
    ]
    if len(pending) >= asked.world.quotas.pending_snapshots:
        said = f"{len(pending)} snapshots are pending; there may be no more."
        raise Refusal("ConcurrentLimitExceededException", said)


def _parent(asked: Asked, size: int) -> Snapshot | None:
    named = asked.get("ParentSnapshotId")
    if not named:
        return None
    if asked.get("Encrypted") is not None or asked.get("KmsKeyArn"):
        raise _invalid(
            "Encryption follows the parent: Encrypted and KmsKeyArn cannot go with it.",
            "INVALID_DEPENDENCY_REQUEST",
        )
    parent = asked.world.snapshots.by_id.get(named)
    if parent is None or parent.region != asked.region or parent.account != asked.account:
        raise _not_found(named, "DEPENDENCY_RESOURCE_NOT_FOUND")
    if parent.state != "completed":
        raise _invalid(f"The parent {named} is {parent.state}.", "INVALID_DEPENDENCY_REQUEST")
    if size < parent.size_gib:
        raise _invalid(
            f"{size} GiB are less than the parent's {parent.size_gib}.", "INVALID_VOLUME_SIZE"
        )
    if parent.key:
        _usable(asked, parent.key)
    if parent.key is None and (asked.account, asked.region) in asked.world.encrypts_by_default:
        raise _invalid(
            "The account encrypts by default and the parent is not encrypted.",
            "INVALID_DEPENDENCY_REQUEST",
        )
    return parent


def _key(asked: Asked) -> str | None:
    is_encrypted = bool(asked.get("Encrypted"))
    named = asked.get("KmsKeyArn")
    if named and not is_encrypted:
        raise _invalid("KmsKeyArn needs Encrypted.")
    if named:
        return _usable(asked, named)
    by_default = (asked.account, asked.region) in asked.world.encrypts_by_default
    return default_key(asked.account, asked.region) if is_encrypted or by_default else None


def _tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if any(tag["Key"].startswith("aws:") for tag in given):
        raise _invalid("Names of tags may not begin with aws:.", "INVALID_TAG")
    return {tag["Key"]: tag.get("Value", "") for tag in given}


def _started(snapshot: Snapshot) -> Answer:
    said = {
        "SnapshotId": snapshot.id,
        "OwnerId": snapshot.account,
        "Status": snapshot.state,
        "StartTime": snapshot.started_at,
        "VolumeSize": snapshot.size_gib,
        "BlockSize": BLOCK_BYTES,
        "Description": snapshot.description,
        "ParentSnapshotId": snapshot.parent,
        "KmsKeyArn": snapshot.key,
        "SseType": "sse-kms" if snapshot.key else "none",
        "Tags": [
            {"Key": key, "Value": value} for key, value in snapshot.tags[snapshot.account].items()
        ],
    }
    return {name: value for name, value in said.items() if value is not None}


@operation("ebs", "PutSnapshotBlock", is_locked=False)
def put_snapshot_block(asked: Asked) -> Answer:
    """Take one block."""
    snapshot = _writable(asked)
    block, index = asked.get("BlockData") or b"", int(asked.parameters["BlockIndex"])
    if asked.get("ChecksumAlgorithm") != "SHA256":
        raise _invalid("ChecksumAlgorithm must be SHA256.")
    if int(asked.get("DataLength") or 0) != BLOCK_BYTES or len(block) != BLOCK_BYTES:
        raise _invalid(f"A block has {BLOCK_BYTES} bytes.", "INVALID_BLOCK")
    if index < 0 or (index + 1) * BLOCK_BYTES > snapshot.size_gib << 30:
        raise _invalid(f"Block {index} is outside of the volume.", "INVALID_BLOCK")
    if not 0 <= int(asked.get("Progress") or 0) <= 100:
        raise _invalid("Progress must be from 0 to 100.")
    digest = hashlib.sha256(block).digest()
    if asked.get("Checksum") != base64.b64encode(digest).decode():
        raise _invalid("The block does not have this checksum.", "INVALID_BLOCK")
    asked.world.spool.keep(digest, block)
    with asked.world.lock:
        if snapshot.is_sealed:
            raise _invalid(
                f"The snapshot {snapshot.id} takes no more blocks.", "INVALID_SNAPSHOT_ID"
            )
        snapshot.blocks[index] = digest
        snapshot.touched_at = asked.world.clock.now()
    return {"Checksum": asked.get("Checksum"), "ChecksumAlgorithm": "SHA256"}


@operation("ebs", "CompleteSnapshot")
def complete_snapshot(asked: Asked) -> Answer:
    """Take no more blocks; the snapshot is completed after it was looked at."""
    snapshot = _writable(asked, again=True)
    count = int(asked.parameters["ChangedBlocksCount"])
    if count != len(snapshot.blocks):
        raise _invalid(f"{len(snapshot.blocks)} blocks were put, not {count}.")
    if asked.get("Checksum"):
        if asked.get("ChecksumAlgorithm") != "SHA256":
            raise _invalid("ChecksumAlgorithm must be SHA256.")
        if asked.get("ChecksumAggregationMethod") != "LINEAR":
            raise _invalid("ChecksumAggregationMethod must be LINEAR.")
        if asked.get("Checksum") != linear_checksum(snapshot.blocks):
            raise _invalid("The snapshot does not have this checksum.")
    elif asked.get("ChecksumAlgorithm") or asked.get("ChecksumAggregationMethod"):
        raise _invalid("A checksum must go with its algorithm and method.")
    if not snapshot.is_sealed:
        snapshot.is_sealed = True
        snapshot.full |= snapshot.blocks
        snapshot.looks_left = asked.world.snapshots.pending_looks
        if not snapshot.looks_left:
            snapshot.state = "completed"
    return {"Status": snapshot.state}


def linear_checksum(blocks: Mapping[int, bytes]) -> str:
    """Give the checksum of a snapshot's own blocks, from their digests in order."""
    joined = b"".join(blocks[index] for index in sorted(blocks))
    return base64.b64encode(hashlib.sha256(joined).digest()).decode()


def _not_found(named: str, reason: str = "SNAPSHOT_NOT_FOUND") -> Refusal:
    said = f"The snapshot '{named}' does not exist."
    return Refusal("ResourceNotFoundException", said, reason=reason)


def _seen(asked: Asked, parameter: str = "SnapshotId") -> Snapshot:
    named = str(asked.parameters[parameter])
    if not _SNAPSHOT_ID.fullmatch(named):
        raise _invalid(f"'{named}' is no id of a snapshot.", "INVALID_SNAPSHOT_ID")
    snapshot = asked.world.snapshots.by_id.get(named)
    if snapshot is None or snapshot.region != asked.region:
        raise _not_found(named)
    if snapshot.hidden_calls > 0:
        snapshot.hidden_calls -= 1
        raise _not_found(named)
    if asked.account not in {snapshot.account, *snapshot.shared}:  # public ones are not served
        raise Refusal(
            "AccessDeniedException",
            f"The account {asked.account} may not read {named}.",
            reason="UNAUTHORIZED_ACCOUNT",
        )
    return snapshot


def _writable(asked: Asked, *, again: bool = False) -> Snapshot:
    snapshot = _seen(asked)
    if snapshot.account != asked.account:
        raise Refusal(
            "AccessDeniedException",
            f"Only {snapshot.account} may write {snapshot.id}.",
            reason="UNAUTHORIZED_ACCOUNT",
        )
    idle = asked.world.clock.now() - (snapshot.touched_at or snapshot.started_at)
    if not snapshot.is_sealed and idle > snapshot.idle_limit:
        snapshot.state, snapshot.is_sealed = "error", True
    if snapshot.state == "error" or (snapshot.is_sealed and not again):
        raise _invalid(f"The snapshot {snapshot.id} takes no more blocks.", "INVALID_SNAPSHOT_ID")
    return snapshot


def _readable(asked: Asked, parameter: str = "SnapshotId") -> Snapshot:
    snapshot = _seen(asked, parameter)
    if snapshot.state != "completed":
        said = f"The snapshot {snapshot.id} is {snapshot.state}."
        raise _invalid(said, "INVALID_SNAPSHOT_ID")
    if snapshot.key:
        _usable(asked, snapshot.key, "Decrypt")
    return snapshot


def _usable(asked: Asked, key: str, *actions: str) -> str:
    try:
        return usable_key(asked.caller, key, asked.region, *actions)
    except KeyNotUsable as reason:
        said, why = str(reason), "DEPENDENCY_ACCESS_DENIED"
        raise Refusal("AccessDeniedException", said, reason=why) from reason


def _block_token(snapshot: Snapshot, index: int) -> str:
    secret = hashlib.sha256(f"{snapshot.id}/{index}/block".encode()).digest()
    return base64.b64encode(secret).decode()


@operation("ebs", "ListSnapshotBlocks")
def list_snapshot_blocks(asked: Asked) -> Answer:
    """List the blocks of a snapshot, those of its parents among them."""
    snapshot = _readable(asked)
    listed = [(index, {"BlockToken": _block_token(snapshot, index)}) for index in snapshot.full]
    return _page(asked, snapshot, "Blocks", listed)


@operation("ebs", "ListChangedBlocks")
def list_changed_blocks(asked: Asked) -> Answer:
    """List the blocks that differ between two snapshots of one lineage."""
    second = _readable(asked, "SecondSnapshotId")
    first = _readable(asked, "FirstSnapshotId") if asked.get("FirstSnapshotId") else None
    if first and first.lineage != second.lineage:
        said = f"{first.id} and {second.id} are not of one volume."
        raise _invalid(said, "UNRELATED_SNAPSHOTS")
    before = first.full if first else {}
    listed = []
    for index in before.keys() | second.full.keys():
        if before.get(index) != second.full.get(index):
            tokens = {}
            if first and index in before:
                tokens["FirstBlockToken"] = _block_token(first, index)
            if index in second.full:
                tokens["SecondBlockToken"] = _block_token(second, index)
            listed.append((index, tokens))
    return _page(asked, second, "ChangedBlocks", listed)


def _page(
    asked: Asked, snapshot: Snapshot, name: str, listed: Sequence[tuple[int, dict[str, str]]]
) -> Answer:
    limit = int(asked.get("MaxResults") or _FEWEST_PER_PAGE)
    if not _FEWEST_PER_PAGE <= limit <= _MOST_PER_PAGE:
        raise _invalid(f"MaxResults must be from {_FEWEST_PER_PAGE} to {_MOST_PER_PAGE}.")
    now = asked.world.clock.now()
    start = int(asked.get("StartingBlockIndex") or 0)
    if asked.get("NextToken"):
        if asked.get("StartingBlockIndex") is not None:
            raise _invalid("StartingBlockIndex cannot go with NextToken.")
        start, limit_is = _read_page_token(asked, snapshot), limit
    else:
        limit_is = 0 if asked.world.faults.has_empty_pages else limit
    rest = sorted(entry for entry in listed if entry[0] >= start)
    page = [{"BlockIndex": index, **tokens} for index, tokens in rest[:limit_is]]
    said: dict[str, Any] = {
        name: page,
        "VolumeSize": snapshot.size_gib,
        "BlockSize": BLOCK_BYTES,
        "ExpiryTime": now + timedelta(days=7),
    }
    if len(rest) > len(page):
        following = rest[len(page)][0]
        said["NextToken"] = _page_token(snapshot, following, int(now.timestamp()) + 3600)
    return said


def _page_token(snapshot: Snapshot, index: int, ends_at: int) -> str:
    return base64.b64encode(f"{snapshot.id}/{index}/{ends_at}".encode()).decode()


def _read_page_token(asked: Asked, snapshot: Snapshot) -> int:
    try:
        of, index, ends_at = base64.b64decode(asked.get("NextToken")).decode().split("/")
        is_good = of == snapshot.id and int(ends_at) > asked.world.clock.now().timestamp()
    except ValueError:
        is_good = False
    if not is_good:
        raise _invalid("The token is of another listing, or too old.", "INVALID_PAGE_TOKEN")
    return int(index)


@operation("ebs", "GetSnapshotBlock", is_locked=False)
def get_snapshot_block(asked: Asked) -> Answer:
    """Give one block."""
    snapshot, index = _readable(asked), int(asked.parameters["BlockIndex"])
    if asked.get("BlockToken") != _block_token(snapshot, index):
        raise _invalid("The token is not of this block.", "INVALID_BLOCK_TOKEN")
    digest = snapshot.full.get(index)
    if digest is None:
        raise _not_found(f"{snapshot.id} block {index}")
    return {
        "DataLength": BLOCK_BYTES,
        "BlockData": asked.world.spool.block(digest),
        "Checksum": base64.b64encode(digest).decode(),
        "ChecksumAlgorithm": "SHA256",
    }
