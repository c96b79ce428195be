"""What is ordered of AMIs that are there already: to come back, to be otherwise, not ours."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.ports.targets import Forerunner, PlacingFailed, TargetRefused
from tests.aws_double import Double
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import Cloud
from tests.build import a_digest, a_version
from tests.clouds import (
    QuickClock,
    Route,
    a_disk,
    a_key_of,
    aws_places,
    calls_to,
    environment_at,
)

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
FAR = "us-west-2"
HOME_KEY = f"aws:{HOME}/{REGION}"
GIB = 1 << 30


def a_route(double: Double, folder: Path, **more: Any) -> Route:
    folder.mkdir(exist_ok=True)
    return Route(
        carrier=AwsCarrier(calls_to(double)),
        places=aws_places(HOME, **more),
        disk=a_disk(folder / "raw", {0: b"boot"}),
        scratch=folder,
    )


def ordered_anew(route: Route, **more: Any) -> Route:
    """Give the same delivery as its document says now."""
    return replace(route, places=replace(route.places, **more))


def withdraw(route: Route, *, delete: bool = False) -> None:
    route.carrier.withdraw(route.target(HOME_KEY), route.placed[HOME_KEY], delete=delete)


@pytest.mark.parametrize("delete", [False, True])
def test_withdraw_when_the_credentials_are_of_another_account_then_says_so(
    double: Double, tmp_path: Path, *, delete: bool
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    with environment_at(double.endpoint, OTHER):
        stranger = replace(route, carrier=AwsCarrier(calls_to(double, QuickClock())))
        with pytest.raises(TargetRefused, match="GetCallerIdentity") as refused:
            withdraw(stranger, delete=delete)
        with pytest.raises(TargetRefused):
            stranger.carrier.usages(route.target(HOME_KEY), route.placed[HOME_KEY])
        with pytest.raises(TargetRefused):
            stranger.carrier.drifts(route.target(HOME_KEY), route.placed[HOME_KEY])
    assert f"of account {OTHER}" in refused.value.context
    assert double.world.images.by_id[image].state == "available"


def test_place_when_it_was_withdrawn_before_then_it_is_brought_back(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, parameter="/golden/web")
    (image,) = route.place_all().values()
    withdraw(route)
    again = replace(route, order="second", placed={})

    assert again.place_all() == {HOME_KEY: image}

    shown = double.world.images.by_id[image]
    assert shown.state == "available"
    parameter = double.client("ssm").get_parameter(Name="/golden/web")["Parameter"]
    assert parameter["Value"] == image
    assert list(again.carrier.drifts(again.target(HOME_KEY), again.placed[HOME_KEY])) == []
    assert again.place_all() == {HOME_KEY: image}


def test_place_when_the_name_is_that_of_another_version_withdrawn_before_then_is_refused(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    withdraw(route)
    other = replace(route, version=a_version("debian-web@1.2.1/1"), order="other", placed={})
    with pytest.raises(TargetRefused, match="RegisterImage"):
        other.place_all()
    assert double.world.images.by_id[image].state == "disabled"


def test_place_when_the_document_names_a_key_now_then_says_that_it_is_not_encrypted_with_it(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    key = a_key_of(double, HOME, REGION)
    with pytest.raises(PlacingFailed) as failed:
        ordered_anew(route, keys={REGION: key}).place_all()
    assert f"{image} is encrypted with no key, not with {key}" in failed.value.context
    assert "--delete" in failed.value.hint


def test_place_when_tags_are_others_now_then_image_and_snapshot_have_them(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, tags={"team": "web"})
    (image,) = route.place_all().values()
    ordered_anew(route, tags={"team": "mail"}).place_all()
    ec2 = double.client("ec2")
    shown = ec2.describe_images(ImageIds=[image])["Images"][0]
    snapshot = shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    for resource in (shown, ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]):
        assert {"Key": "team", "Value": "mail"} in resource["Tags"]


def test_place_when_the_name_is_another_now_then_a_copy_of_that_name_is_made_too(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, regions=(REGION, FAR))
    before = route.place_all()
    after = ordered_anew(route, ami_name="renamed-{version}").place_all()
    copies = [placed[f"aws:{HOME}/{FAR}"] for placed in (before, after)]
    assert len(set(copies)) == 2
    assert [double.world.images.by_id[copy].state for copy in copies] == ["available"] * 2


def test_place_when_it_is_to_be_deprecated_at_another_time_then_it_will_be(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, deprecate_after_seconds=86400)
    (image,) = route.place_all().values()
    ordered_anew(route, deprecate_after_seconds=2 * 86400).place_all()
    shown = double.client("ec2").describe_images(ImageIds=[image])["Images"][0]
    made_at = datetime.fromisoformat(shown["CreationDate"])
    until = datetime.fromisoformat(shown["DeprecationTime"])
    assert timedelta(days=2) <= until - made_at <= timedelta(days=2, minutes=1)


def test_place_when_packer_made_it_there_then_it_is_tagged_and_pointed_to(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path, parameter="/golden/web", tags={"team": "web"})
    image, target = Cloud(double=double).image("packer 1"), route.target(HOME_KEY)

    placed = route.carrier.place(
        target, replace(route.shipment(target), there=image), lambda _: None
    )

    assert placed.external_id == image
    assert list(double.world.images.by_id) == [image]
    shown = double.client("ec2").describe_images(ImageIds=[image])["Images"][0]
    tags = {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
    assert (tags["team"], tags["imagebuilder:version-id"]) == ("web", route.version.id)
    # Blocks of our disk are not the changes of one that we never saw.
    assert not any("disk-sha256" in name for name in (*tags, *placed.traits))
    assert shown["Name"] == "packer 1"
    parameter = double.client("ssm").get_parameter(Name="/golden/web")["Parameter"]
    assert parameter["Value"] == image


def test_place_when_the_disk_is_smaller_than_that_of_the_version_before_then_all_is_sent(
    double: Double, tmp_path: Path
) -> None:
    first = a_route(double, tmp_path / "first")
    first.disk = a_disk(tmp_path / "large", {0: b"boot"}, 2 * GIB)
    first.place_all()
    second = a_route(double, tmp_path / "second", ami_name="second")
    second.version = a_version("debian-web@1.2.1/1", disk_digest=a_digest("second"))
    second.forerunner = Forerunner(
        placement=first.placed[HOME_KEY],
        disk_digest=first.version.disk_digest,
        disk=lambda: nullcontext(first.disk),
    )
    (image,) = second.place_all().values()
    (snapshot,) = double.world.images.by_id[image].snapshots
    assert double.world.snapshots.by_id[snapshot].parent is None
    assert double.world.snapshots.by_id[snapshot].size_gib == 1


def test_place_again_when_somebody_drafted_upon_our_template_version_then_it_stays_a_draft(
    double: Double, tmp_path: Path
) -> None:
    ec2 = double.client("ec2")
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"}
    )
    before = a_route(double, tmp_path / "before", ami_name="before", launch_template="web")
    before.version = a_version("debian-web@1.1.0/1")
    before.place_all()
    route = a_route(double, tmp_path / "route", launch_template="web")
    route.place_all()
    ec2.create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="3", LaunchTemplateData={"InstanceType": "c5.large"}
    )

    route.place_all()
    assert default_version(double) == 3

    withdraw(route)
    assert default_version(double) == 2


def default_version(double: Double) -> int:
    (template,) = double.client("ec2").describe_launch_templates(LaunchTemplateNames=["web"])[
        "LaunchTemplates"
    ]
    return int(template["DefaultVersionNumber"])
