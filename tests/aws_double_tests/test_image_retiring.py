"""The end of images of the double: what is refused, what goes, what stays."""

import pytest

from tests.aws_double_tests.clouds import OTHER, Cloud, mapped
from tests.aws_double_tests.refused import refused
from tests.aws_double_tests.test_image_sharing import run, visible


def root_snapshot(cloud: Cloud, image: str) -> str:
    """Give the snapshot of an image's root device."""
    (told,) = cloud.ec2().describe_images(ImageIds=[image])["Images"]
    return str(told["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


def test_a_snapshot_in_use_is_not_deleted(cloud: Cloud) -> None:
    image = cloud.image()
    snapshot = root_snapshot(cloud, image)
    with refused("InvalidSnapshot.InUse", says=image):
        cloud.ec2().delete_snapshot(SnapshotId=snapshot)
    cloud.ec2().deregister_image(ImageId=image)
    cloud.ec2().delete_snapshot(SnapshotId=snapshot)
    with refused("InvalidSnapshot.NotFound"):
        cloud.ec2().describe_snapshots(SnapshotIds=[snapshot])


def test_a_disabled_image_is_launched_by_nobody_and_shared_with_nobody(cloud: Cloud) -> None:
    image, ec2, theirs = cloud.image(), cloud.ec2(), cloud.ec2(OTHER)
    cloud.share(image)
    ec2.disable_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable", says="disabled"):
        run(ec2, image)
    with refused("InvalidAMIID.NotFound"):
        run(theirs, image)
    with refused("InvalidAMIID.Unavailable"):
        cloud.share(image)
    ec2.enable_image(ImageId=image)
    run(ec2, image)
    assert not visible(theirs, image)


def test_a_disabled_image_is_listed_only_when_asked_for(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    ec2.disable_image(ImageId=image)
    assert not visible(ec2, image, Owners=["self"])
    assert visible(ec2, image, Owners=["self"], IncludeDisabled=True)


def test_a_deprecated_image_is_hidden_from_others_but_can_be_launched(cloud: Cloud) -> None:
    image, ec2, theirs = cloud.image(), cloud.ec2(), cloud.ec2(OTHER)
    cloud.share(image)
    at = cloud.double.world.clock.now().replace(microsecond=0)
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt=at.replace(year=at.year + 1))
    assert visible(theirs, image)
    cloud.double.world.clock.advance(days=367)
    assert not visible(theirs, image)
    assert visible(theirs, image, IncludeDeprecated=True)
    assert visible(ec2, image)
    run(theirs, image)
    ec2.disable_image_deprecation(ImageId=image)
    assert visible(theirs, image)


@pytest.mark.parametrize("at", ["2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z"])
def test_a_deprecation_in_the_past_or_too_late_is_refused(cloud: Cloud, at: str) -> None:
    with refused("InvalidParameterValue", says="DeprecateAt"):
        cloud.ec2().enable_image_deprecation(ImageId=cloud.image(), DeprecateAt=at)


def test_a_protected_image_is_not_deregistered(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    ec2.enable_image_deregistration_protection(ImageId=image)
    with refused("OperationNotPermitted", says="protected"):
        ec2.deregister_image(ImageId=image)
    ec2.disable_image_deregistration_protection(ImageId=image)
    ec2.deregister_image(ImageId=image)


def test_a_protection_cools_down_for_a_day_when_it_was_to(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=True)
    ec2.disable_image_deregistration_protection(ImageId=image)
    with refused("OperationNotPermitted"):
        ec2.deregister_image(ImageId=image)
    cloud.double.world.clock.advance(hours=25)
    ec2.deregister_image(ImageId=image)


def test_a_deregistered_image_is_no_longer_available(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    snapshot = root_snapshot(cloud, image)
    assert ec2.deregister_image(ImageId=image)["Return"] is True
    with refused("InvalidAMIID.Unavailable"):
        ec2.describe_images(ImageIds=[image])
    with refused("InvalidAMIID.Unavailable"):
        run(ec2, image)
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]


def test_snapshots_go_with_their_image_when_asked_unless_another_has_them(cloud: Cloud) -> None:
    ec2, image = cloud.ec2(), cloud.image()
    snapshot = root_snapshot(cloud, image)
    second = cloud.image("golden-2", BlockDeviceMappings=mapped(snapshot))
    for gone, code in ((image, "skipped"), (second, "success")):
        said = ec2.deregister_image(ImageId=gone, DeleteAssociatedSnapshots=True)
        assert said["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": code}]
    with refused("InvalidSnapshot.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot])


def test_only_the_owner_ends_an_image(cloud: Cloud) -> None:
    image, theirs = cloud.image(), cloud.ec2(OTHER)
    cloud.share(image)
    for end in (theirs.deregister_image, theirs.disable_image):
        with refused("AuthFailure"):
            end(ImageId=image)


def test_what_points_to_an_image_is_told_of_the_own_account_alone(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    asked = {"ImageIds": [image], "IncludeAllResourceTypes": True}
    with refused("MissingParameter"):
        ec2.describe_image_references(ImageIds=[image])
    assert ec2.describe_image_references(**asked)["ImageReferences"] == []
    cloud.share(image)
    run(ec2, image)
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image})
    cloud.double.client("ssm").put_parameter(Name="/golden/web", Value=image, Type="String")
    told = ec2.describe_image_references(**asked)["ImageReferences"]
    assert [one["ResourceType"] for one in told] == [
        "ec2:Instance",
        "ec2:LaunchTemplate",
        "ssm:Parameter",
    ]
    assert told[2]["Arn"].endswith(":parameter/golden/web")
    assert cloud.ec2(OTHER).describe_image_references(**asked)["ImageReferences"] == []


def test_instances_that_are_terminated_point_to_nothing(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    launched = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    ec2.terminate_instances(InstanceIds=[launched[0]["InstanceId"]])
    kinds = [{"ResourceType": "ec2:Instance"}]
    told = ec2.describe_image_references(ImageIds=[image], ResourceTypes=kinds)
    assert told["ImageReferences"] == []
