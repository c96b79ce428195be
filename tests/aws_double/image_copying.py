"""Copies of images and snapshots, asked for where they are to be."""

from collections.abc import Mapping
from typing import Any

from tests.aws_double import snapshot_calls
from tests.aws_double.images import Image, check_name, found, keep
from tests.aws_double.listing import tag_list, tags_for
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.snapshots import Snapshot
from tests.aws_double.volume_keys import KeyNotUsable, key_for_new, usable_key
from tests.aws_double.world import new_id

_NOT_COPIED = {"SourceInstanceId"}
_NO_KEY = "Given key ID is not accessible"


@operation("ec2", "CopyImage")
def copy_image(asked: Asked) -> Answer:
    """Make an image here of one there, or give the one that was made with this token."""
    token, images = asked.get("ClientToken"), asked.world.images
    place = (asked.account, asked.region, str(token))
    if token and place in images.tokens:
        known, parameters = images.tokens[place]
        if parameters != dict(asked.parameters):
            said = "The client token was used with other parameters."
            raise Refusal("IdempotentParameterMismatch", said)
        return {"ImageId": known}
    source = _source(asked)
    check_name(asked, asked.parameters["Name"])
    tags = dict(source.tags.get(asked.account, {})) if asked.get("CopyImageTags") else {}
    tags |= tags_for(asked, "image", only=("image", "snapshot"))
    of_snapshots = tags_for(asked, "snapshot", only=("image", "snapshot"))
    encryption = {"Encrypted": asked.get("Encrypted"), "KmsKeyId": asked.get("KmsKeyId")}
    mappings, will_fail = [], ""
    image_id = new_id("ami")
    for mapping in source.mappings:
        named = mapping.get("Ebs", {}).get("SnapshotId")
        if not named:
            mappings.append(dict(mapping))
            continue
        original = asked.world.snapshots.by_id[named]
        said = f"Copied for DestinationAmi {image_id} from SourceAmi {source.id}"
        copied = _copied(asked, original, encryption, said, of_snapshots)
        will_fail = will_fail or (_NO_KEY if copied.will_fail else "")
        ebs = {"SnapshotId": copied.id, "Encrypted": copied.key is not None}
        mappings.append({**mapping, "Ebs": mapping["Ebs"] | ebs})
    image = Image(
        id=image_id,
        account=asked.account,
        region=asked.region,
        name=asked.parameters["Name"],
        made_at=asked.world.clock.now(),
        mappings=mappings,
        attributes=_attributes(asked, source),
        tags={asked.account: tags},
        looks_left=images.pending_looks,
        hidden_calls=asked.world.faults.hidden_image_calls,
        will_fail=will_fail,
    )
    keep(asked, image)
    if token:
        images.tokens[place] = (image.id, dict(asked.parameters))
    return {"ImageId": image.id}


def _source(asked: Asked) -> Image:
    if asked.get("DestinationOutpostArn"):
        raise Refusal("UnsupportedOperation", "There are no Outposts here.")
    region = asked.parameters["SourceRegion"]
    if not asked.world.accounts.is_enabled(asked.account, region):
        raise Refusal("InvalidRequest", f"The region {region} is not enabled for this account.")
    source = found(asked, asked.parameters["SourceImageId"], region)
    if source.state != "available":
        said = f"The image ID '{source.id}' is {source.state}"
        raise Refusal("InvalidAMIID.Unavailable", said)
    for named in source.snapshots:
        if not asked.world.snapshots.by_id[named].is_seen_by(asked.account):
            said = "You do not have permission to access the storage of this ami"
            raise Refusal("InvalidRequest", said)
    return source


def _attributes(asked: Asked, source: Image) -> dict[str, Any]:
    """Copies have no launch permissions, deprecation or protection; the rest is as it was."""
    kept = {name: value for name, value in source.attributes.items() if name not in _NOT_COPIED}
    if asked.get("Description") is not None:
        kept["Description"] = asked.get("Description")
    return kept | {"SourceImageId": source.id, "SourceImageRegion": source.region}


def _copied(
    asked: Asked,
    original: Snapshot,
    encryption: Mapping[str, Any],
    description: str,
    tags: Mapping[str, str],
) -> Snapshot:
    pending = [
        snapshot
        for snapshot in asked.world.snapshots.every(asked.region)
        if snapshot.account == asked.account and snapshot.is_copy and snapshot.state == "pending"
    ]
    if len(pending) >= asked.world.quotas.concurrent_copies:
        said = f"Maximum of {len(pending)} concurrent snapshot copies in this Region exceeded."
        raise Refusal("ResourceLimitExceeded", said)
    if original.state != "completed":
        said = f"Snapshot {original.id} is in invalid state - {original.state}"
        raise Refusal("IncorrectState", said)
    key, will_fail = _key(asked, original, encryption)
    copied = Snapshot(
        id=(made := new_id("snap")),
        account=asked.account,
        region=asked.region,
        size_gib=original.size_gib,
        started_at=asked.world.clock.now(),
        lineage=made,
        description=description,
        key=key,
        tags={asked.account: dict(tags)},
        full={} if will_fail else dict(original.full),
        is_sealed=True,
        is_copy=True,
        will_fail=will_fail,
        looks_left=asked.world.snapshots.pending_looks,
    )
    return asked.world.snapshots.add(copied)


def _key(asked: Asked, original: Snapshot, encryption: Mapping[str, Any]) -> tuple[str | None, str]:
    """Give the key of a copy, and why the copy will fail: keys are looked at afterwards."""
    is_encrypted = bool(encryption.get("Encrypted")) or original.key is not None
    if encryption.get("Encrypted") is False and original.key:
        raise Refusal("InvalidParameterValue", "A copy of what is encrypted is encrypted.")
    try:
        key = key_for_new(asked, encrypted=is_encrypted, named=encryption.get("KmsKeyId"))
        if original.key:
            usable_key(asked.caller, original.key, original.region, "Decrypt", "DescribeKey")
    except KeyNotUsable as reason:
        return encryption.get("KmsKeyId") or original.key, f"{_NO_KEY}: {reason}"
    return key, ""


@operation("ec2", "CopySnapshot")
def copy_snapshot(asked: Asked) -> Answer:
    """Make a snapshot here of one there."""
    region, named = asked.parameters["SourceRegion"], asked.parameters["SourceSnapshotId"]
    if (asked.get("DestinationRegion") or asked.region) != asked.region:
        said = "A copy is asked for in the region where it is to be."
        raise Refusal("InvalidParameterValue", said)
    original = asked.world.snapshots.seen(named, asked.account, region)
    if original is None:
        raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{named}' does not exist.")
    encryption = {"Encrypted": asked.get("Encrypted"), "KmsKeyId": asked.get("KmsKeyId")}
    tags = tags_for(asked, "snapshot", only=("snapshot",))
    copied = _copied(asked, original, encryption, asked.get("Description") or "", tags)
    return {"SnapshotId": copied.id, "Tags": tag_list(tags)}


@operation("ec2", "CreateSnapshot")
def create_snapshot(asked: Asked) -> Answer:
    """Make a snapshot of a volume."""
    volume = asked.moto().get_volume(asked.parameters["VolumeId"])
    source = asked.world.snapshots.by_id.get(volume.snapshot_id or "")
    tags_for(asked, "snapshot", only=("snapshot",))
    description = asked.get("Description") or ""
    made = snapshot_calls.snapshot_of_volume(asked, volume, source, description)
    return snapshot_calls.told(asked, made)
