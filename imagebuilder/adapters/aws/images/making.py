"""ImageMaking: AMIs are registered of snapshots and copied, once for each order.

Neither call knows a token that holds for long, so what is there is looked for first: by the tag
that our token is in, which both calls set with the AMI itself.
"""

from collections.abc import Mapping
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls, Patience
from imagebuilder.adapters.aws.clients import Boto
from imagebuilder.adapters.aws.images.firmware import boot_mode
from imagebuilder.adapters.aws.images.orders import Order
from imagebuilder.adapters.aws.images.sight import ImageSight, Shown, snapshots_of
from imagebuilder.adapters.aws.tags import DISK, VERSION_ID, found_by, tag_list, tagged, tags_of
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.targets import PlacingFailed, TargetRefused

_ROOT_DEVICE = "/dev/xvda"
_TAKEN = "InvalidAMIName.Duplicate"
_UNSEEN_SECONDS = 120.0
_QUEUE_SECONDS = 2 * 3600.0
_MOST_ATTEMPTS = 8
_GONE = frozenset(("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"))


class ImageMaking:
    """Makes AMIs."""

    def __init__(self, calls: Calls) -> None:
        """Make them by calls."""
        self._calls = calls
        self._sight = ImageSight(calls)

    def there(self, order: Order) -> str:
        """Give the AMI of an order if it is there or on its way; one that failed is cleared away.

        One of the version that was withdrawn before becomes that of the order.
        Raises: PlacingFailed: somebody disabled it; TargetRefused: its name is somebody else's.
        """
        shown = self._sight.made_for(order.entrance, order.token, order.name)
        if shown is None:
            return self._brought_back(order)
        image: str = shown["ImageId"]
        if shown["State"] == "disabled":
            hint = f"Enable {image} again, or begin another distribution."
            raise PlacingFailed(order.target, "ec2:DescribeImages", f"{image} is disabled.", hint)
        if shown["State"] not in {"pending", "available"}:
            self.remove(order.entrance, shown)
            return ""
        return image

    def registered(self, order: Order, snapshot: str, firmware: frozenset[Firmware]) -> Shown:
        """Give the AMI of a snapshot, available and as it was ordered.

        Raises: TargetRefused; PlacingFailed; CallRefused; TargetUnavailable.
        """
        asked: dict[str, Any] = {
            "Architecture": "x86_64",
            "RootDeviceName": _ROOT_DEVICE,
            "VirtualizationType": "hvm",
            "EnaSupport": True,
            "SriovNetSupport": "simple",
            "BootMode": boot_mode(firmware),
            "ImdsSupport": "v2.0",
        }
        if asked["BootMode"] == "uefi":
            asked["TpmSupport"] = "v2.0"
        try:
            image = self._calls.call(
                order.entrance,
                "ec2:RegisterImage",
                Name=order.name,
                Description=order.description,
                BlockDeviceMappings=[_root_volume(snapshot)],
                TagSpecifications=tagged(("image",), order.tags),
                **asked,
            )["ImageId"]
        except CallRefused as refused:
            # The first answer may have been lost, then it is ours that has the name.
            image = self.there(order) if refused.code == _TAKEN else ""
            if not image:
                raise
        shown = self.settled(order, image, "ec2:RegisterImage", asked)
        if snapshots_of(shown) != [snapshot]:
            reason = f"{image} has {', '.join(snapshots_of(shown))}, not {snapshot}."
            raise PlacingFailed(order.target, "ec2:RegisterImage", reason)
        return shown

    def copied(self, order: Order, image: str, region: str) -> Shown:
        """Give the copy of an AMI of another place, available and as it was ordered.

        Raises: TargetRefused; PlacingFailed; CallRefused; TargetUnavailable.
        """
        for attempt in range(_MOST_ATTEMPTS):
            # A token that comes again with another name or key is refused.
            token = order.token_for(f"copy {order.name} {order.key} {attempt}")
            copy = self._copy(order, image, region, token)
            if not self._is_cleared_away(order.entrance, copy):
                break
        try:
            return self.settled(order, copy, "ec2:CopyImage")
        except PlacingFailed:
            failed = self._sight.shown(order.entrance, copy)
            if failed is not None and failed["State"] == "failed":
                self.remove(order.entrance, failed)
            raise

    def taken(self, order: Order, image: str) -> Shown:
        """Give an AMI that Packer made of the version, now with the tags that are ordered.

        Its name stays. Raises: PlacingFailed; CallRefused; TargetUnavailable.
        """
        return self._tagged(order, image, "ec2:CreateTags")

    def settled(
        self, order: Order, image: str, call: str, asked: Mapping[str, Boto] | None = None
    ) -> Shown:
        """Give an AMI that a call made for an order, available and as it was ordered.

        Whoever ordered it is told of it first, for it may take hours, or never be.
        Raises: PlacingFailed; CallRefused; TargetUnavailable; as `made` of the order.
        """
        shown = self._tagged(order, image, call)
        _check(order, shown, asked or {})
        return shown

    def _tagged(self, order: Order, image: str, call: str) -> Shown:
        order.made(image)
        shown = self._sight.available(order.entrance, image, call)
        if order.tags.items() <= tags_of(shown).items():
            return shown
        # It is not ours yet, the document says others now, or somebody changed them.
        self._tag(order, shown)
        return self._sight.available(order.entrance, image, call)

    def _copy(self, order: Order, image: str, region: str, token: str) -> str:
        now = self._calls.clock.monotonic()
        asked: dict[str, Any] = {"Encrypted": True, "KmsKeyId": order.key} if order.key else {}
        answer = self._calls.call(
            order.entrance,
            "ec2:CopyImage",
            # An AMI that was just shared may not be seen yet; copies of a region queue up, while a
            # quota of AMIs has the same code and does not pass by itself.
            Patience(
                until={
                    "InvalidAMIID.NotFound": now + _UNSEEN_SECONDS,
                    "ResourceLimitExceeded copies": now + _QUEUE_SECONDS,
                },
            ),
            Name=order.name,
            Description=order.description,
            SourceImageId=image,
            SourceRegion=region,
            ClientToken=token,
            TagSpecifications=tagged(("image", "snapshot"), order.tags),
            **asked,
        )
        return str(answer["ImageId"])

    def _is_cleared_away(self, entrance: Entrance, image: str) -> bool:
        """Tell whether a token leads to what failed at an earlier try and is no more."""
        try:
            self._calls.call(entrance, "ec2:DescribeImages", ImageIds=[image])
        except CallRefused as refused:
            if refused.code == "InvalidAMIID.Unavailable":
                return True
            if refused.code != "InvalidAMIID.NotFound":
                raise
        return False

    def _brought_back(self, order: Order) -> str:
        """Give the AMI of the order's name and version that was withdrawn, or nothing.

        Raises: TargetRefused: the name is another AMI's; CallRefused; TargetUnavailable.
        """
        named = self._sight.named(order.entrance, order.name)
        if named is None:
            return ""
        tags, image = tags_of(named), str(named["ImageId"])
        is_of_it = all(tags.get(name) == order.tags[name] for name in (VERSION_ID, DISK))
        if not is_of_it or named["State"] != "disabled":
            raise name_taken(order.target, order.entrance, named)
        self._calls.call(order.entrance, "ec2:EnableImage", ImageId=image)
        self._tag(order, named)
        return image

    def _tag(self, order: Order, shown: Shown) -> None:
        resources = [shown["ImageId"], *snapshots_of(shown)]
        self._calls.call(
            order.entrance, "ec2:CreateTags", Resources=resources, Tags=tag_list(order.tags)
        )

    def remove(self, entrance: Entrance, shown: Shown) -> None:
        """Let an AMI and its snapshots be no more; what is gone already stays so.

        Raises: CallRefused; TargetUnavailable.
        """
        try:
            self._calls.call(entrance, "ec2:DeregisterImage", ImageId=shown["ImageId"])
        except CallRefused as refused:
            if refused.code not in _GONE:
                raise
        for snapshot in snapshots_of(shown):
            self._delete(entrance, snapshot)

    def remove_snapshot(self, entrance: Entrance, snapshot: str, tags: Mapping[str, str]) -> None:
        """Let a snapshot be no more, if it is there and has tags. Raises: as `remove`."""
        try:
            found = self._calls.call(
                entrance,
                "ec2:DescribeSnapshots",
                OwnerIds=["self"],
                SnapshotIds=[snapshot],
                Filters=found_by(tags),
            )["Snapshots"]
        except CallRefused as refused:
            if refused.code != "InvalidSnapshot.NotFound":
                raise
            return
        if found:
            self._delete(entrance, snapshot)

    def _delete(self, entrance: Entrance, snapshot: str) -> None:
        try:
            self._calls.call(entrance, "ec2:DeleteSnapshot", SnapshotId=snapshot)
        except CallRefused as refused:
            # What another AMI stands on is no longer ours alone.
            if refused.code not in {"InvalidSnapshot.NotFound", "InvalidSnapshot.InUse"}:
                raise


