"""What points to images in the double: parameters, launch templates, groups of instances."""

from typing import Any

import pytest

from tests.aws_double_tests.clouds import Cloud
from tests.aws_double_tests.refused import refused

NO_IMAGE = "ami-00000000000000000"


@pytest.fixture
def image(cloud: Cloud) -> str:
    return cloud.image()


def test_a_parameter_that_is_no_image_is_refused(cloud: Cloud) -> None:
    with refused("ValidationException"):
        cloud.double.client("ssm").put_parameter(
            Name="/golden/web", Value="web", Type="String", DataType="aws:ec2:image"
        )


def test_a_parameter_of_an_image_that_is_not_there_never_appears(cloud: Cloud) -> None:
    ssm = cloud.double.client("ssm")
    said = ssm.put_parameter(
        Name="/golden/web", Value=NO_IMAGE, Type="String", DataType="aws:ec2:image"
    )
    assert said["Version"] == 1
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/golden/web")


def test_a_parameter_keeps_versions_and_labels(cloud: Cloud, image: str) -> None:
    ssm = cloud.double.client("ssm")
    said = {"Name": "/golden/web", "Type": "String", "DataType": "aws:ec2:image"}
    ssm.put_parameter(**said, Value=image)
    newer = cloud.image("golden-2")
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(**said, Value=newer)
    ssm.put_parameter(**said, Value=newer, Overwrite=True)
    ssm.label_parameter_version(Name="/golden/web", ParameterVersion=1, Labels=["prod"])
    values = [
        ssm.get_parameter(Name=name)["Parameter"]["Value"]
        for name in ("/golden/web", "/golden/web:prod")
    ]
    assert values == [newer, image]


def a_template(cloud: Cloud, image: str) -> str:
    """Give a launch template of an image."""
    made = cloud.ec2().create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"},
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def test_a_version_of_a_template_has_what_its_source_has(cloud: Cloud, image: str) -> None:
    ec2, template = cloud.ec2(), a_template(cloud, image)
    newer = cloud.image("golden-2")
    said: dict[str, Any] = {
        "LaunchTemplateId": template,
        "SourceVersion": "1",
        "LaunchTemplateData": {"ImageId": newer},
        "ClientToken": "once",
    }
    made = ec2.create_launch_template_version(**said)["LaunchTemplateVersion"]
    again = ec2.create_launch_template_version(**said)["LaunchTemplateVersion"]
    assert (made["VersionNumber"], again["VersionNumber"]) == (2, 2)
    assert made["LaunchTemplateData"] == {"ImageId": newer, "InstanceType": "t3.small"}
    with refused("IdempotentParameterMismatch"):
        ec2.create_launch_template_version(**said | {"LaunchTemplateData": {"ImageId": image}})


def test_a_source_version_that_is_not_there_is_refused(cloud: Cloud, image: str) -> None:
    said = {"SourceVersion": "7", "LaunchTemplateData": {"ImageId": image}}
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        cloud.ec2().create_launch_template_version(
            LaunchTemplateId=a_template(cloud, image), **said
        )


def test_a_template_may_name_its_image_by_a_parameter(cloud: Cloud, image: str) -> None:
    ec2, ssm = cloud.ec2(), cloud.double.client("ssm")
    ssm.put_parameter(Name="/golden/web", Value=image, Type="String", DataType="aws:ec2:image")
    template = a_template(cloud, "resolve:ssm:/golden/web")
    (told,) = ec2.describe_launch_template_versions(LaunchTemplateId=template, ResolveAlias=True)[
        "LaunchTemplateVersions"
    ]
    launched = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1
    )["Instances"]
    assert (told["LaunchTemplateData"]["ImageId"], launched[0]["ImageId"]) == (image, image)


def test_a_template_launches_nothing_that_may_not_be_launched(cloud: Cloud, image: str) -> None:
    template = a_template(cloud, image)
    cloud.ec2().disable_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        cloud.ec2().run_instances(
            LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1
        )


