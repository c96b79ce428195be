"""Images of the double as they are registered, created, listed and launched: refusals first."""

from typing import Any

import pytest

from tests.aws_double.serving import HOME
from tests.aws_double_tests.clouds import FAR, OTHER, Cloud, mapped, settle
from tests.aws_double_tests.refused import refused

NO_IMAGE = "ami-00000000000000000"
UEFI = {"VirtualizationType": "hvm", "BootMode": "uefi"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"Name": "a?b"}, "InvalidAMIName.Malformed"),
        ({"TpmSupport": "v2.0"}, "InvalidParameterCombination"),
        ({"TpmSupport": "v2.0", "BootMode": "legacy-bios"}, "InvalidParameterCombination"),
        ({"Architecture": "arm64", "BootMode": "legacy-bios"}, "InvalidParameterCombination"),
        ({"VirtualizationType": "paravirtual", **UEFI} | {"VirtualizationType": "paravirtual"},
         "InvalidParameterCombination"),
        ({"VirtualizationType": "kvm"}, "InvalidParameterValue"),
        ({"BootMode": "bios"}, "InvalidParameterValue"),
        ({"UefiData": "AAAA"}, "InvalidParameterCombination"),
        ({"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
        (
            {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": []}]},
            "InvalidParameterValue",
        ),
        (
            {
                "TagSpecifications": [
                    {"ResourceType": "image", "Tags": [{"Key": "aws:x", "Value": ""}]}
                ]
            },
            "InvalidParameterValue",
        ),
    ],
)  # fmt: skip
def test_an_image_that_is_said_wrongly_is_refused(
    cloud: Cloud, said: dict[str, Any], code: str
) -> None:
    with refused(code):
        cloud.registered(**said)
    assert cloud.ec2().describe_images(Owners=["self"])["Images"] == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Encrypted": True}, "InvalidParameterCombination"),
        ({"KmsKeyId": "alias/mine"}, "InvalidParameterCombination"),
    ],
)
def test_encryption_beside_a_snapshot_is_refused(
    cloud: Cloud, more: dict[str, Any], code: str
) -> None:
    with refused(code):
        cloud.registered(BlockDeviceMappings=mapped(cloud.snapshot(), **more))


def test_a_volume_smaller_than_its_snapshot_is_refused(cloud: Cloud) -> None:
    snapshot = cloud.snapshot(VolumeSize=2)
    with refused("InvalidBlockDeviceMapping"):
        cloud.registered(BlockDeviceMappings=mapped(snapshot, VolumeSize=1))


def test_a_snapshot_that_is_not_there_is_refused(cloud: Cloud) -> None:
    with refused("InvalidSnapshot.NotFound"):
        cloud.registered(BlockDeviceMappings=mapped("snap-00000000000000000"))


def test_a_snapshot_that_is_pending_is_refused(cloud: Cloud) -> None:
    begun = cloud.double.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"]
    with refused("IncorrectState", says="pending"):
        cloud.registered(BlockDeviceMappings=mapped(begun))


def test_a_snapshot_of_another_account_is_refused_until_it_is_shared(cloud: Cloud) -> None:
    snapshot, theirs = cloud.snapshot(), cloud.ec2(OTHER)
    said = {"Name": "theirs", "RootDeviceName": "/dev/xvda", "VirtualizationType": "hvm"}
    with refused("InvalidSnapshot.NotFound"):
        theirs.register_image(**said, BlockDeviceMappings=mapped(snapshot))
    cloud.ec2().modify_snapshot_attribute(
        SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
    )
    theirs.register_image(**said, BlockDeviceMappings=mapped(snapshot))


def test_a_name_is_taken_once_in_an_account_and_region(cloud: Cloud) -> None:
    cloud.image("golden-1")
    with refused("InvalidAMIName.Duplicate", says="golden-1"):
        cloud.registered("golden-1")


def test_more_images_than_the_quota_are_refused(cloud: Cloud) -> None:
    cloud.double.world.quotas.images = 1
    cloud.image("golden-1")
    with refused("ResourceLimitExceeded"):
        cloud.registered("golden-2")


def test_all_that_is_said_of_an_image_is_kept(cloud: Cloud) -> None:
    snapshot = cloud.snapshot(VolumeSize=2)
    said: dict[str, Any] = {
        "Architecture": "arm64",
        "BootMode": "uefi",
        "TpmSupport": "v2.0",
        "ImdsSupport": "v2.0",
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "Description": "golden",
    }
    tags = [{"Key": "golden:version", "Value": "1.0.0"}]
    image = cloud.image(
        **said,
        BlockDeviceMappings=mapped(snapshot, VolumeType="gp3", DeleteOnTermination=False),
        TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
    )
    (told,) = cloud.ec2().describe_images(ImageIds=[image])["Images"]
    assert {name: told[name] for name in said} == said
    assert (told["Tags"], told["OwnerId"], told["Public"]) == (tags, HOME, False)
    assert told["BlockDeviceMappings"] == mapped(
        snapshot, VolumeType="gp3", DeleteOnTermination=False, VolumeSize=2, Encrypted=False
    )


def test_an_image_is_first_seen_pending_and_not_shared_before(cloud: Cloud) -> None:
    image = cloud.registered()
    with refused("InvalidAMIID.Unavailable", says="pending"):
        cloud.share(image)
    assert cloud.ec2().describe_images(ImageIds=[image])["Images"][0]["State"] == "pending"
    assert settle(cloud.ec2(), image)["State"] == "available"
    cloud.share(image)


