"""Who may launch an image, as its owner says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.aws_double.images import PUBLIC, Image, Permission, found, owned
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal
from tests.aws_double.volume_keys import is_default_key

_SHAPES: Final = {
    "UserId": re.compile(r"\d{12}"),
    "Group": re.compile(r"all"),
    "OrganizationArn": re.compile(r"arn:aws:organizations::\d{12}:organization/o-[a-z0-9]{10,32}"),
    "OrganizationalUnitArn": re.compile(
        r"arn:aws:organizations::\d{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}"
    ),
}
_LISTS: Final = {
    "UserIds": "UserId",
    "UserGroups": "Group",
    "OrganizationArns": "OrganizationArn",
    "OrganizationalUnitArns": "OrganizationalUnitArn",
}


@operation("ec2", "ModifyImageAttribute")
def modify_image_attribute(asked: Asked) -> None:
    """Change the description, the metadata service, or who may launch the image."""
    image = owned(asked, asked.parameters["ImageId"])
    permission = asked.get("LaunchPermission") or {}
    added, removed = _named(permission.get("Add")), _named(permission.get("Remove"))
    listed = {
        _checked(kind, named)
        for parameter, kind in _LISTS.items()
        for named in asked.get(parameter) or []
    }
    match asked.get("OperationType"):
        case "add":
            added |= listed
        case "remove":
            removed |= listed
    if added | removed:
        _share(asked, image, added, removed)
        return
    for name in ("Description", "ImdsSupport"):
        value = (asked.get(name) or {}).get("Value")
        if value is None and str(asked.get("Attribute")).lower() == name.lower():
            value = asked.get("Value")
        if value is not None:
            _describe(image, name, value)
            return
    raise Refusal("InvalidParameterCombination", "No attributes specified.")


def _describe(image: Image, name: str, value: str) -> None:
    if name == "ImdsSupport" and value != "v2.0":
        raise Refusal("InvalidParameterValue", f"Value ({value}) for imdsSupport is invalid.")
    image.attributes[name] = value


def _named(permissions: Sequence[Mapping[str, str]] | None) -> set[Permission]:
    return {
        _checked(kind, named)
        for permission in permissions or []
        for kind, named in permission.items()
    }


def _checked(kind: Any, named: str) -> Permission:
    if not _SHAPES[kind].fullmatch(named):
        said = f'Invalid attribute item value "{named}" for {kind} item type.'
        raise Refusal("InvalidAMIAttributeItemValue", said)
    return kind, named


def _share(asked: Asked, image: Image, added: set[Permission], removed: set[Permission]) -> None:
    if added:
        owned(asked, image.id, "available")
        keys = _keys(asked, image)
        if any(is_default_key(key) for key in keys):
            said = f"{image.id} is encrypted with the default key of EBS and cannot be shared"
            raise Refusal("InvalidParameter", said)
        if PUBLIC in added and keys:
            raise Refusal("InvalidParameter", f"{image.id} is encrypted and cannot be public")
        if PUBLIC in added and (asked.account, asked.region) in asked.world.images.blocks_public:
            said = (
                "You can't publicly share this image because block public access for AMIs is "
                "enabled for this account."
            )
            raise Refusal("OperationNotPermitted", said)
    image.permissions = (image.permissions | added) - removed


def _keys(asked: Asked, image: Image) -> list[str]:
    snapshots = (asked.world.snapshots.by_id.get(named) for named in image.snapshots)
    return [snapshot.key for snapshot in snapshots if snapshot and snapshot.key]


@operation("ec2", "ResetImageAttribute")
def reset_image_attribute(asked: Asked) -> None:
    """Let nobody else launch the image."""
    owned(asked, asked.parameters["ImageId"]).permissions.clear()


@operation("ec2", "CancelImageLaunchPermission")
def cancel_image_launch_permission(asked: Asked) -> Answer:
    """Let the caller itself no longer be one of those who may launch an image."""
    image = found(asked, asked.parameters["ImageId"])
    mine: Permission = ("UserId", asked.account)
    if mine not in image.permissions:
        said = "The image is not shared with this account by its id."
        raise Refusal("InvalidParameterValue", said)
    image.permissions.remove(mine)
    return {"Return": True}


@operation("ec2", "GetImageBlockPublicAccessState")
def get_block_public_access(asked: Asked) -> Answer:
    """Tell whether images can be made public."""
    is_on = (asked.account, asked.region) in asked.world.images.blocks_public
    return {"ImageBlockPublicAccessState": "block-new-sharing" if is_on else "unblocked"}


@operation("ec2", "EnableImageBlockPublicAccess")
def enable_block_public_access(asked: Asked) -> Answer:
    """Let no image be made public any more."""
    asked.world.images.blocks_public.add((asked.account, asked.region))
    return {"ImageBlockPublicAccessState": "block-new-sharing"}


@operation("ec2", "DisableImageBlockPublicAccess")
def disable_block_public_access(asked: Asked) -> Answer:
    """Let images be made public again."""
    asked.world.images.blocks_public.discard((asked.account, asked.region))
    return {"ImageBlockPublicAccessState": "unblocked"}
