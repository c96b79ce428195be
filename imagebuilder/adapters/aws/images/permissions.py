"""Permissions: who may launch an AMI of ours, and make volumes of its snapshots."""

from collections.abc import Mapping
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls, Patience
from imagebuilder.adapters.aws.images.sight import Shown, snapshots_of

_UNSEEN_SECONDS = 120.0
_GONE = frozenset(("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"))


class Permissions:
    """Gives and takes leave.

    Who is an account by its number, a unit or an organization by its ARN.
    """

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._calls = calls

    def granted(self, entrance: Entrance, image: str) -> frozenset[str]:
        """Give who may launch an AMI. Raises: CallRefused; TargetUnavailable."""
        answer = self._calls.call(
            entrance, "ec2:DescribeImageAttribute", ImageId=image, Attribute="launchPermission"
        )
        return frozenset(
            str(who) for entry in answer["LaunchPermissions"] for who in entry.values()
        )

    def grant(self, entrance: Entrance, shown: Shown, *who: str) -> None:
        """Let some launch an AMI; accounts may copy it too.

        Raises: CallRefused; TargetUnavailable.
        """
        # First that of the AMI, which is looked up when leave is taken: whatever is cut off
        # between the two, nobody keeps the snapshots of what was withdrawn.
        change = {"Add": [{kind_of(one): one} for one in who]}
        self._change_image(entrance, shown["ImageId"], change)
        accounts = [{"UserId": one} for one in who if is_account(one)]
        if accounts:
            for snapshot in snapshots_of(shown):
                self._change_snapshot(entrance, snapshot, {"Add": accounts})

    def revoke(self, entrance: Entrance, shown: Shown, who: str) -> None:
        """Let somebody no longer launch an AMI nor copy it. Raises: as `grant`."""
        try:
            if is_account(who):
                for snapshot in snapshots_of(shown):
                    self._change_snapshot(entrance, snapshot, {"Remove": [{"UserId": who}]})
            if who in self.granted(entrance, shown["ImageId"]):
                change = {"Remove": [{kind_of(who): who}]}
                self._change_image(entrance, shown["ImageId"], change)
        except CallRefused as refused:
            if refused.code not in _GONE:
                raise

    def _change_image(self, entrance: Entrance, image: str, change: Mapping[str, Any]) -> None:
        until = self._calls.clock.monotonic() + _UNSEEN_SECONDS
        self._calls.call(
            entrance,
            "ec2:ModifyImageAttribute",
            Patience(until={"InvalidAMIID.NotFound": until}),
            ImageId=image,
            LaunchPermission=change,
        )

    def _change_snapshot(
        self, entrance: Entrance, snapshot: str, change: Mapping[str, Any]
    ) -> None:
        self._calls.call(
            entrance,
            "ec2:ModifySnapshotAttribute",
            SnapshotId=snapshot,
            CreateVolumePermission=change,
        )


def is_account(who: str) -> bool:
    """Tell whether it is an account's number."""
    return who.isdecimal()


def kind_of(who: str) -> str:
    """Give what AWS calls somebody of this kind."""
    if is_account(who):
        return "UserId"
    if who == "all":
        return "Group"
    return "OrganizationalUnitArn" if ":ou/" in who else "OrganizationArn"
