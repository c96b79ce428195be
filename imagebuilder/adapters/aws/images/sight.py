"""ImageSight: AMIs as AWS shows them, also those that it shows a little later."""

from collections.abc import Mapping, Sequence
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.tags import TOKEN, found_by
from imagebuilder.adapters.aws.waiting import awaited
from imagebuilder.ports.targets import PlacingFailed

_GONE = frozenset(("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"))
_LONGEST_SECONDS = 4 * 3600.0
_UNSEEN_SECONDS = 120.0
_USABLE = frozenset(("pending", "available"))

Shown = Mapping[str, Any]
"""An AMI as DescribeImages tells of it."""


class ImageSight:
    """Looks at AMIs."""

    def __init__(self, calls: Calls) -> None:
        """Look by calls."""
        self._calls = calls

    def made_for(self, entrance: Entrance, token: str, name: str) -> Shown | None:
        """Give the AMI that a delivery made by a name: copies that people make have its tags too.

        Raises: CallRefused; TargetUnavailable.
        """
        found = self._own(entrance, [*found_by({TOKEN: token}), *_called(name)])
        usable = [image for image in found if image["State"] in _USABLE]
        return next(iter(usable or found), None)

    def named(self, entrance: Entrance, name: str) -> Shown | None:
        """Give the account's own AMI of a name. Raises: CallRefused; TargetUnavailable."""
        return next(iter(self._own(entrance, _called(name))), None)

    def shown(self, entrance: Entrance, image: str) -> Shown | None:
        """Give an AMI, or None where it is not seen. Raises: CallRefused; TargetUnavailable."""
        try:
            found: Sequence[Shown] = self._calls.call(
                entrance,
                "ec2:DescribeImages",
                ImageIds=[image],
                IncludeDeprecated=True,
                IncludeDisabled=True,
            )["Images"]
        except CallRefused as refused:
            if refused.code in _GONE:
                return None
            raise
        return found[0] if found else None

    def available(self, entrance: Entrance, image: str, call: str) -> Shown:
        """Give an AMI once it is available, as a call is to have made it.

        Raises: PlacingFailed: it is not going to be; CallRefused; TargetUnavailable.
        """
        unseen_until = self._calls.clock.monotonic() + _UNSEEN_SECONDS

        def look() -> Shown | None:
            shown = self.shown(entrance, image)
            if shown is None and self._calls.clock.monotonic() < unseen_until:
                return None
            state = "gone" if shown is None else shown["State"]
            if state == "pending":
                return None
            if shown is None or state != "available":
                why = (shown or {}).get("StateReason", {}).get("Message", "AWS gave no reason")
                reason = f"{image} in {entrance.key} is {state}: {why}."
                raise PlacingFailed(entrance.key, call, reason)
            return shown

        found = awaited(self._calls, look, _LONGEST_SECONDS)
        if found is None:
            reason = f"{image} was not available within {_LONGEST_SECONDS / 3600:.0f} hours."
            raise PlacingFailed(entrance.key, call, reason)
        return found

    def _own(self, entrance: Entrance, filters: Sequence[Mapping[str, Any]]) -> list[Shown]:
        pages = self._calls.pages(
            entrance,
            "ec2:DescribeImages",
            Owners=["self"],
            Filters=filters,
            IncludeDeprecated=True,
            IncludeDisabled=True,
        )
        return [image for page in pages for image in page["Images"]]


def _called(name: str) -> list[Mapping[str, Any]]:
    return [{"Name": "name", "Values": [name]}]


def snapshots_of(shown: Shown) -> list[str]:
    """Give the snapshots of an AMI."""
    volumes = (mapping.get("Ebs", {}) for mapping in shown.get("BlockDeviceMappings", ()))
    return [str(volume["SnapshotId"]) for volume in volumes if volume.get("SnapshotId")]