@pytest.fixture
def groups(cloud: Cloud, image: str) -> Any:
    """Give a client, with a group `web` of two instances."""
    client, template = cloud.double.client("autoscaling"), a_template(cloud, image)
    newer = cloud.image("golden-2")
    cloud.ec2().create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": newer}
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=2,
        MaxSize=4,
        DesiredCapacity=2,
        AvailabilityZones=["eu-central-1a"],
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
    )
    return client


def to_version(version: str) -> dict[str, Any]:
    """Give what a refresh is to reach."""
    return {"LaunchTemplate": {"LaunchTemplateName": "web", "Version": version}}


def started(groups: Any, version: str = "2", **preferences: Any) -> str:
    """Begin a refresh."""
    said = groups.start_instance_refresh(
        AutoScalingGroupName="web",
        DesiredConfiguration=to_version(version),
        Preferences=preferences,
    )
    return str(said["InstanceRefreshId"])


def state(groups: Any, looks: int = 1) -> dict[str, Any]:
    """Look at the newest refresh some times."""
    seen: dict[str, Any] = {}
    for _ in range(looks):
        seen = groups.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][
            0
        ]
    return seen


@pytest.mark.parametrize("version", ["$Latest", "$Default"])
def test_going_back_by_itself_needs_a_fixed_version(groups: Any, version: str) -> None:
    with refused("ValidationError", says="AutoRollback"):
        started(groups, version, AutoRollback=True)


def test_going_back_by_itself_needs_to_know_where_to(groups: Any) -> None:
    with refused("ValidationError", says="DesiredConfiguration"):
        groups.start_instance_refresh(
            AutoScalingGroupName="web", Preferences={"AutoRollback": True}
        )


def test_a_group_or_version_that_is_not_there_is_refused(groups: Any) -> None:
    with refused("ValidationError", says="not found"):
        groups.start_instance_refresh(AutoScalingGroupName="none")
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        started(groups, "9")


def test_a_second_refresh_is_refused_while_one_goes_on(groups: Any) -> None:
    started(groups)
    with refused("InstanceRefreshInProgress"):
        started(groups)


def test_a_refresh_replaces_the_instances(groups: Any) -> None:
    before = instances(groups)
    started(groups)
    assert state(groups, 6)["Status"] == "Successful"
    after = instances(groups)
    assert (len(after), before & after) == (2, set())
    (group,) = groups.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["LaunchTemplate"]["Version"] == "2"


def instances(groups: Any) -> set[str]:
    """Give the instances of the group."""
    (group,) = groups.describe_auto_scaling_groups()["AutoScalingGroups"]
    return {one["InstanceId"] for one in group["Instances"]}


def test_a_refresh_waits_at_its_checkpoints(cloud: Cloud, groups: Any) -> None:
    started(groups, CheckpointPercentages=[10, 100], CheckpointDelay=60)
    waiting = state(groups, 6)
    assert (waiting["Status"], waiting["PercentageComplete"]) == ("InProgress", 10)
    cloud.double.world.clock.advance(seconds=61)
    assert state(groups, 5)["Status"] == "Successful"


@pytest.mark.parametrize(("goes_back", "status"), [(["yes"], "RollbackSuccessful"), ([], "Failed")])
def test_a_refresh_whose_instances_fail_goes_back_or_fails(
    cloud: Cloud, groups: Any, goes_back: list[str], status: str
) -> None:
    (newer,) = cloud.ec2().describe_images(Filters=[{"Name": "name", "Values": ["golden-2"]}])[
        "Images"
    ]
    cloud.double.world.failing_images.add(newer["ImageId"])
    before = instances(groups)
    started(groups, AutoRollback=bool(goes_back))
    seen = state(groups, 4)
    assert (seen["Status"], instances(groups)) == (status, before)
    assert newer["ImageId"] in seen["StatusReason"]


def test_a_refresh_is_cancelled_or_rolled_back_only_while_it_goes_on(groups: Any) -> None:
    with refused("ActiveInstanceRefreshNotFound"):
        groups.cancel_instance_refresh(AutoScalingGroupName="web")
    started(groups)
    groups.cancel_instance_refresh(AutoScalingGroupName="web")
    assert state(groups)["Status"] == "Cancelled"
    started(groups)
    groups.rollback_instance_refresh(AutoScalingGroupName="web")
    assert state(groups)["Status"] == "RollbackSuccessful"
