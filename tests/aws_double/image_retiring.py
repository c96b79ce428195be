"""The end of images: deprecated, disabled, protected from deregistration, deregistered."""

from datetime import UTC, datetime, timedelta
from typing import Final

from tests.aws_double.images import Image, owned
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal

_LONGEST: Final = timedelta(days=3653)
_LONGEST_OF_PUBLIC: Final = timedelta(days=731)
_COOL_DOWN: Final = timedelta(hours=24)
_DONE: Final = {"Return": True}


@operation("ec2", "EnableImageDeprecation")
def enable_image_deprecation(asked: Asked) -> Answer:
    """Say from when on an image is deprecated, to the minute."""
    image, now = owned(asked, asked.parameters["ImageId"]), asked.world.clock.now()
    at: datetime = asked.parameters["DeprecateAt"].replace(tzinfo=UTC)
    at = (at + timedelta(seconds=30)).replace(second=0, microsecond=0)
    if at < now - timedelta(minutes=1):
        raise Refusal("InvalidParameterValue", "DeprecateAt cannot be in the past.")
    latest = image.made_at + _LONGEST_OF_PUBLIC if image.is_public else now + _LONGEST
    if at > latest:
        raise Refusal("InvalidParameterValue", f"DeprecateAt cannot be after {latest}.")
    image.deprecated_at = at
    return _DONE


@operation("ec2", "DisableImageDeprecation")
def disable_image_deprecation(asked: Asked) -> Answer:
    """Let an image not be deprecated, now or later."""
    owned(asked, asked.parameters["ImageId"]).deprecated_at = None
    return _DONE


@operation("ec2", "DisableImage")
def disable_image(asked: Asked) -> Answer:
    """Let nobody launch an image, nor see it but its owner."""
    image = owned(asked, asked.parameters["ImageId"], "available", "failed", "disabled")
    image.state = "disabled"
    image.permissions.clear()
    return _DONE


@operation("ec2", "EnableImage")
def enable_image(asked: Asked) -> Answer:
    """Let an image be launched again, by its owner alone."""
    image = owned(asked, asked.parameters["ImageId"], "disabled", "available")
    image.state = "available"
    return _DONE


@operation("ec2", "EnableImageDeregistrationProtection")
def enable_protection(asked: Asked) -> Answer:
    """Let an image not be deregistered."""
    image = owned(asked, asked.parameters["ImageId"])
    cools = "with" if asked.get("WithCooldown") else "without"
    image.protection, image.protected_until = f"enabled-{cools}-cooldown", None
    return {"Return": "true"}


@operation("ec2", "DisableImageDeregistrationProtection")
def disable_protection(asked: Asked) -> Answer:
    """Let an image be deregistered, now or when it has cooled down for a day."""
    image = owned(asked, asked.parameters["ImageId"])
    if image.protection == "enabled-with-cooldown":
        image.protected_until = asked.world.clock.now() + _COOL_DOWN
    else:
        image.protection = "disabled"
    return {"Return": "true"}


def _check_protection(asked: Asked, image: Image) -> None:
    if image.protected_until and image.protected_until <= asked.world.clock.now():
        image.protection, image.protected_until = "disabled", None
    if image.protection != "disabled":
        said = f"The image {image.id} is protected from deregistration ({image.protection})."
        raise Refusal("OperationNotPermitted", said)


@operation("ec2", "DeregisterImage")
def deregister_image(asked: Asked) -> Answer:
    """Let an image be no more; its snapshots stay unless they are to go with it."""
    image = owned(asked, asked.parameters["ImageId"])
    _check_protection(asked, image)
    images, snapshots = asked.world.images, asked.world.snapshots
    del images.by_id[image.id]
    images.deregistered[image.id] = image.account
    results = []
    for named in image.snapshots if asked.get("DeleteAssociatedSnapshots") else []:
        snapshot = snapshots.by_id.get(named)
        if snapshot is None or images.using(named):
            results.append({"SnapshotId": named, "ReturnCode": "skipped"})
        elif snapshot.account != asked.account:
            results.append({"SnapshotId": named, "ReturnCode": "missing-permissions"})
        else:
            del snapshots.by_id[named]
            results.append({"SnapshotId": named, "ReturnCode": "success"})
    return {"Return": True, "DeleteSnapshotResults": results}
