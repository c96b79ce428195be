"""The disks of AMIs of the double, fetched so that they can be recorded."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.aws.foreign_images import AwsImages
from imagebuilder.ports.foreign import AmiReference
from imagebuilder.ports.targets import TargetRefused
from tests.aws_double import Double
from tests.aws_double.serving import REGION
from tests.clouds import ROLE, Route, a_disk, a_role_of, aws_places, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"


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
    reference = AmiReference(image=image, region=REGION, role=role, external_id="env:EXTERNAL_ID")

    with (
        images(double, tmp_path).fetched(reference, lambda _: None) as fetched,
        Path(fetched.file).open("rb") as read,
    ):
        is_same = read.read(route.disk.stat().st_size) == route.disk.read_bytes()

    assert is_same
    assert fetched.source == f"ami:{REGION}/{image}"


def test_fetched_when_nobody_sees_it_then_says_where_it_was_looked_for(
    double: Double, tmp_path: Path
) -> None:
    reference = AmiReference(image="ami-12345678", region=REGION)

    with (
        pytest.raises(TargetRefused, match=f"ami:{REGION}/ami-12345678 refused") as refused,
        images(double, tmp_path).fetched(reference, lambda _: None),
    ):
        pytest.fail("there is none")

    assert REGION in refused.value.context
