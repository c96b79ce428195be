"""What Packer made in accounts of the double is found by the role that its source takes on."""

from collections.abc import Mapping

import pytest

from imagebuilder.adapters.aws.packer_sources import AmazonSources
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LivePlace, PlaceNotFound, PlacesUnavailable
from tests.aws_double import Double
from tests.aws_double.refusals import Refusal
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import FAR, Cloud, settle
from tests.clouds import ROLE, SECRETS, a_role_of

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
TAKEN = {"role_arn": f"arn:aws:iam::{OTHER}:role/{ROLE}", "external_id": "env:EXTERNAL_ID"}
SECRET = SECRETS["env:EXTERNAL_ID"].decode()


def a_source(role: Mapping[str, str]) -> PackerSource:
    return PackerSource(
        type="amazon-ebs", name="web", settings={"region": REGION, "assume_role": dict(role)}
    )


def target_of(role: Mapping[str, str], image: str) -> str:
    sources = AmazonSources(SECRETS.__getitem__)
    return sources.target_of(a_source(role), LivePlace(id=image, region=REGION))


def theirs(double: Double) -> str:
    """Give an image of the other account."""
    cloud = Cloud(double=double)
    image = cloud.image()
    cloud.share(image)
    cloud.share_storage(image)
    copied = cloud.ec2(OTHER).copy_image(Name="theirs", SourceImageId=image, SourceRegion=REGION)
    return str(copied["ImageId"])


def test_target_of_when_the_source_takes_on_a_role_then_its_external_id_is_what_the_reference_holds(
    double: Double,
) -> None:
    a_role_of(double, OTHER)
    image = theirs(double)
    assert target_of(TAKEN, image) == f"aws:{OTHER}/{REGION}"


def test_target_of_when_the_source_takes_on_no_role_then_it_is_looked_for_at_home(
    double: Double,
) -> None:
    image = Cloud(double=double).image("made-by-packer")
    assert target_of({}, image) == f"aws:{HOME}/{REGION}"


def test_target_of_when_the_image_is_of_another_account_then_it_is_not_found(
    double: Double,
) -> None:
    a_role_of(double, OTHER)
    cloud = Cloud(double=double)
    image = cloud.image()
    cloud.share(image)
    with pytest.raises(PlaceNotFound):
        target_of(TAKEN, image)


def test_target_of_when_aws_repeats_the_external_id_then_the_error_does_not(
    double: Double,
) -> None:
    said = f"Value '{SECRET}' at 'externalId' failed to satisfy constraint\n\nsigned: a-token"
    double.faults.refuse("AssumeRole", Refusal("ValidationError", said, status=400))
    with pytest.raises(PlacesUnavailable) as refused:
        target_of(TAKEN, "ami-12345678")
    told = f"{refused.value.message} {refused.value.context} {refused.value.__cause__}"
    assert "'***' at 'externalId'" in told
    assert SECRET not in told
    assert "a-token" not in told


@pytest.mark.parametrize("regions", [[FAR], ["env:FAR", REGION], f"us-east-2, {FAR}"])
def test_clear_when_images_have_names_of_their_own_then_those_of_the_run_go_in_all_regions(
    double: Double, regions: Canonical
) -> None:
    cloud = Cloud(double=double)
    here, there = cloud.ec2(), cloud.ec2(region=FAR)
    made, stays = cloud.image("mine-7"), cloud.image("mine-6")
    for image, run in ((made, "run-7"), (stays, "run-6")):
        here.create_tags(Resources=[image], Tags=[{"Key": "imagebuilder-run", "Value": run}])
    copied = there.copy_image(Name="mine-7", SourceImageId=made, SourceRegion=REGION)["ImageId"]
    snapshot = settle(there, copied)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    there.create_tags(Resources=[copied], Tags=[{"Key": "imagebuilder-run", "Value": "run-7"}])
    source = PackerSource(
        type="amazon-ebs", name="web", settings={"region": REGION, "ami_regions": regions}
    )

    sources = AmazonSources({"env:FAR": FAR.encode()}.__getitem__)

    assert sources.clear(source, RunId("run-7"), [], is_recorded=True) == []
    told = sources.clear(source, RunId("run-7"), [], is_recorded=False)

    assert [i["ImageId"] for i in here.describe_images(Owners=["self"])["Images"]] == [stays]
    assert there.describe_images(Owners=["self"])["Images"] == []
    assert f"image {copied} was deregistered" in told
    assert f"snapshot {snapshot} was deleted" in told