def test_an_image_that_was_just_registered_may_not_be_found_yet(cloud: Cloud) -> None:
    cloud.double.faults.hidden_image_calls = 2
    image = cloud.registered()
    for _ in range(2):
        with refused("InvalidAMIID.NotFound"):
            cloud.ec2().describe_images(ImageIds=[image])
    settle(cloud.ec2(), image)


@pytest.mark.parametrize(
    ("image", "code"),
    [(NO_IMAGE, "InvalidAMIID.NotFound"), ("ami-x", "InvalidAMIID.Malformed")],
)
def test_an_image_that_is_not_there_is_refused(cloud: Cloud, image: str, code: str) -> None:
    with refused(code):
        cloud.ec2().describe_images(ImageIds=[image])


def test_an_image_of_another_region_is_not_there(cloud: Cloud) -> None:
    with refused("InvalidAMIID.NotFound"):
        cloud.ec2(region=FAR).describe_images(ImageIds=[cloud.image()])


def test_images_are_found_by_filters_of_tags_names_and_snapshots(cloud: Cloud) -> None:
    ec2, image, other = cloud.ec2(), cloud.image("golden-1"), cloud.image("other-1")
    ec2.create_tags(Resources=[image, other], Tags=[{"Key": "golden:step", "Value": "a"}])
    ec2.create_tags(Resources=[other], Tags=[{"Key": "golden:step", "Value": "b"}])
    (told,) = ec2.describe_images(ImageIds=[image])["Images"]
    snapshot = told["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for name, value in (
        ("tag:golden:step", "a"),
        ("name", "golden-*"),
        ("block-device-mapping.snapshot-id", snapshot),
    ):
        found = ec2.describe_images(Filters=[{"Name": name, "Values": [value]}])["Images"]
        assert [one["ImageId"] for one in found] == [image], name
    with refused("InvalidParameterValue", says="nonsense"):
        ec2.describe_images(Filters=[{"Name": "nonsense", "Values": ["x"]}])


def test_listings_come_in_pages(cloud: Cloud) -> None:
    images = {cloud.image(f"golden-{number}") for number in range(3)}
    pages = (
        cloud.ec2()
        .get_paginator("describe_images")
        .paginate(Owners=["self"], PaginationConfig={"PageSize": 2})
    )
    sizes = [[one["ImageId"] for one in page["Images"]] for page in pages]
    assert [len(page) for page in sizes] == [2, 1]
    assert {image for page in sizes for image in page} == images


def test_tags_of_what_is_shared_are_each_account_own(cloud: Cloud) -> None:
    image, ec2, theirs = cloud.image(), cloud.ec2(), cloud.ec2(OTHER)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "whose", "Value": "ours"}])
    cloud.share(image)
    assert theirs.describe_images(ImageIds=[image])["Images"][0]["Tags"] == []
    theirs.create_tags(Resources=[image], Tags=[{"Key": "whose", "Value": "theirs"}])
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["Tags"][0]["Value"] == "ours"


def test_tags_are_taken_away_by_name_or_by_value(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    ec2.create_tags(
        Resources=[image], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "a", "Value": "9"}, {"Key": "b"}])
    listed = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [image]}])["Tags"]
    assert [(tag["Key"], tag["ResourceType"]) for tag in listed] == [("a", "image")]


def test_tags_of_an_image_that_is_not_there_are_refused(cloud: Cloud) -> None:
    with refused("InvalidAMIID.NotFound"):
        cloud.ec2().create_tags(Resources=[NO_IMAGE], Tags=[{"Key": "a", "Value": "1"}])


def test_an_instance_has_the_volumes_of_its_image(cloud: Cloud) -> None:
    ec2, image = cloud.ec2(), cloud.image(BlockDeviceMappings=mapped(cloud.snapshot(VolumeSize=3)))
    (instance,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    assert (instance["ImageId"], instance["Architecture"]) == (image, "x86_64")
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert (volume["Size"], volume["Attachments"][0]["Device"]) == (3, "/dev/xvda")


def test_an_instance_of_another_architecture_is_refused(cloud: Cloud) -> None:
    with refused("InvalidParameterValue", says="arm64"):
        cloud.ec2().run_instances(
            ImageId=cloud.image(), InstanceType="t4g.small", MinCount=1, MaxCount=1
        )


def test_an_image_of_an_instance_holds_what_its_volume_was_made_of(cloud: Cloud) -> None:
    ec2, image = cloud.ec2(), cloud.image(BootMode="uefi")
    (instance,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    tags = [{"Key": "golden:run", "Value": "1"}]
    said = {
        "InstanceId": instance["InstanceId"],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")
        ],
    }
    created = ec2.create_image(Name="created", **said)["ImageId"]
    told = settle(ec2, created)
    ((snapshot),) = [one["Ebs"]["SnapshotId"] for one in told["BlockDeviceMappings"]]
    (seen,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    ec2.describe_snapshots(SnapshotIds=[snapshot])
    assert (told["BootMode"], told["Tags"], seen["Tags"]) == ("uefi", tags, tags)
    assert len(cloud.double.client("ebs").list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]) == 1
    with refused("InvalidAMIName.Duplicate"):
        ec2.create_image(Name="created", **said)
