"""AMIs of the double that were placed are looked after, and withdrawn."""

from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.domain.target import Access, Delivery
from imagebuilder.ports.targets import TargetRefused
from tests.aws_double import Double
from tests.aws_double.serving import HOME, REGION
from tests.build import a_version
from tests.clouds import Route, a_disk, a_role_of, aws_places, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
THIRD = "333333333333"
HOME_KEY = f"aws:{HOME}/{REGION}"
SHARE_KEY = f"aws:{OTHER}/{REGION}"
SHARED = {"delivery": Delivery.SHARE, "access": Access()}
POINTING = {"parameter": "/golden/web", "launch_template": "web"}


def a_route(double: Double, folder: Path, *accounts: str, **more: Any) -> Route:
    folder.mkdir(exist_ok=True)
    return Route(
        carrier=AwsCarrier(calls_to(double)),
        places=aws_places(*accounts, **more),
        disk=a_disk(folder / "raw", {0: b"boot"}),
        scratch=folder,
    )


def a_template(double: Double, name: str = "web") -> None:
    double.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"}
    )


def a_group(double: Double, **launched_by: Any) -> None:
    """Let home have a group of servers, of which none runs yet."""
    double.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web-servers",
        MinSize=0,
        MaxSize=2,
        AvailabilityZones=[f"{REGION}a"],
        **launched_by,
    )


def an_older_version(double: Double, image: str) -> dict[str, str]:
    """Give the name of a version of a template that says an image, though the newest does not."""
    a_template(double, "theirs")
    for data in ({"ImageId": image}, {"InstanceType": "m5.large"}):
        double.client("ec2").create_launch_template_version(
            LaunchTemplateName="theirs", LaunchTemplateData=data
        )
    return {"LaunchTemplateName": "theirs", "Version": "2"}


def drifts_at(route: Route, key: str = HOME_KEY) -> list[tuple[str, str, str]]:
    takers = [target for target in route.targets if target.after == key]
    found = route.carrier.drifts(route.target(key), route.placed[key], takers)
    return [(drift.what, drift.wanted, drift.found) for drift in found]


def withdraw(route: Route, key: str = HOME_KEY, *, delete: bool = False) -> None:
    route.carrier.withdraw(route.target(key), route.placed[key], delete=delete)


def test_drifts_when_nobody_changed_anything_then_there_are_none(
    double: Double, tmp_path: Path
) -> None:
    a_template(double)
    route = a_route(double, tmp_path, OTHER, deprecate_after_seconds=86400, **SHARED, **POINTING)
    route.place_all()
    assert drifts_at(route) == drifts_at(route, SHARE_KEY) == []


def test_drifts_when_things_were_changed_by_hand_then_each_is_told(
    double: Double, tmp_path: Path
) -> None:
    a_template(double)
    route = a_route(
        double, tmp_path, OTHER, tags={"team": "web"}, deprecate_after_seconds=86400,
        **SHARED, **POINTING,
    )  # fmt: skip
    image = route.place_all()[HOME_KEY]
    ec2, ssm = double.client("ec2"), double.client("ssm")
    permission = {"Add": [{"UserId": THIRD}], "Remove": [{"UserId": OTHER}]}
    ec2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "team", "Value": "mail"}])
    ec2.disable_image_deprecation(ImageId=image)
    ssm.put_parameter(Name="/golden/web", Value="ami-12345678", Type="String", Overwrite=True)
    ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="1")
    told = drifts_at(route)
    assert ("tag:team", "web", "mail") in told
    assert ("launch permission", "nothing", THIRD) in told
    assert ("parameter /golden/web", image, "ami-12345678") in told
    assert ("default version of web", "2", "1") in told
    assert [what for what, _, found in told if found == "nothing"] == ["deprecation"]
    assert drifts_at(route, SHARE_KEY) == [("launch permission", OTHER, "nothing")]


def test_drifts_when_the_image_is_gone_then_that_is_told(double: Double, tmp_path: Path) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    double.client("ec2").deregister_image(ImageId=image)
    assert drifts_at(route) == [("image", image, "nothing")]


def test_usages_when_things_use_it_then_each_is_named(double: Double, tmp_path: Path) -> None:
    a_template(double, "theirs")
    a_template(double)
    route = a_route(double, tmp_path, HOME, launch_template="web")
    (image,) = route.place_all().values()
    ec2 = double.client("ec2")
    ec2.create_launch_template_version(
        LaunchTemplateName="theirs", LaunchTemplateData={"ImageId": image}
    )
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")
    used = route.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY])
    instance = run["Instances"][0]["InstanceId"]
    assert [usage.what for usage in used] == [
        f"instance {instance}",
        "launch template theirs version 2",
    ]
    assert used[0].since is not None


@pytest.mark.parametrize("is_mixed", [False, True])
def test_usages_when_a_group_starts_it_by_an_older_version_of_its_template_then_it_is_named(
    double: Double, tmp_path: Path, *, is_mixed: bool
) -> None:
    route = a_route(double, tmp_path, HOME)
    (image,) = route.place_all().values()
    named = an_older_version(double, image)
    mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": named}}
    a_group(double, **({"MixedInstancesPolicy": mixed} if is_mixed else {"LaunchTemplate": named}))
    used = route.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY])
    assert [usage.what for usage in used] == ["Auto Scaling group web-servers"]


