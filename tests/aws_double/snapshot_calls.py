"""Snapshots as EC2 tells of them: who sees them, who may make volumes of them."""

from collections.abc import Mapping
from typing import Any, Final

from tests.aws_double.listing import Values, filtered, paged, tag_list, tags_for
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.snapshots import EVERYBODY, Snapshot
from tests.aws_double.volume_keys import default_key, is_default_key
from tests.aws_double.world import new_id

_FILTERS: Final[Mapping[str, Values]] = {
    "snapshot-id": lambda it: [it.id],
    "owner-id": lambda it: [it.account],
    "status": lambda it: [it.state],
    "volume-id": lambda it: [it.volume],
    "volume-size": lambda it: [str(it.size_gib)],
    "description": lambda it: [it.description],
    "encrypted": lambda it: ["true" if it.key else "false"],
    "progress": lambda it: [_progress(it)],
    "start-time": lambda it: [it.started_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")],
}


def found(asked: Asked, snapshot_id: str) -> Snapshot:
    """Give a snapshot that the caller sees.

    Raises:
        Refusal: there is none, or the caller does not see it
    """
    snapshot = asked.world.snapshots.seen(snapshot_id, asked.account, asked.region)
    if snapshot is None:
        said = f"The snapshot '{snapshot_id}' does not exist."
        raise Refusal("InvalidSnapshot.NotFound", said)
    return snapshot


def owned(asked: Asked, snapshot_id: str) -> Snapshot:
    """Give a snapshot of the caller's own.

    Raises:
        Refusal: there is none, or it is somebody else's
    """
    snapshot = found(asked, snapshot_id)
    if snapshot.account != asked.account:
        raise Refusal("UnauthorizedOperation", "You are not authorized.", status=403)
    return snapshot


def _progress(snapshot: Snapshot) -> str:
    return "100%" if snapshot.state == "completed" else "99%" if snapshot.is_sealed else "0%"


@operation("ec2", "DescribeSnapshots")
def describe_snapshots(asked: Asked) -> Answer:
    """List snapshots, by default all that the caller may make volumes of."""
    ids = asked.get("SnapshotIds")
    if ids and asked.get("MaxResults"):
        said = "The parameter snapshotSet cannot be used with the parameter maxResults"
        raise Refusal("InvalidParameterCombination", said)
    if ids:
        listed = [found(asked, snapshot_id) for snapshot_id in ids]
    else:
        every = asked.world.snapshots.every(asked.region)
        listed = [snapshot for snapshot in every if snapshot.is_seen_by(asked.account)]
    if owners := asked.get("OwnerIds"):
        wanted = {asked.account if owner == "self" else owner for owner in owners}
        listed = [snapshot for snapshot in listed if snapshot.account in wanted]
    if users := asked.get("RestorableByUserIds"):
        wanted = {asked.account if user == "self" else user for user in users}
        listed = [
            snapshot
            for snapshot in listed
            if wanted & snapshot.shared or snapshot.account in wanted
        ]
    for snapshot in listed:
        snapshot.look()
    listed = filtered(asked, listed, _FILTERS, lambda it: it.tags.get(asked.account, {}))
    return paged(asked, "Snapshots", [told(asked, snapshot) for snapshot in listed])


def told(asked: Asked, snapshot: Snapshot) -> dict[str, Any]:
    """Give what is told of a snapshot, with the caller's own tags."""
    said = {
        "SnapshotId": snapshot.id,
        "OwnerId": snapshot.account,
        "State": snapshot.state,
        "StateMessage": snapshot.will_fail if snapshot.state == "error" else None,
        "StartTime": snapshot.started_at,
        "Progress": _progress(snapshot),
        "VolumeSize": snapshot.size_gib,
        "VolumeId": snapshot.volume,
        "Description": snapshot.description,
        "Encrypted": snapshot.key is not None,
        "KmsKeyId": snapshot.key,
        "StorageTier": "standard",
        "Tags": tag_list(snapshot.tags.get(asked.account, {})),
    }
    return {name: value for name, value in said.items() if value is not None}


@operation("ec2", "DescribeSnapshotAttribute")
def describe_snapshot_attribute(asked: Asked) -> Answer:
    """Tell who may make volumes of a snapshot."""
    snapshot = owned(asked, asked.parameters["SnapshotId"])
    if asked.get("Attribute") != "createVolumePermission":
        return {"SnapshotId": snapshot.id, "ProductCodes": []}
    allowed = [
        {"Group": who} if who == EVERYBODY else {"UserId": who} for who in sorted(snapshot.shared)
    ]
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": allowed}


@operation("ec2", "ModifySnapshotAttribute")
def modify_snapshot_attribute(asked: Asked) -> None:
    """Let others make volumes of a snapshot, or no longer; said in either of two forms."""
    snapshot = owned(asked, asked.parameters["SnapshotId"])
    permission = asked.get("CreateVolumePermission") or {}
    added, removed = _named(permission.get("Add")), _named(permission.get("Remove"))
    listed = set(asked.get("UserIds") or []) | set(asked.get("GroupNames") or [])
    match asked.get("OperationType"):
        case "add":
            added |= listed
        case "remove":
            removed |= listed
    if not added | removed:
        raise Refusal("InvalidParameterCombination", "No attributes specified.")
    for who in added | removed:
        if who != EVERYBODY and not (who.isdecimal() and len(who) == 12):
            raise Refusal("InvalidParameterValue", f"Invalid user id: {who}")
    if EVERYBODY in added and snapshot.key:
        said = "Encrypted snapshots with EBS default key cannot be shared publicly"
        raise Refusal("OperationNotPermitted", said)
    if added and snapshot.key and is_default_key(snapshot.key):
        said = "Encrypted snapshots with EBS default key cannot be shared"
        raise Refusal("InvalidParameter", said)
    snapshot.shared = (snapshot.shared | added) - removed


def _named(permissions: list[dict[str, str]] | None) -> set[str]:
    return {str(one.get("UserId") or one.get("Group")) for one in permissions or []}


@operation("ec2", "ResetSnapshotAttribute")
def reset_snapshot_attribute(asked: Asked) -> None:
    """Let nobody else make volumes of a snapshot."""
    owned(asked, asked.parameters["SnapshotId"]).shared.clear()


@operation("ec2", "DeleteSnapshot")
def delete_snapshot(asked: Asked) -> None:
    """Delete a snapshot; what was made of it keeps its blocks."""
    snapshot = owned(asked, asked.parameters["SnapshotId"])
    if users := asked.world.images.using(snapshot.id):
        said = f"The snapshot {snapshot.id} is currently in use by {users[0].id}"
        raise Refusal("InvalidSnapshot.InUse", said)
    del asked.world.snapshots.by_id[snapshot.id]


def snapshot_of_volume(
    asked: Asked, volume: Any, source: Snapshot | None, description: str
) -> Snapshot:
    """Make a snapshot of a volume of moto, which holds what the snapshot held that it came from."""
    key = volume.kms_key_id or (source.key if source else None)
    if volume.encrypted and not key:
        key = default_key(asked.account, asked.region)
    snapshot = Snapshot(
        id=new_id("snap"),
        account=asked.account,
        region=asked.region,
        size_gib=int(volume.size),
        started_at=asked.world.clock.now(),
        lineage=volume.id,
        description=description,
        key=key,
        volume=volume.id,
        tags={asked.account: tags_for(asked, "snapshot", only=("image", "snapshot"))},
        full=dict(source.full) if source else {},
        is_sealed=True,
        looks_left=asked.world.snapshots.pending_looks,
    )
    return asked.world.snapshots.add(snapshot)


def _place(asked: Asked) -> tuple[str, str]:
    return asked.account, asked.region


@operation("ec2", "GetEbsEncryptionByDefault")
def get_encryption_by_default(asked: Asked) -> Answer:
    """Tell whether what is new is encrypted without being asked for."""
    is_on = _place(asked) in asked.world.encrypts_by_default
    return {"EbsEncryptionByDefault": is_on, "SseType": "sse-kms" if is_on else "none"}


@operation("ec2", "EnableEbsEncryptionByDefault")
def enable_encryption_by_default(asked: Asked) -> Answer:
    """Encrypt what is new, here and from now on."""
    asked.world.encrypts_by_default.add(_place(asked))
    return {"EbsEncryptionByDefault": True}


@operation("ec2", "DisableEbsEncryptionByDefault")
def disable_encryption_by_default(asked: Asked) -> Answer:
    """Encrypt only what is asked for."""
    asked.world.encrypts_by_default.discard(_place(asked))
    return {"EbsEncryptionByDefault": False}


@operation("ec2", "GetEbsDefaultKmsKeyId")
def get_default_key(asked: Asked) -> Answer:
    """Tell which key is used if none is named."""
    return {"KmsKeyId": default_key(asked.account, asked.region)}
