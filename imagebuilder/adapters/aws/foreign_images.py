"""AwsImages: the disks of AMIs that others made, read block by block without an instance."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.advice import hint_for, reason_of
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.sight import ImageSight
from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading
from imagebuilder.domain.recipe import AmiParent, parent_text
from imagebuilder.domain.spelling import did_you_mean
from imagebuilder.domain.target import Access, TargetUnavailable
from imagebuilder.ports.foreign import FetchedImage
from imagebuilder.ports.targets import TargetRefused

_ACCOUNT = 4
_ARN_PARTS = 6
_UNKNOWN = "unknown"
_LOOK = "ec2:DescribeImages"
_LATER = "Try again later; nothing was recorded."
_AGAIN = "Mend it, then do the same again; nothing was recorded."


class AwsImages:
    """Fetches the disks of AMIs."""

    def __init__(self, calls: Calls, scratch: Callable[[], AbstractContextManager[Path]]) -> None:
        """Read by calls, into a folder of scratch."""
        self._calls = calls
        self._scratch = scratch
        self._sight = ImageSight(calls)
        self._reading = SnapshotReading(calls)

    @contextmanager
    def fetched(self, ami: AmiParent, on_bytes: Callable[[int], None]) -> Iterator[FetchedImage]:
        """Give the raw disk of an AMI's root. Raises: as the port."""
        with self._scratch() as folder:
            file = folder / f"{ami.ami}.raw"
            with _told_of(ami):
                entrance = self._entrance(ami)
                self._reading.read(entrance, self._root_of(ami, entrance), file, on_bytes)
            yield FetchedImage(file=file, source=parent_text(ami))

    def _entrance(self, ami: AmiParent) -> Entrance:
        """Give the way into the account of the role, or of whoever runs us."""
        parts = ami.role.split(":")
        account = parts[_ACCOUNT] if len(parts) == _ARN_PARTS else _UNKNOWN
        access = Access(role=ami.role, external_id=ami.external_id)
        entrance = Entrance(account=account, region=ami.region, access=access)
        if ami.role:
            return entrance
        # A refusal that does not say of which account it speaks helps nobody.
        return replace(
            entrance, account=self._calls.call(entrance, "sts:GetCallerIdentity")["Account"]
        )

    def _root_of(self, ami: AmiParent, entrance: Entrance) -> str:
        """Give the snapshot of an AMI's root volume."""
        shown = self._sight.shown(entrance, ami.ami)
        if shown is None:
            raise TargetRefused(
                parent_text(ami),
                _LOOK,
                f"Account {entrance.account} sees no {ami.ami} in region {ami.region}.",
                f"See the id and the region, or have its owner share it with account "
                f"{entrance.account}; nothing was recorded.",
            )
        for mapping in shown["BlockDeviceMappings"]:
            if mapping.get("DeviceName") == shown.get("RootDeviceName") and "Ebs" in mapping:
                return str(mapping["Ebs"]["SnapshotId"])
        reason = f"{ami.ami} has no snapshot of a root volume ({entrance.key})."
        hint = "Take an AMI whose root is a volume of EBS."
        raise TargetRefused(parent_text(ami), _LOOK, reason, hint)


@contextmanager
def _told_of(ami: AmiParent) -> Iterator[None]:
    """Let what goes wrong within be told as it concerns an AMI that is to be read."""
    try:
        yield
    except CallRefused as refused:
        hint = hint_for(refused, _AGAIN)
        if refused.call.startswith("ebs:"):
            hint += (
                " The owner of an AMI shares its snapshot apart from it; where that is not done, "
                f"copy the AMI into account {refused.entrance.account} first."
            )
        raise TargetRefused(parent_text(ami), refused.call, reason_of(refused), hint) from refused
    except TargetUnavailable as unavailable:
        known = _regions()
        near = did_you_mean(ami.region, known)
        unknown = f"No region {ami.region} is known here. {near}".strip()
        unavailable.hint = _LATER if ami.region in known else unknown
        raise


def _regions() -> list[str]:
    """Give the regions that are known here; AWS may have others by now."""
    from botocore.session import Session  # noqa: PLC0415 - what needs no AWS need not wait

    session = Session()
    partitions = session.get_available_partitions()
    listed = (session.get_available_regions("ec2", each) for each in partitions)
    return sorted(region for regions in listed for region in regions)