def test_usages_when_the_template_of_a_group_is_gone_then_it_starts_nothing(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, HOME)
    (image,) = route.place_all().values()
    a_group(double, LaunchTemplate=an_older_version(double, image))
    double.client("ec2").delete_launch_template(LaunchTemplateName="theirs")
    assert route.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY]) == []


@pytest.mark.parametrize(("name", "used"), [("/theirs/web", True), ("/golden/web", False)])
def test_usages_when_a_template_has_it_from_a_parameter_then_it_is_named_but_for_our_own(
    double: Double, tmp_path: Path, name: str, *, used: bool
) -> None:
    route = a_route(double, tmp_path, HOME, parameter="/golden/web")
    (image,) = route.place_all().values()
    double.client("ssm").put_parameter(Name="/theirs/web", Value=image, Type="String")
    double.client("ec2").create_launch_template(
        LaunchTemplateName="theirs", LaunchTemplateData={"ImageId": f"resolve:ssm:{name}"}
    )
    found = route.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY])
    assert [usage.what for usage in found] == ["launch template theirs version 1"] * used


def test_usages_when_a_launch_configuration_has_it_then_it_is_named(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, HOME)
    (image,) = route.place_all().values()
    double.client("autoscaling").create_launch_configuration(
        LaunchConfigurationName="old", ImageId=image, InstanceType="m5.large"
    )
    used = route.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY])
    assert [usage.what for usage in used] == ["launch configuration old"]


def test_withdraw_then_nobody_may_launch_it_and_all_stays(double: Double, tmp_path: Path) -> None:
    route = a_route(double, tmp_path, OTHER, **SHARED)
    image = route.place_all()[HOME_KEY]
    withdraw(route)
    assert double.world.images.by_id[image].state == "disabled"
    theirs = double.client("ec2", OTHER)
    assert theirs.describe_images(ExecutableUsers=["self"])["Images"] == []
    (snapshot,) = double.world.snapshots.by_id.values()
    assert snapshot.shared == set()


def test_withdraw_when_it_is_a_share_then_only_its_account_loses_it(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, OTHER, THIRD, **SHARED)
    image = route.place_all()[HOME_KEY]
    withdraw(route, SHARE_KEY)
    withdraw(route, SHARE_KEY)
    assert double.world.images.by_id[image].permissions == {("UserId", THIRD)}


def test_withdraw_when_it_is_deleted_then_nothing_of_it_is_left(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    route.place_all()
    withdraw(route, delete=True)
    withdraw(route, delete=True)
    assert double.world.images.by_id == {}
    assert double.world.snapshots.by_id == {}


def test_withdraw_when_it_is_in_use_then_it_is_not_deleted(double: Double, tmp_path: Path) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    ec2 = double.client("ec2")
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")
    with pytest.raises(TargetRefused, match="ec2:DeregisterImage"):
        withdraw(route, delete=True)
    assert image in double.world.images.by_id


def test_withdraw_when_it_lost_our_tag_then_it_is_left_alone(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    tags = [{"Key": "imagebuilder:version-id"}]
    double.client("ec2").delete_tags(Resources=[image], Tags=tags)
    with pytest.raises(TargetRefused):
        withdraw(route)
    assert double.world.images.by_id[image].state == "available"


def test_withdraw_then_pointers_go_back_to_the_version_before(
    double: Double, tmp_path: Path
) -> None:
    a_template(double)
    first = a_route(double, tmp_path / "first", HOME, **POINTING)
    (before,) = first.place_all().values()
    second = a_route(double, tmp_path / "second", HOME, ami_name="second", **POINTING)
    second.version = a_version("debian-web@1.2.1/1")
    second.place_all()
    withdraw(second)
    ssm, ec2 = double.client("ssm"), double.client("ec2")
    assert ssm.get_parameter(Name="/golden/web")["Parameter"]["Value"] == before
    (version,) = ec2.describe_launch_template_versions(
        LaunchTemplateName="web", Versions=["$Default"]
    )["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["ImageId"] == before
    withdraw(first)
    assert ssm.describe_parameters()["Parameters"] == []


def test_withdraw_when_a_parameter_says_something_else_meanwhile_then_it_stays(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, HOME, parameter="/golden/web")
    route.place_all()
    ssm = double.client("ssm")
    ssm.put_parameter(Name="/golden/web", Value="ami-12345678", Type="String", Overwrite=True)
    withdraw(route)
    assert ssm.get_parameter(Name="/golden/web")["Parameter"]["Value"] == "ami-12345678"


def test_withdraw_when_an_account_has_a_copy_then_it_is_gone_there(
    double: Double, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    route = a_route(double, tmp_path, OTHER)
    route.place_all()
    withdraw(route, SHARE_KEY, delete=True)
    assert double.client("ec2", OTHER).describe_images(Owners=["self"])["Images"] == []