def name_taken(target: str, entrance: Entrance, named: Shown) -> TargetRefused:
    """Give the error that an AMI which is not this delivery's has the name that was asked for."""
    return TargetRefused(
        target,
        "ec2:RegisterImage",
        f"{named['ImageId']} in {entrance.key} has the name {named['Name']} already, "
        f"and was not made by this distribution.",
        "Give another ami_name, or rename or deregister that AMI.",
    )


def _root_volume(snapshot: str) -> Mapping[str, Any]:
    volume = {"SnapshotId": snapshot, "VolumeType": "gp3", "DeleteOnTermination": True}
    return {"DeviceName": _ROOT_DEVICE, "Ebs": volume}


def _check(order: Order, shown: Shown, asked: Mapping[str, Any]) -> None:
    """Hold what AWS shows to what was ordered."""
    tags = tags_of(shown)
    wrong = [
        f"{what} is {found!r} instead of {wanted!r}"
        for what, wanted, found in (
            ("Name", order.name, shown.get("Name")),
            *((name, value, shown.get(name)) for name, value in asked.items()),
            *((f"tag {name}", value, tags.get(name)) for name, value in order.tags.items()),
        )
        if wanted != found
    ]
    if wrong:
        reason = f"{shown['ImageId']} is not as it was ordered: {'; '.join(wrong)}."
        raise PlacingFailed(order.target, "ec2:DescribeImages", reason)
