"""Some accounts of a double, and what stands in them."""

from dataclasses import dataclass
from typing import Any

from tests.aws_double import Double
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.blocks import a_block, a_snapshot

OTHER = "222222222222"
FAR = "us-west-2"


@dataclass(slots=True, kw_only=True)
class Cloud:
    """A double, as the tests of images use it."""

    double: Double

    def ec2(self, account: str = HOME, region: str = REGION) -> Any:
        """Give a client of EC2."""
        return self.double.client("ec2", account, region)

    def snapshot(self, content: bytes = b"disk", **more: Any) -> str:
        """Give a completed snapshot at home."""
        ebs = self.double.client("ebs")
        return a_snapshot(ebs, self.ec2(), {0: a_block(content)}, **more)

    def registered(self, name: str = "golden-1", **more: Any) -> str:
        """Give an image at home that was just registered."""
        said: dict[str, Any] = {
            "Name": name,
            "Architecture": "x86_64",
            "RootDeviceName": "/dev/xvda",
            "VirtualizationType": "hvm",
        }
        if "BlockDeviceMappings" not in more:
            said["BlockDeviceMappings"] = mapped(self.snapshot())
        return str(self.ec2().register_image(**(said | more))["ImageId"])

    def image(self, name: str = "golden-1", **more: Any) -> str:
        """Give an image at home that is available."""
        image = self.registered(name, **more)
        settle(self.ec2(), image)
        return image

    def share(self, image: str, account: str = OTHER) -> None:
        """Let another account launch an image at home."""
        add = {"Add": [{"UserId": account}]}
        self.ec2().modify_image_attribute(ImageId=image, LaunchPermission=add)

    def share_storage(self, image: str, account: str = OTHER) -> None:
        """Let another account copy an image at home."""
        ec2 = self.ec2()
        (found,) = ec2.describe_images(ImageIds=[image])["Images"]
        for mapping in found["BlockDeviceMappings"]:
            ec2.modify_snapshot_attribute(
                SnapshotId=mapping["Ebs"]["SnapshotId"],
                CreateVolumePermission={"Add": [{"UserId": account}]},
            )


def mapped(snapshot: str, **more: Any) -> list[dict[str, Any]]:
    """Give the mapping of a root device."""
    return [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, **more}}]


def settle(ec2: Any, image: str) -> dict[str, Any]:
    """Look at an image until it is no longer pending; give what is told of it."""
    for _ in range(5):
        (seen,) = ec2.describe_images(ImageIds=[image], IncludeDisabled=True)["Images"]
        if seen["State"] != "pending":
            return dict(seen)
    raise AssertionError(seen)
