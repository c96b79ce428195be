"""AwsImages: the disks of AMIs that others made, read block by block without an instance."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.advice import told
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.images.sight import ImageSight, Shown
from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading
from imagebuilder.domain.target import Access
from imagebuilder.ports.foreign import AmiReference, FetchedImage
from imagebuilder.ports.targets import TargetRefused

_ACCOUNT = 4
_ARN_PARTS = 6


class AwsImages:
    """Fetches the disks of AMIs."""

    def __init__(self, calls: Calls, scratch: Callable[[], AbstractContextManager[Path]]) -> None:
        """Read by calls, into a folder of scratch."""
        self._calls = calls
        self._scratch = scratch
        self._sight = ImageSight(calls)
        self._reading = SnapshotReading(calls)

    @contextmanager
    def fetched(
        self, reference: AmiReference, on_bytes: Callable[[int], None]
    ) -> Iterator[FetchedImage]:
        """Give the raw disk of an AMI's root. Raises: as the port."""
        access = Access(role=reference.role, external_id=reference.external_id)
        parts = reference.role.split(":")
        account = parts[_ACCOUNT] if len(parts) == _ARN_PARTS else ""
        entrance = Entrance(account=account, region=reference.region, access=access)
        with self._scratch() as folder, told(f"ami:{reference.region}/{reference.image}"):
            snapshot = _root_of(reference, self._sight.shown(entrance, reference.image))
            self._reading.read(entrance, snapshot, folder / "disk.raw", on_bytes)
            source = f"ami:{reference.region}/{reference.image}"
            yield FetchedImage(file=folder / "disk.raw", source=source)


def _root_of(reference: AmiReference, shown: Shown | None) -> str:
    """Give the snapshot of an AMI's root volume."""
    name, call = f"ami:{reference.region}/{reference.image}", "ec2:DescribeImages"
    if shown is None:
        raise TargetRefused(
            name,
            call,
            f"There is no {reference.image} in {reference.region} that the caller sees.",
            "See the id, the region and the account; nothing was recorded.",
        )
    for mapping in shown["BlockDeviceMappings"]:
        if mapping.get("DeviceName") == shown.get("RootDeviceName") and "Ebs" in mapping:
            return str(mapping["Ebs"]["SnapshotId"])
    reason = f"{reference.image} has no snapshot of a root volume."
    raise TargetRefused(name, call, reason, "Take an AMI whose root is a volume of EBS.")
