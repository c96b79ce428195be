"""Versions become AMIs of the double in one account, are copied, shared and pointed to."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.target import Access, Audience, Delivery
from imagebuilder.ports.targets import Forerunner, TargetRefused
from tests.aws_double import Double
from tests.aws_double.calls import OK
from tests.aws_double.organization import join
from tests.aws_double.refusals import Refusal
from tests.aws_double.serving import HOME, REGION
from tests.build import a_digest, a_version
from tests.clouds import (
    AT_HOME,
    Route,
    a_disk,
    a_key_of,
    a_role_of,
    a_unit_of,
    aws_places,
    calls_to,
    launch,
)

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
THIRD = "333333333333"
FAR = "us-west-2"
HOME_KEY = f"aws:{HOME}/{REGION}"


def a_route(double: Double, tmp_path: Path, *accounts: str, **more: Any) -> Route:
    return Route(
        carrier=AwsCarrier(calls_to(double)),
        places=aws_places(*accounts, **more),
        disk=a_disk(tmp_path / "raw", {0: b"boot", 5: b"root"}),
        scratch=tmp_path,
    )


def image_at(double: Double, key: str, image: str) -> Any:
    """Give an AMI as the account of a target sees it."""
    account, _, region = key.removeprefix("aws:").partition("/")
    ec2 = double.client("ec2", account, region)
    (found,) = ec2.describe_images(ImageIds=[image])["Images"]
    return found


def test_place_at_home_then_the_image_is_of_the_disk_and_as_it_should_be(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, tags={"stage": "{image} in {region}"})
    (target,) = route.targets
    placement = route.place(target)
    image = image_at(double, HOME_KEY, placement.external_id)
    assert image["Name"] == "debian-web-1.2.0-1"
    assert (image["Architecture"], image["BootMode"]) == ("x86_64", "legacy-bios")
    assert (image["ImdsSupport"], image["EnaSupport"]) == ("v2.0", True)
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    assert tags["stage"] == f"debian-web in {REGION}"
    assert tags["imagebuilder:version-id"] == route.version.id
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert placement.traits["snapshot"] == snapshot
    reading = SnapshotReading(calls_to(double))
    reading.read(AT_HOME, snapshot, tmp_path / "back", lambda _: None)
    with (tmp_path / "back").open("rb") as back:
        is_same = back.read(route.disk.stat().st_size) == route.disk.read_bytes()
    assert is_same


def test_place_when_copies_go_to_regions_and_accounts_then_each_has_its_own(
    double: Double, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    route = a_route(double, tmp_path, HOME, OTHER, regions=(REGION, FAR))
    placed = route.place_all()
    assert list(placed) == [
        HOME_KEY,
        f"aws:{HOME}/{FAR}",
        f"aws:{OTHER}/{REGION}",
        f"aws:{OTHER}/{FAR}",
    ]
    assert len(set(placed.values())) == 4
    for key, image in placed.items():
        owner = key.removeprefix("aws:").partition("/")[0]
        assert image_at(double, key, image)["OwnerId"] == owner
    assert double.log.count("StartSnapshot") == 1


def test_place_again_then_nothing_is_made_again(double: Double, tmp_path: Path) -> None:
    a_role_of(double, OTHER)
    route = a_route(double, tmp_path, OTHER, regions=(FAR,))
    first = route.place_all()
    double.log.clear()
    assert route.place_all() == first
    made = {call.operation for call in double.log.calls()} & {
        "StartSnapshot",
        "PutSnapshotBlock",
        "RegisterImage",
        "CopyImage",
    }
    assert made == set()


def test_place_when_it_is_shared_then_accounts_units_and_organizations_may_launch_it(
    double: Double, tmp_path: Path
) -> None:
    unit_id = a_unit_of(double, THIRD)["Id"]
    route = a_route(
        double,
        tmp_path,
        regions=(REGION, FAR),
        delivery=Delivery.SHARE,
        audience=Audience(accounts=(OTHER,), organizational_units=(unit_id,)),
        access=Access(),
    )
    placed = route.place_all()
    assert list(placed) == [
        HOME_KEY,
        f"aws:{HOME}/{FAR}",
        f"aws:{OTHER}/{REGION}",
        f"aws:{OTHER}/{FAR}",
        f"aws:{unit_id}/{REGION}",
        f"aws:{unit_id}/{FAR}",
    ]
    for account in (OTHER, THIRD):
        launch(double, account, FAR, placed[f"aws:{HOME}/{FAR}"])


def test_targets_when_units_get_copies_then_they_are_their_accounts(
    double: Double, tmp_path: Path
) -> None:
    unit = a_unit_of(double, OTHER)
    organizations = double.client("organizations")
    below = organizations.create_organizational_unit(ParentId=unit["Id"], Name="x")
    join(HOME, THIRD, below["OrganizationalUnit"]["Id"])
    audience = Audience(organizational_units=(unit["Arn"],))
    route = a_route(double, tmp_path, audience=audience)
    assert [target.key for target in route.targets[1:]] == [
        f"aws:{OTHER}/{REGION}",
        f"aws:{THIRD}/{REGION}",
    ]


def test_targets_when_only_others_use_the_images_then_the_homes_own_are_implied(
    double: Double, tmp_path: Path
) -> None:
    regions, audience = (REGION, FAR), Audience(accounts=(OTHER,))

    shared = a_route(double, tmp_path, regions=regions, delivery=Delivery.SHARE, audience=audience)
    copied = a_route(double, tmp_path, regions=(FAR,), audience=Audience(accounts=(HOME, OTHER)))

    implied = [t.key for t in shared.targets if t.is_implied]
    assert implied == [HOME_KEY, f"aws:{HOME}/{FAR}"]
    assert [t.key for t in copied.targets if t.is_implied] == [HOME_KEY]


@pytest.mark.parametrize("is_in_one", [False, True])
def test_targets_when_the_unit_is_not_of_the_home_s_organization_then_says_what_to_do(
    double: Double, tmp_path: Path, *, is_in_one: bool
) -> None:
    if is_in_one:
        double.client("organizations").create_organization(FeatureSet="ALL")
    audience = Audience(organizational_units=("ou-aaaa-bbbbbbbb",))
    route = a_route(double, tmp_path, audience=audience)

    with pytest.raises(TargetRefused, match="DescribeOrganizationalUnit") as refused:
        _ = route.targets

    assert HOME in refused.value.context
    assert f"the organization that account {HOME} belongs to" in refused.value.hint


def test_targets_when_the_organization_is_another_one_then_it_is_refused(
    double: Double, tmp_path: Path
) -> None:
    double.client("organizations").create_organization(FeatureSet="ALL")
    audience = Audience(organizations=("o-aaaaaaaaaa",))
    route = a_route(double, tmp_path, audience=audience)
    with pytest.raises(TargetRefused, match="organizations:DescribeOrganization") as refused:
        _ = route.targets
    assert HOME in refused.value.context
    assert "o-aaaaaaaaaa" in refused.value.context


def test_place_when_copies_of_the_region_queue_up_then_it_waits_for_its_turn(
    double: Double, tmp_path: Path
) -> None:
    said = "Maximum of 20 concurrent snapshot copies in this Region exceeded."
    double.faults.refuse("CopyImage", Refusal("ResourceLimitExceeded", said), times=12)
    route = a_route(double, tmp_path, HOME, regions=(FAR,))

    for target in route.targets:
        route.place(target)

    assert double.log.count("CopyImage", outcome=OK) == 1


def test_place_when_regions_have_keys_then_each_copy_is_encrypted_with_its_own(
    double: Double, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    keys = {
        REGION: a_key_of(double, HOME, REGION, OTHER),
        FAR: a_key_of(double, OTHER, FAR),
    }
    route = a_route(double, tmp_path, OTHER, regions=(FAR,), keys=keys)
    placed = route.place_all()
    assert route.placed[f"aws:{OTHER}/{FAR}"].traits["key"] == keys[FAR]
    launch(double, OTHER, FAR, placed[f"aws:{OTHER}/{FAR}"])


def test_place_then_parameter_and_launch_template_point_to_it_and_it_will_be_deprecated(
    double: Double, tmp_path: Path
) -> None:
    ec2, ssm = double.client("ec2"), double.client("ssm")
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"}
    )
    route = a_route(
        double,
        tmp_path,
        HOME,
        parameter="/golden/{image}",
        launch_template="web",
        deprecate_after_seconds=86400,
    )
    (image,) = route.place_all().values()
    assert ssm.get_parameter(Name="/golden/debian-web")["Parameter"]["Value"] == image
    (version,) = ec2.describe_launch_template_versions(
        LaunchTemplateName="web", Versions=["$Default"]
    )["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == {"ImageId": image, "InstanceType": "m5.large"}
    assert image_at(double, HOME_KEY, image)["DeprecationTime"]
    route.place_all()
    assert double.log.count("CreateLaunchTemplateVersion") == 1
    assert double.log.count("PutParameter") == 1


def test_place_when_the_name_is_of_a_foreign_image_then_it_is_named(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    double.client("ec2").create_tags(
        Resources=[image], Tags=[{"Key": "imagebuilder:token", "Value": "other"}]
    )
    with pytest.raises(TargetRefused) as refused:
        route.place(route.targets[0])
    assert image in refused.value.context
    assert "debian-web-1.2.0-1" in refused.value.context


def test_place_when_the_answer_to_a_registration_is_lost_then_there_is_one_image(
    double: Double, tmp_path: Path
) -> None:
    double.faults.cut_after("RegisterImage")
    route = a_route(double, tmp_path)
    placed = route.place_all()
    assert list(double.world.images.by_id) == list(placed.values())


def a_successor(double: Double, tmp_path: Path, first: Route, before: Placement) -> Route:
    """Give the way of a second version, whose disk differs in one of two blocks."""
    second = a_route(double, tmp_path, ami_name="second")
    second.version = a_version("debian-web@1.2.1/1", disk_digest=a_digest("second"))
    second.disk = a_disk(tmp_path / "second", {0: b"boot", 5: b"other"})
    second.forerunner = Forerunner(
        placement=before,
        disk_digest=first.version.disk_digest,
        disk=lambda: nullcontext(first.disk),
    )
    double.log.clear()
    return second


def test_place_when_a_forerunner_is_there_then_only_changes_are_sent(
    double: Double, tmp_path: Path
) -> None:
    first = a_route(double, tmp_path)
    first.place_all()
    second = a_successor(double, tmp_path, first, first.placed[HOME_KEY])
    second.place_all()
    assert double.log.count("PutSnapshotBlock") == 1


def test_place_when_the_forerunner_was_not_made_of_its_disk_then_all_is_sent(
    double: Double, tmp_path: Path
) -> None:
    first = a_route(double, tmp_path)
    first.place_all()
    told = replace(first.placed[HOME_KEY], traits={})
    second = a_successor(double, tmp_path, first, told)
    second.place_all()
    assert double.log.count("PutSnapshotBlock") == 2


def test_place_when_there_is_a_bucket_to_export_to_then_the_home_is_stored_there_once(
    double: Double, tmp_path: Path
) -> None:
    where = {"LocationConstraint": REGION}
    double.client("s3").create_bucket(Bucket="images", CreateBucketConfiguration=where)
    route = a_route(double, tmp_path, regions=(FAR,), export_bucket="images")
    image = route.place_all()[HOME_KEY]
    assert route.placed[HOME_KEY].traits["export"] == f"s3://images/{image}.bin"
    route.place_all()
    assert double.log.count("CreateStoreImageTask") == 1


def test_place_when_an_export_failed_before_then_the_new_one_is_waited_for(
    double: Double, tmp_path: Path
) -> None:
    where = {"LocationConstraint": REGION}
    double.client("s3").create_bucket(Bucket="images", CreateBucketConfiguration=where)
    plain = a_route(double, tmp_path, regions=(FAR,))
    image = plain.place_all()[HOME_KEY]
    failed = {"AmiId": image, "Bucket": "images", "StoreTaskState": "Failed"}
    started = double.world.clock.now() - timedelta(days=1)
    double.world.store_tasks.append({**failed, "TaskStartTime": started})
    route = replace(plain, places=replace(plain.places, export_bucket="images"))
    route.place_all()
    assert route.placed[HOME_KEY].traits["export"] == f"s3://images/{image}.bin"
    assert double.world.store_tasks[-1]["StoreTaskState"] == "Completed"


def test_place_when_the_bucket_is_not_there_then_says_which_call_was_refused(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, export_bucket="images")
    with pytest.raises(TargetRefused, match="ec2:CreateStoreImageTask"):
        route.place_all()
