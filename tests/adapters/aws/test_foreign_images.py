"""The disks of AMIs of the double, fetched so that they can be recorded."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.aws.foreign_images import AwsImages
from imagebuilder.domain.recipe import AmiParent
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.targets import TargetRefused
from tests.aws_double import Double
from tests.aws_double.faults import Fault, Target
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import OTHER, Cloud
from tests.clouds import ROLE, QuickClock, Route, a_disk, a_role_of, aws_places, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

AMI = AmiParent(ami="ami-12345678", region=REGION)


def images(double: Double, tmp_path: Path) -> AwsImages:
    return AwsImages(calls_to(double), lambda: nullcontext(tmp_path))


def test_fetched_when_it_is_an_account_s_own_then_is_its_disk(
    double: Double, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    route = Route(
        carrier=AwsCarrier(calls_to(double)),
        places=aws_places(OTHER),
        disk=a_disk(tmp_path / "raw", {0: b"boot", 9: b"root"}),
        scratch=tmp_path,
    )
    image = route.place_all()[f"aws:{OTHER}/{REGION}"]
    role = f"arn:aws:iam::{OTHER}:role/{ROLE}"
    reference = AmiParent(ami=image, region=REGION, role=role, external_id="env:EXTERNAL_ID")

    with (
        images(double, tmp_path).fetched(reference, lambda _: None) as fetched,
        Path(fetched.file).open("rb") as read,
    ):
        is_same = read.read(route.disk.stat().st_size) == route.disk.read_bytes()

    assert is_same
    assert fetched.source == f"ami:{REGION}/{image}"


def refused(double: Double, tmp_path: Path, ami: AmiParent) -> TargetRefused:
    with (
        pytest.raises(TargetRefused) as caught,
        images(double, tmp_path).fetched(ami, lambda _: None),
    ):
        pytest.fail("it cannot be read")
    return caught.value


def test_fetched_when_nobody_sees_it_then_says_where_it_was_looked_for(
    double: Double, tmp_path: Path
) -> None:
    told = refused(double, tmp_path, AMI)

    assert told.message == f"ami:{REGION}/ami-12345678 refused ec2:DescribeImages."
    assert told.context == f"Account {HOME} sees no ami-12345678 in region {REGION}."
    assert f"share it with account {HOME}" in told.hint


def test_fetched_when_its_snapshot_may_not_be_read_then_says_how_it_could_be(
    double: Double, tmp_path: Path
) -> None:
    cloud = Cloud(double=double)
    image = cloud.image()
    cloud.share(image, OTHER)
    a_role_of(double, OTHER)
    role = f"arn:aws:iam::{OTHER}:role/{ROLE}"
    ami = AmiParent(ami=image, region=REGION, role=role, external_id="env:EXTERNAL_ID")

    told = refused(double, tmp_path, ami)

    assert told.message == f"ami:{REGION}/{image} refused ebs:ListSnapshotBlocks."
    assert f"account {OTHER}, region {REGION}" in told.context
    assert told.hint.endswith(f"copy the AMI into account {OTHER} first.")


def test_fetched_when_its_root_is_no_volume_then_says_which_it_takes(
    double: Double, tmp_path: Path
) -> None:
    image = Cloud(double=double).image()
    double.world.images.by_id[image].mappings = []

    told = refused(double, tmp_path, AmiParent(ami=image, region=REGION))

    assert f"no snapshot of a root volume (aws:{HOME}/{REGION})" in told.context


def test_fetched_when_there_are_no_credentials_then_says_so(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    clock = QuickClock()
    fetcher = AwsImages(calls_to(double, clock), lambda: nullcontext(tmp_path))

    with (
        pytest.raises(TargetRefused, match="refused sts:GetCallerIdentity") as caught,
        fetcher.fetched(AMI, lambda _: None),
    ):
        pytest.fail("nobody asks")

    assert REGION in caught.value.context
    assert caught.value.hint.startswith("Give credentials")


@pytest.mark.parametrize(
    ("region", "hint"),
    [
        ("eu-centrall-1", "No region eu-centrall-1 is known here. Did you mean eu-central-1?"),
        (REGION, "Try again later; nothing was recorded."),
    ],
)
def test_fetched_when_nobody_answers_then_a_region_that_is_not_known_is_told(
    double: Double, tmp_path: Path, region: str, hint: str
) -> None:
    if region == REGION:
        double.faults.add(Fault(kind="cut", target=Target(operation="GetCallerIdentity")))
    ami = AmiParent(ami="ami-12345678", region=region)

    with (
        pytest.raises(TargetUnavailable, match="does not answer sts:GetCallerIdentity") as caught,
        images(double, tmp_path).fetched(ami, lambda _: None),
    ):
        pytest.fail("nobody answers")

    assert caught.value.hint == hint
