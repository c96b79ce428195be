"""Finishing: what is said of an AMI once it is where it is to be used, and taken back again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.orders import Order
from imagebuilder.adapters.aws.images.pointers import Pointers
from imagebuilder.adapters.aws.images.sight import Shown
from imagebuilder.adapters.aws.waiting import awaited
from imagebuilder.domain.target import AwsPlaces
from imagebuilder.ports.targets import PlacingFailed

PARAMETER = "parameter"
TEMPLATE = "launch-template"
TEMPLATE_VERSION = "launch-template-version"
DEPRECATED_AT = "deprecated-at"
EXPORT = "export"
_FAILED = "Failed"
_EXPORT_SECONDS = 4 * 3600.0


class Finishing:
    """Sets what points to an AMI, and when it is deprecated."""

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._calls = calls
        self._pointers = Pointers(calls)

    def finish(self, order: Order, places: AwsPlaces, shown: Shown) -> Mapping[str, str]:
        """Give what was set, now that it is.

        Raises: PlacingFailed; CallRefused; TargetUnavailable.
        """
        return {**self._deprecated(order, places, shown), **self.point(order, places, shown)}

    def export(self, order: Order, bucket: str, shown: Shown) -> Mapping[str, str]:
        """Give where an AMI is stored as one object of a bucket, now that it is.

        Raises: as `finish`.
        """
        image, call = shown["ImageId"], "ec2:CreateStoreImageTask"
        told = {EXPORT: f"s3://{bucket}/{image}.bin"}
        before = self._export_task(order, bucket, image)
        if before is None or before["StoreTaskState"] == _FAILED:
            try:
                self._calls.call(order.entrance, call, ImageId=image, Bucket=bucket)
            except CallRefused as refused:
                # Tasks are told of for a month; the object, which is named by the AMI, stays.
                if refused.code != "InvalidObject.AlreadyExists":
                    raise
                return told

        def look() -> Mapping[str, str] | None:
            task = self._export_task(order, bucket, image)
            state = "" if task is None else task["StoreTaskState"]
            if task is None or (state == _FAILED and task == before):
                return None  # the one that was just begun is not told of yet
            if state == _FAILED:
                why = task.get("StoreTaskFailureReason", "AWS gave no reason")
                raise PlacingFailed(order.target, call, f"{image} is not in {bucket}: {why}.")
            return told if state == "Completed" else None

        if awaited(self._calls, look, _EXPORT_SECONDS) is None:
            reason = f"{image} was not in {bucket} within {_EXPORT_SECONDS / 3600:.0f} hours."
            raise PlacingFailed(order.target, call, reason)
        return told

    def _export_task(self, order: Order, bucket: str, image: str) -> Mapping[str, Any] | None:
        tasks: Sequence[Mapping[str, Any]] = self._calls.call(
            order.entrance, "ec2:DescribeStoreImageTasks", ImageIds=[image]
        )["StoreImageTaskResults"]
        ours = [task for task in tasks if task["Bucket"] == bucket]
        return max(ours, key=lambda task: task["TaskStartTime"], default=None)

    def point(self, order: Order, places: AwsPlaces, shown: Shown) -> Mapping[str, str]:
        """Give what points to an AMI, now that it does. Raises: as `finish`."""
        traits, image = dict[str, str](), shown["ImageId"]
        if template := places.launch_template:
            if not self._pointers.default_version(order.entrance, template):
                reason = f"There is no launch template {template} in {order.entrance.key}."
                raise PlacingFailed(order.target, "ec2:CreateLaunchTemplateVersion", reason)
            token = order.token_for("launch template")
            number = self._pointers.set_template(order.entrance, template, image, token)
            traits |= {TEMPLATE: template, TEMPLATE_VERSION: number}
        if order.parameter:
            self._pointers.set_parameter(order.entrance, order.parameter, image)
            traits[PARAMETER] = order.parameter
        return traits

    def _deprecated(self, order: Order, places: AwsPlaces, shown: Shown) -> Mapping[str, str]:
        seconds = places.deprecate_after_seconds
        if seconds is None:
            return {}
        made_at = datetime.fromisoformat(shown["CreationDate"])
        # Moments that are past are refused.
        soonest = self._calls.clock.now() + timedelta(minutes=1)
        at = _whole_minute(max(made_at + timedelta(seconds=seconds), soonest))
        told = f"{at:%Y-%m-%dT%H:%M:%S}.000Z"
        if shown.get("DeprecationTime") != told:
            self._calls.call(
                order.entrance,
                "ec2:EnableImageDeprecation",
                ImageId=shown["ImageId"],
                DeprecateAt=at,
            )
        return {DEPRECATED_AT: told}


def _whole_minute(at: datetime) -> datetime:
    """Give the minute that AWS would make of a moment."""
    return (at + timedelta(seconds=59)).replace(second=0, microsecond=0)
