"""Launching: moto runs instances, of images that the caller may launch."""

from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot as MotoSnapshot
from moto.ec2.models.instance_types import INSTANCE_TYPES

from tests.aws_double import snapshot_calls
from tests.aws_double.images import Image, found
from tests.aws_double.operations import Asked, PassedOn, operation
from tests.aws_double.parameters import resolved
from tests.aws_double.refusals import Refusal
from tests.aws_double.volume_keys import KeyNotUsable, usable_key


@operation("ec2", "RunInstances")
def run_instances(asked: Asked) -> None:
    """Run instances of an image, with its volumes."""
    template = template_of(asked, asked.get("LaunchTemplate"))
    named = asked.get("ImageId") or template.get("ImageId")
    if not named:
        raise Refusal("MissingParameter", "The request must contain the parameter ImageId")
    image = launchable(asked, resolved(asked, named))
    _check_machine(image, asked.get("InstanceType") or template.get("InstanceType") or "m1.small")
    _mirror(asked, image)
    raise PassedOn(more={"ImageId": image.id, **_volumes(asked, image)})


def template_of(asked: Asked, named: Any) -> dict[str, Any]:
    """Give what a version of a launch template says; nothing if none is named."""
    if not named:
        return {}
    said: dict[str, Any] = asked.moto("ec2")._get_template_from_args(named).data
    return said


def launchable(asked: Asked, image_id: str) -> Image:
    """Give an image that the caller may launch now.

    Raises:
        Refusal: the caller does not see it, may not use its keys, or it is not available
    """
    image = found(asked, image_id)
    if image.state != "available":
        said = f"The image ID '{image_id}' is {image.state}"
        raise Refusal("InvalidAMIID.Unavailable", said)
    for named in image.snapshots:
        snapshot = asked.world.snapshots.by_id[named]
        if snapshot.key:
            try:
                usable_key(asked.caller, snapshot.key, asked.region)
            except KeyNotUsable as reason:
                said = f"Client.InvalidKMSKey.InvalidState: {reason}"
                raise Refusal("InvalidKMSKey.InvalidState", said) from reason
    return image


def _check_machine(image: Image, instance_type: str) -> None:
    known = INSTANCE_TYPES.get(instance_type)
    if known is None:
        raise Refusal("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    supported = known["ProcessorInfo"]["SupportedArchitectures"]
    architecture = image.attributes["Architecture"]
    if architecture not in supported:
        said = (
            f"The architecture '{','.join(supported)}' of the specified instance type does not "
            f"match the architecture '{architecture}' of the specified AMI."
        )
        raise Refusal("InvalidParameterValue", said)


def _mirror(asked: Asked, image: Image) -> None:
    """Let moto know the image, which takes architecture and root device from it."""
    moto = asked.moto("ec2")
    if image.id not in moto.amis:
        moto.amis[image.id] = Ami(
            moto,
            ami_id=image.id,
            name=image.name,
            owner_id=image.account,
            virtualization_type=image.attributes["VirtualizationType"],
            architecture=image.attributes["Architecture"],
            root_device_type="ebs",
            root_device_name=image.attributes["RootDeviceName"],
            region_name=f"{asked.region}a",
        )
    for named in image.snapshots:
        mirror_snapshot(asked, named)


def mirror_snapshot(asked: Asked, named: str) -> None:
    """Let moto know a snapshot, so that it can make volumes of it."""
    moto, snapshot = asked.moto("ec2"), asked.world.snapshots.by_id[named]
    if named not in moto.snapshots:
        volume = moto.create_volume(snapshot.size_gib, f"{asked.region}a")
        moto.delete_volume(volume.id)
        moto.snapshots[named] = MotoSnapshot(
            moto, named, volume, "", encrypted=snapshot.key is not None, kms_key_id=snapshot.key
        )


def _volumes(asked: Asked, image: Image) -> dict[str, str]:
    """Give the parameters by which an instance has the image's volumes, unless said otherwise."""
    given = asked.get("BlockDeviceMappings") or []
    places = {mapping["DeviceName"]: at for at, mapping in enumerate(given, 1)}
    more: dict[str, str] = {}
    free = len(given)
    for mapping in image.mappings:
        volume = mapping.get("Ebs")
        if not volume:
            continue
        at = places.get(mapping["DeviceName"])
        own: dict[str, Any] = {}
        if at is None:
            free += 1
            at = free
            more[f"BlockDeviceMapping.{at}.DeviceName"] = mapping["DeviceName"]
        elif given[at - 1].get("NoDevice") is not None:
            continue
        else:
            own = given[at - 1].get("Ebs", {})
        for name in ("SnapshotId", "VolumeSize", "VolumeType", "DeleteOnTermination"):
            if name in volume and name not in own:
                value = str(volume[name])
                prefix = f"BlockDeviceMapping.{at}.Ebs"
                more[f"{prefix}.{name}"] = value.lower() if value in {"True", "False"} else value
    return more


@operation("ec2", "CreateVolume")
def create_volume(asked: Asked) -> None:
    """Make a volume, perhaps of a snapshot that the caller sees."""
    if named := asked.get("SnapshotId"):
        snapshot = snapshot_calls.found(asked, named)
        if snapshot.state != "completed":
            said = f"Snapshot {named} is in invalid state - {snapshot.state}"
            raise Refusal("IncorrectState", said)
        mirror_snapshot(asked, named)
    raise PassedOn
