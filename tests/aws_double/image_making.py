"""Images made: registered from snapshots, or created from instances."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.aws_double import snapshot_calls
from tests.aws_double.images import Image, check_name, keep
from tests.aws_double.listing import tags_for
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.snapshots import Snapshot
from tests.aws_double.world import new_id

_KEPT: Final = (
    "Description", "Architecture", "RootDeviceName", "VirtualizationType", "SriovNetSupport",
    "EnaSupport", "BootMode", "TpmSupport", "ImdsSupport", "KernelId", "RamdiskId", "UefiData",
)  # fmt: skip
_UNIX: Final = {"PlatformDetails": "Linux/UNIX", "UsageOperation": "RunInstances"}


def _contradiction(said: str) -> Refusal:
    return Refusal("InvalidParameterCombination", said)


@operation("ec2", "RegisterImage")
def register_image(asked: Asked) -> Answer:
    """Make an image of snapshots, and keep all that is said of it."""
    check_name(asked, asked.parameters["Name"])
    attributes = {name: asked.get(name) for name in _KEPT if asked.get(name) is not None}
    attributes.setdefault("Architecture", "i386")
    attributes.setdefault("VirtualizationType", "paravirtual")
    _check_machine(attributes)
    mappings = _mappings(asked, asked.get("RootDeviceName"))
    tags = tags_for(asked, "image", only=("image",))
    image = Image(
        id=new_id("ami"),
        account=asked.account,
        region=asked.region,
        name=asked.parameters["Name"],
        made_at=asked.world.clock.now(),
        mappings=mappings,
        attributes=attributes | _UNIX,
        tags={asked.account: tags},
        looks_left=asked.world.images.pending_looks,
        hidden_calls=asked.world.faults.hidden_image_calls,
    )
    keep(asked, image)
    return {"ImageId": image.id}


def _check_machine(attributes: Mapping[str, Any]) -> None:
    boot, kind = attributes.get("BootMode"), attributes["VirtualizationType"]
    if kind not in {"hvm", "paravirtual"}:
        raise Refusal("InvalidParameterValue", f"Invalid virtualization type: {kind}")
    if kind != "hvm" and (boot or attributes.get("EnaSupport")):
        raise _contradiction("BootMode and EnaSupport need the virtualization type hvm.")
    if attributes.get("TpmSupport") and boot != "uefi":
        raise _contradiction("TpmSupport v2.0 needs the boot mode uefi.")
    if attributes["Architecture"] == "arm64" and (kind != "hvm" or boot not in {None, "uefi"}):
        raise _contradiction("The architecture arm64 boots by uefi, on hvm.")
    if attributes.get("UefiData") and boot not in {"uefi", "uefi-preferred"}:
        raise _contradiction("UefiData needs a boot mode with uefi.")


def _mappings(asked: Asked, root: str | None) -> list[dict[str, Any]]:
    given: Sequence[Mapping[str, Any]] = asked.get("BlockDeviceMappings") or []
    devices = [mapping.get("DeviceName") for mapping in given]
    if not root or root not in devices or not _of(given, root).get("SnapshotId"):
        said = "No root snapshot specified in device mapping."
        raise Refusal("InvalidBlockDeviceMapping", said)
    if len(set(devices)) != len(devices):
        raise Refusal("InvalidBlockDeviceMapping", "A device is mapped twice.")
    return [_mapping(asked, mapping) for mapping in given]


def _of(mappings: Sequence[Mapping[str, Any]], device: str) -> Mapping[str, Any]:
    found = (one.get("Ebs", {}) for one in mappings if one.get("DeviceName") == device)
    return next(found, {})


def _mapping(asked: Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    volume = dict(given.get("Ebs", {}))
    if not volume:
        return dict(given)
    if named := volume.get("SnapshotId"):
        if "Encrypted" in volume or "KmsKeyId" in volume:
            raise _contradiction("The encryption of a volume is that of its snapshot.")
        snapshot = snapshot_calls.found(asked, named)
        _check_completed(snapshot)
        volume.setdefault("VolumeSize", snapshot.size_gib)
        if int(volume["VolumeSize"]) < snapshot.size_gib:
            said = f"Volume of size {volume['VolumeSize']}GB is smaller than snapshot '{named}'"
            raise Refusal("InvalidBlockDeviceMapping", f"{said}, expect >= {snapshot.size_gib}GB")
        volume["Encrypted"] = snapshot.key is not None
    elif "VolumeSize" not in volume:
        raise Refusal("MissingParameter", "A volume needs a snapshot or a size.")
    volume.setdefault("VolumeType", "standard")
    volume.setdefault("DeleteOnTermination", True)
    return {**given, "Ebs": volume}


def _check_completed(snapshot: Snapshot) -> None:
    if snapshot.state != "completed":
        said = f"Snapshot {snapshot.id} is in invalid state - {snapshot.state}"
        raise Refusal("IncorrectState", said)


@operation("ec2", "CreateImage")
def create_image(asked: Asked) -> Answer:
    """Make an image of an instance: its volumes become snapshots."""
    check_name(asked, asked.parameters["Name"])
    instance = asked.moto().get_instance(asked.parameters["InstanceId"])
    tags = tags_for(asked, "image", only=("image", "snapshot"))
    launched_from = asked.world.images.by_id.get(instance.image_id)
    image = Image(
        id=new_id("ami"),
        account=asked.account,
        region=asked.region,
        name=asked.parameters["Name"],
        made_at=asked.world.clock.now(),
        mappings=_snapped(asked, instance, launched_from),
        attributes={
            **_UNIX,
            "Architecture": instance.architecture,
            "VirtualizationType": "hvm",
            "RootDeviceName": instance.root_device_name,
            **(launched_from.attributes if launched_from else {}),
            "Description": asked.get("Description") or "",
            "SourceInstanceId": instance.id,
        },
        tags={asked.account: tags},
        looks_left=asked.world.images.pending_looks,
        hidden_calls=asked.world.faults.hidden_image_calls,
    )
    keep(asked, image)
    return {"ImageId": image.id}


def _snapped(asked: Asked, instance: Any, origin: Image | None) -> list[dict[str, Any]]:
    other = {one["DeviceName"]: one for one in asked.get("BlockDeviceMappings") or []}
    made = []
    for device, attached in instance.block_device_mapping.items():
        override = other.pop(device, {})
        if override.get("NoDevice") is not None:
            continue
        volume = asked.moto().get_volume(attached.volume_id)
        from_image = _of(origin.mappings, device) if origin else {}
        source = asked.world.snapshots.by_id.get(from_image.get("SnapshotId", ""))
        snapshot = snapshot_calls.snapshot_of_volume(
            asked, volume, source, f"Created by CreateImage({instance.id})"
        )
        ebs = {
            "SnapshotId": snapshot.id,
            "VolumeSize": snapshot.size_gib,
            "VolumeType": "gp2",
            "DeleteOnTermination": True,
            "Encrypted": snapshot.key is not None,
            **override.get("Ebs", {}),
        }
        made.append({"DeviceName": device, "Ebs": ebs})
    return made + [dict(mapping) for mapping in other.values() if "NoDevice" not in mapping]
