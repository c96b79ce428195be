"""Images of the double in other accounts, as their owner lets them be seen, run and copied."""

from typing import Any

import pytest

from tests.aws_double.organization import join
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import FAR, OTHER, Cloud, settle
from tests.aws_double_tests.refused import refused

THIRD = "333333333333"


def run(ec2: Any, image: str) -> None:
    """Launch one instance."""
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)


def visible(ec2: Any, image: str, **more: Any) -> bool:
    """Tell whether an image is listed."""
    return image in [one["ImageId"] for one in ec2.describe_images(**more)["Images"]]


def test_an_image_is_nobody_else_until_it_is_shared(cloud: Cloud) -> None:
    image, theirs = cloud.image(), cloud.ec2(OTHER)
    with refused("InvalidAMIID.NotFound"):
        theirs.describe_images(ImageIds=[image])
    with refused("InvalidAMIID.NotFound"):
        run(theirs, image)
    cloud.share(image)
    run(theirs, image)
    assert visible(theirs, image, ExecutableUsers=["self"])
    assert visible(theirs, image, Owners=[HOME])
    assert not visible(theirs, image, Owners=["self"])
    with refused("InvalidAMIID.NotFound"):
        cloud.ec2(THIRD).describe_images(ImageIds=[image])


def test_what_is_no_longer_shared_is_gone(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.share(image)
    cloud.ec2().modify_image_attribute(
        ImageId=image, LaunchPermission={"Remove": [{"UserId": OTHER}]}
    )
    with refused("InvalidAMIID.NotFound"):
        cloud.ec2(OTHER).describe_images(ImageIds=[image])


def test_who_may_launch_is_told_to_the_owner_alone(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.share(image)
    asked = {"ImageId": image, "Attribute": "launchPermission"}
    assert cloud.ec2().describe_image_attribute(**asked)["LaunchPermissions"] == [{"UserId": OTHER}]
    with refused("AuthFailure"):
        cloud.ec2(OTHER).describe_image_attribute(**asked)


def test_only_the_owner_shares(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.share(image)
    with refused("AuthFailure"):
        cloud.ec2(OTHER).modify_image_attribute(
            ImageId=image, LaunchPermission={"Add": [{"UserId": THIRD}]}
        )


@pytest.mark.parametrize("user", ["12", "everybody"])
def test_an_account_that_cannot_be_is_refused(cloud: Cloud, user: str) -> None:
    with refused("InvalidAMIAttributeItemValue"):
        cloud.share(cloud.image(), user)


def test_the_other_form_of_sharing_does_the_same(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.ec2().modify_image_attribute(
        ImageId=image, Attribute="launchPermission", OperationType="add", UserIds=[OTHER]
    )
    assert visible(cloud.ec2(OTHER), image)


def test_a_consumer_may_drop_out(cloud: Cloud) -> None:
    image, theirs = cloud.image(), cloud.ec2(OTHER)
    cloud.share(image)
    theirs.cancel_image_launch_permission(ImageId=image)
    assert not visible(theirs, image)


def test_a_public_image_is_seen_by_all_unless_that_is_blocked(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2()
    public = {"ImageId": image, "LaunchPermission": {"Add": [{"Group": "all"}]}}
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    with refused("OperationNotPermitted"):
        ec2.modify_image_attribute(**public)
    ec2.disable_image_block_public_access()
    ec2.modify_image_attribute(**public)
    assert visible(cloud.ec2(THIRD), image, ExecutableUsers=["all"])
    assert not visible(cloud.ec2(THIRD), image, ExecutableUsers=["self"])


def test_a_unit_of_an_organization_sees_what_is_shared_with_it_and_all_below(
    cloud: Cloud,
) -> None:
    organizations = cloud.double.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    made = organizations.create_organizational_unit(ParentId=root, Name="teams")
    teams = made["OrganizationalUnit"]
    made = organizations.create_organizational_unit(ParentId=teams["Id"], Name="web")
    join(HOME, OTHER, made["OrganizationalUnit"]["Id"])
    join(HOME, THIRD)
    image = cloud.image()
    cloud.ec2().modify_image_attribute(
        ImageId=image, LaunchPermission={"Add": [{"OrganizationalUnitArn": teams["Arn"]}]}
    )
    assert visible(cloud.ec2(OTHER), image, ExecutableUsers=["self"])
    assert not visible(cloud.ec2(THIRD), image)
    arn = organizations.describe_organization()["Organization"]["Arn"]
    cloud.ec2().modify_image_attribute(
        ImageId=image, LaunchPermission={"Add": [{"OrganizationArn": arn}]}
    )
    assert visible(cloud.ec2(THIRD), image)
    assert not visible(cloud.ec2("444444444444"), image)


def test_a_copy_needs_the_image_and_its_storage(cloud: Cloud) -> None:
    image, theirs = cloud.image(), cloud.ec2(OTHER, FAR)
    copy = {"SourceImageId": image, "SourceRegion": REGION, "Name": "copy"}
    with refused("InvalidAMIID.NotFound"):
        theirs.copy_image(**copy)
    cloud.share(image)
    with refused("InvalidRequest", says="storage"):
        theirs.copy_image(**copy)
    cloud.share_storage(image)
    copied = settle(theirs, theirs.copy_image(**copy)["ImageId"])
    assert (copied["State"], copied["OwnerId"]) == ("available", OTHER)
    assert (copied["SourceImageId"], copied["SourceImageRegion"]) == (image, REGION)


def test_a_copy_holds_the_same_blocks_and_none_of_the_permissions(cloud: Cloud) -> None:
    image, ec2 = cloud.image(BootMode="uefi", TpmSupport="v2.0"), cloud.ec2(region=FAR)
    cloud.share(image)
    cloud.ec2().enable_image_deprecation(ImageId=image, DeprecateAt="2030-01-01T00:00:00Z")
    made = ec2.copy_image(SourceImageId=image, SourceRegion=REGION, Name="copy")
    copied = settle(ec2, made["ImageId"])
    snapshot = copied["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for _ in range(2):
        ec2.describe_snapshots(SnapshotIds=[snapshot])
    blocks = cloud.double.client("ebs", region=FAR).list_snapshot_blocks(SnapshotId=snapshot)
    assert len(blocks["Blocks"]) == 1
    assert (copied["TpmSupport"], "DeprecationTime" in copied) == ("v2.0", False)
    told = ec2.describe_image_attribute(ImageId=made["ImageId"], Attribute="launchPermission")
    assert told["LaunchPermissions"] == []


def test_the_same_token_gives_the_same_copy(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2(region=FAR)
    copy = {"SourceImageId": image, "SourceRegion": REGION, "ClientToken": "once"}
    first = ec2.copy_image(**copy, Name="copy")["ImageId"]
    assert ec2.copy_image(**copy, Name="copy")["ImageId"] == first
    with refused("IdempotentParameterMismatch"):
        ec2.copy_image(**copy, Name="another")


def test_tags_are_copied_when_asked_and_others_added(cloud: Cloud) -> None:
    image, ec2 = cloud.image(), cloud.ec2(region=FAR)
    cloud.ec2().create_tags(Resources=[image], Tags=[{"Key": "from", "Value": "home"}])
    more = [{"Key": "golden:copy", "Value": "yes"}]
    made = ec2.copy_image(
        SourceImageId=image,
        SourceRegion=REGION,
        Name="copy",
        CopyImageTags=True,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": more}],
    )
    copied = settle(ec2, made["ImageId"])
    snapshot = copied["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    (told,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert (copied["Tags"], told["Tags"]) == ([{"Key": "from", "Value": "home"}], more)


def test_a_copy_from_a_region_that_is_not_enabled_is_refused(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.double.accounts.disable_region(HOME, REGION)
    with refused("InvalidRequest", says=REGION):
        cloud.ec2(region=FAR).copy_image(SourceImageId=image, SourceRegion=REGION, Name="copy")


def test_more_copies_at_a_time_than_may_be_are_refused(cloud: Cloud) -> None:
    cloud.double.world.quotas.concurrent_copies = 1
    image, ec2 = cloud.image(), cloud.ec2(region=FAR)
    copy = {"SourceImageId": image, "SourceRegion": REGION}
    ec2.copy_image(**copy, Name="copy-1")
    with refused("ResourceLimitExceeded"):
        ec2.copy_image(**copy, Name="copy-2")


def test_a_key_without_encryption_is_refused(cloud: Cloud) -> None:
    with refused("InvalidParameterDependency"):
        cloud.ec2(region=FAR).copy_image(
            SourceImageId=cloud.image(), SourceRegion=REGION, Name="copy", KmsKeyId="alias/mine"
        )


def test_an_image_encrypted_with_the_default_key_is_not_shared(cloud: Cloud) -> None:
    ec2, plain = cloud.ec2(region=FAR), cloud.image()
    made = ec2.copy_image(SourceImageId=plain, SourceRegion=REGION, Name="copy", Encrypted=True)
    copied = settle(ec2, made["ImageId"])
    snapshot = copied["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with refused("InvalidParameter", says="default key"):
        ec2.modify_image_attribute(
            ImageId=made["ImageId"], LaunchPermission={"Add": [{"UserId": OTHER}]}
        )
    with refused("InvalidParameter", says="default key"):
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
        )


def test_a_copy_with_a_key_that_is_not_there_fails_afterwards(cloud: Cloud) -> None:
    ec2 = cloud.ec2(region=FAR)
    made = ec2.copy_image(
        SourceImageId=cloud.image(),
        SourceRegion=REGION,
        Name="copy",
        Encrypted=True,
        KmsKeyId=f"arn:aws:kms:{FAR}:{HOME}:key/00000000-0000-0000-0000-000000000000",
    )
    copied = settle(ec2, made["ImageId"])
    assert copied["State"] == "failed"
    assert "not accessible" in copied["StateReason"]["Message"]


def test_a_snapshot_is_seen_by_whom_it_is_shared_with(cloud: Cloud) -> None:
    snapshot, ec2, theirs = cloud.snapshot(), cloud.ec2(), cloud.ec2(OTHER)
    with refused("InvalidSnapshot.NotFound"):
        theirs.describe_snapshots(SnapshotIds=[snapshot])
    with refused("InvalidParameterValue"):
        ec2.modify_snapshot_attribute(SnapshotId=snapshot, OperationType="add", UserIds=["1"])
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[OTHER],
    )
    shared = theirs.describe_snapshots(RestorableByUserIds=["self"])["Snapshots"]
    assert [one["SnapshotId"] for one in shared] == [snapshot]
    with refused("UnauthorizedOperation"):
        theirs.delete_snapshot(SnapshotId=snapshot)
    asked = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
    told = ec2.describe_snapshot_attribute(**asked)["CreateVolumePermissions"]
    assert told == [{"UserId": OTHER}]
    ec2.reset_snapshot_attribute(**asked)
    assert theirs.describe_snapshots(RestorableByUserIds=["self"])["Snapshots"] == []


def test_a_snapshot_is_copied_to_where_it_is_asked_for(cloud: Cloud) -> None:
    ec2 = cloud.ec2(region=FAR)
    made = ec2.copy_snapshot(SourceSnapshotId=cloud.snapshot(), SourceRegion=REGION)
    ec2.get_waiter("snapshot_completed").wait(
        SnapshotIds=[made["SnapshotId"]], WaiterConfig={"Delay": 0}
    )
    with refused("InvalidSnapshot.NotFound"):
        ec2.copy_snapshot(SourceSnapshotId="snap-00000000000000000", SourceRegion=REGION)
