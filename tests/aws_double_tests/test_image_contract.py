"""What the double and a real account both keep: of images registered, found and ended."""

import uuid
from typing import Any

import pytest

from tests.aws_double_tests.blocks import a_snapshot
from tests.aws_double_tests.clouds import mapped
from tests.aws_double_tests.places import Place
from tests.aws_double_tests.refused import refused

NO_IMAGE = "ami-00000000000000000"


@pytest.fixture
def said(place: Place) -> dict[str, Any]:
    """Say all that an image needs, with a name of its own."""
    return {
        "Name": f"imagebuilder-test-{uuid.uuid4()}",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/xvda",
        "VirtualizationType": "hvm",
        "BlockDeviceMappings": mapped(a_snapshot(place.ebs, place.ec2)),
    }


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Name": "a?b"}, "InvalidAMIName.Malformed"),
        ({"TpmSupport": "v2.0"}, "InvalidParameterCombination"),
        ({"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
    ],
)
def test_an_image_that_is_said_wrongly_is_refused(
    place: Place, said: dict[str, Any], more: dict[str, Any], code: str
) -> None:
    with refused(code):
        place.ec2.register_image(**(said | more))


def test_a_name_is_taken_once(place: Place, said: dict[str, Any]) -> None:
    place.ec2.register_image(**said)
    with refused("InvalidAMIName.Duplicate"):
        place.ec2.register_image(**said)


def test_what_an_image_is_registered_with_is_told_again(place: Place, said: dict[str, Any]) -> None:
    more = {"BootMode": "uefi", "TpmSupport": "v2.0", "ImdsSupport": "v2.0", "EnaSupport": True}
    image = place.ec2.register_image(**said, **more)["ImageId"]
    (told,) = place.ec2.describe_images(ImageIds=[image])["Images"]
    assert {name: told[name] for name in more} == more


def test_a_snapshot_of_an_image_is_not_deleted(place: Place, said: dict[str, Any]) -> None:
    image = place.ec2.register_image(**said)["ImageId"]
    with refused("InvalidSnapshot.InUse", says=image):
        place.ec2.delete_snapshot(SnapshotId=said["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


@pytest.mark.parametrize(
    ("image", "code"),
    [(NO_IMAGE, "InvalidAMIID.NotFound"), ("ami-x", "InvalidAMIID.Malformed")],
)
def test_an_image_that_is_not_there_is_not_told_of(place: Place, image: str, code: str) -> None:
    with refused(code):
        place.ec2.describe_images(ImageIds=[image])
