"""Images as they are told of, to their owners and to whom they are shared with."""

from collections.abc import Mapping
from typing import Any, Final

from tests.aws_double.images import Image, found, look, owned
from tests.aws_double.listing import Values, filtered, paged, tag_list
from tests.aws_double.operations import Answer, Asked, operation

_MOMENT: Final = "%Y-%m-%dT%H:%M:%S.000Z"

_OF_ATTRIBUTES: Final = {
    "architecture": "Architecture",
    "boot-mode": "BootMode",
    "description": "Description",
    "ena-support": "EnaSupport",
    "imds-support": "ImdsSupport",
    "platform": "Platform",
    "root-device-name": "RootDeviceName",
    "source-image-id": "SourceImageId",
    "source-image-region": "SourceImageRegion",
    "source-instance-id": "SourceInstanceId",
    "sriov-net-support": "SriovNetSupport",
    "tpm-support": "TpmSupport",
    "virtualization-type": "VirtualizationType",
}


def _attribute(name: str) -> Values:
    def values(image: Image) -> list[str]:
        value = image.attributes.get(name)
        if isinstance(value, bool):
            return ["true" if value else "false"]
        return [] if value is None else [str(value)]

    return values


_FILTERS: Final[Mapping[str, Values]] = {
    "image-id": lambda it: [it.id],
    "name": lambda it: [it.name],
    "owner-id": lambda it: [it.account],
    "owner-alias": lambda it: [],
    "state": lambda it: [it.state],
    "is-public": lambda it: ["true" if it.is_public else "false"],
    "image-type": lambda it: ["machine"],
    "hypervisor": lambda it: ["xen"],
    "root-device-type": lambda it: ["ebs"],
    "creation-date": lambda it: [it.made_at.strftime(_MOMENT)],
    "block-device-mapping.snapshot-id": lambda it: it.snapshots,
    "block-device-mapping.device-name": lambda it: [one["DeviceName"] for one in it.mappings],
    **{name: _attribute(attribute) for name, attribute in _OF_ATTRIBUTES.items()},
}


@operation("ec2", "DescribeImages")
def describe_images(asked: Asked) -> Answer:
    """List images that the caller may launch; what is hidden by default is not listed."""
    ids = asked.get("ImageIds")
    if ids:
        listed = [found(asked, image_id) for image_id in ids]
    else:
        listed = [it for it in asked.world.images.seen(asked.account, asked.region) if _shows(it)]
        listed = [it for it in listed if asked.get("IncludeDeprecated") or not _is_old(asked, it)]
    if not asked.get("IncludeDisabled"):
        listed = [image for image in listed if image.state != "disabled"]
    if owners := asked.get("Owners"):
        wanted = {asked.account if owner == "self" else owner for owner in owners}
        listed = [image for image in listed if image.account in wanted]
    if users := asked.get("ExecutableUsers"):
        listed = [it for it in listed if any(_is_executable(asked, it, user) for user in users)]
    for image in listed:
        look(asked, image)
    listed = filtered(asked, listed, _FILTERS, lambda it: it.tags.get(asked.account, {}))
    return paged(asked, "Images", [told(asked, image) for image in listed])


def _shows(image: Image) -> bool:
    """Count down what is not to be found yet."""
    if image.hidden_calls > 0:
        image.hidden_calls -= 1
        return False
    return True


def _is_old(asked: Asked, image: Image) -> bool:
    """Tell whether it is deprecated to the caller; owners see all of theirs."""
    at = image.deprecated_at
    return image.account != asked.account and at is not None and at <= asked.world.clock.now()


def _is_executable(asked: Asked, image: Image, user: str) -> bool:
    if user == "all":
        return image.is_public
    if user in {"self", asked.account}:
        return image.may_be_launched_by(asked.account, is_explicit=True)
    return ("UserId", user) in image.permissions


def told(asked: Asked, image: Image) -> dict[str, Any]:
    """Give what is told of an image; some of it to its owner alone."""
    is_owner = image.account == asked.account
    said = {
        **{name: value for name, value in image.attributes.items() if name != "UefiData"},
        "ImageId": image.id,
        "ImageLocation": f"{image.account}/{image.name}",
        "ImageType": "machine",
        "OwnerId": image.account,
        "Name": image.name,
        "State": image.state,
        "Public": image.is_public,
        "Hypervisor": "xen",
        "RootDeviceType": "ebs",
        "CreationDate": image.made_at.strftime(_MOMENT),
        "BlockDeviceMappings": image.mappings,
        "Tags": tag_list(image.tags.get(asked.account, {})),
        "DeregistrationProtection": image.protection if is_owner else None,
    }
    if image.reason:
        said["StateReason"] = {"Code": "Client.InternalError", "Message": image.reason}
    if image.deprecated_at:
        said["DeprecationTime"] = image.deprecated_at.strftime(_MOMENT)
    return {name: value for name, value in said.items() if value is not None}


@operation("ec2", "DescribeImageAttribute")
def describe_image_attribute(asked: Asked) -> Answer:
    """Tell one thing of an image, to its owner."""
    image = owned(asked, asked.parameters["ImageId"])
    said: dict[str, Any] = {"ImageId": image.id}
    match asked.parameters["Attribute"]:
        case "launchPermission":
            said["LaunchPermissions"] = [{kind: named} for kind, named in sorted(image.permissions)]
        case "description":
            said["Description"] = {"Value": image.attributes.get("Description", "")}
        case "blockDeviceMapping":
            said["BlockDeviceMappings"] = image.mappings
        case "productCodes":
            said["ProductCodes"] = []
        case "bootMode" | "tpmSupport" | "imdsSupport" | "uefiData" | "sriovNetSupport" as named:
            name = named[0].upper() + named[1:]
            said[name] = {"Value": image.attributes.get(name)}
        case "deregistrationProtection":
            said["DeregistrationProtection"] = {"Value": image.protection}
        case other:
            said |= {other: {}}
    return said
