"""What speaks against a target of the double is told before anything is brought there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.accounts import Accounts
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import Access, Delivery
from tests.aws_double import Double
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import Cloud
from tests.clouds import (
    ROLE,
    SECRETS,
    Route,
    a_key_of,
    a_role_of,
    aws_places,
    environment_at,
    no_pause,
)

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
FAR = "us-west-2"
HOME_KEY = f"aws:{HOME}/{REGION}"
OTHER_KEY = f"aws:{OTHER}/{FAR}"


def calls_with(double: Double, secrets: Mapping[str, bytes]) -> Calls:
    accounts = Accounts(secrets.__getitem__, endpoint=double.endpoint)
    return Calls(accounts, SystemClock(), pause=no_pause)


def objections(double: Double, key: str, *accounts: str, **more: Any) -> list[Objection]:
    secrets = more.pop("secrets", SECRETS)
    route = Route(
        carrier=AwsCarrier(calls_with(double, secrets)),
        places=aws_places(*accounts, regions=(FAR,), **more),
        disk=Path("none"),
        scratch=Path("none"),
    )
    takers = route.targets[1:] if key == HOME_KEY else ()
    return list(route.carrier.hindrances(route.target(key), route.version, takers))


def only(found: list[Objection]) -> str:
    (objection,) = found
    return f"{objection.reason} {objection.remedy}"


def test_hindrances_when_all_is_well_then_there_are_none(double: Double) -> None:
    a_role_of(double, OTHER)
    assert objections(double, HOME_KEY, OTHER) == []
    assert objections(double, OTHER_KEY, OTHER) == []


def test_hindrances_then_nothing_is_changed(double: Double) -> None:
    a_role_of(double, OTHER)
    objections(double, OTHER_KEY, OTHER, launch_template="web", parameter="/p")
    called = {call.operation for call in double.log.calls(account=OTHER)}
    assert {name for name in called if not name.startswith(("Describe", "Get", "Create"))} == set()


def test_hindrances_when_there_are_no_credentials_then_says_so(
    double: Double, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = only(objections(double, HOME_KEY, OTHER))
    assert HOME_KEY in said
    assert "Give credentials" in said


def test_hindrances_when_the_credentials_are_of_another_account_then_names_both(
    double: Double,
) -> None:
    with environment_at(double.endpoint, OTHER):
        said = only(objections(double, HOME_KEY, OTHER))
    assert HOME_KEY in said
    assert f"of account {OTHER}" in said


def test_hindrances_when_the_external_id_is_wrong_then_names_call_role_and_reference(
    double: Double,
) -> None:
    a_role_of(double, OTHER)
    said = only(objections(double, OTHER_KEY, OTHER, secrets={"env:EXTERNAL_ID": b"wrong"}))
    assert "sts:AssumeRole" in said
    assert f"arn:aws:iam::{OTHER}:role/{ROLE}" in said
    assert "env:EXTERNAL_ID" in said
    assert "wrong" not in said


def test_hindrances_when_the_region_is_not_enabled_then_names_it(double: Double) -> None:
    a_role_of(double, OTHER)
    double.accounts.disable_region(OTHER, FAR)
    said = only(objections(double, OTHER_KEY, OTHER))
    assert f"Enable the region {FAR} in account {OTHER}" in said


def test_hindrances_when_a_key_is_not_there_then_names_it(double: Double) -> None:
    a_role_of(double, OTHER)
    said = only(objections(double, OTHER_KEY, OTHER, keys={FAR: "alias/none"}))
    assert f"{OTHER_KEY} refuses kms:DescribeKey" in said
    assert "kms:DescribeKey" in said


def test_hindrances_when_the_key_of_home_does_not_admit_the_account_then_names_the_grant(
    double: Double,
) -> None:
    a_role_of(double, OTHER)
    closed = a_key_of(double, HOME, REGION)
    said = only(objections(double, OTHER_KEY, OTHER, keys={REGION: closed}))
    assert f"aws:{OTHER}/{REGION} refuses kms:DescribeKey" in said
    assert "GenerateDataKeyWithoutPlaintext" in said
    admitted = a_key_of(double, HOME, REGION, OTHER)
    assert objections(double, OTHER_KEY, OTHER, keys={REGION: admitted}) == []


@pytest.mark.parametrize("delivery", list(Delivery))
def test_hindrances_when_home_encrypts_with_its_default_key_then_it_cannot_be_shared(
    double: Double, delivery: Delivery
) -> None:
    double.client("ec2").enable_ebs_encryption_by_default()
    said = only(objections(double, HOME_KEY, OTHER, delivery=delivery))
    assert "GetEbsEncryptionByDefault" in said
    assert f"Name a key of account {HOME}" in said


def test_hindrances_when_only_another_entry_shares_the_home_then_its_default_key_is_in_the_way(
    double: Double,
) -> None:
    double.client("ec2").enable_ebs_encryption_by_default()
    sharing = Route(
        carrier=AwsCarrier(calls_with(double, SECRETS)),
        places=aws_places(OTHER, delivery=Delivery.SHARE),
        disk=Path("none"),
        scratch=Path("none"),
    )
    kept = replace(sharing, places=aws_places(HOME, access=Access()))
    home, takers = kept.target(HOME_KEY), [t for t in sharing.targets if t.after == HOME_KEY]

    assert list(kept.carrier.hindrances(home, kept.version)) == []
    assert "GetEbsEncryptionByDefault" in only(
        list(kept.carrier.hindrances(home, kept.version, takers))
    )


def test_hindrances_when_the_name_is_taken_then_names_the_image(double: Double) -> None:
    image = Cloud(double=double).image("debian-web-1.2.0-1")
    said = only(objections(double, HOME_KEY, OTHER))
    assert image in said
    assert "debian-web-1.2.0-1" in said


def test_hindrances_when_there_is_no_such_launch_template_then_names_it(double: Double) -> None:
    a_role_of(double, OTHER)
    said = only(objections(double, OTHER_KEY, OTHER, launch_template="web"))
    assert f"{OTHER_KEY} has no launch template web" in said


def test_hindrances_when_a_share_needs_no_entering_then_nothing_is_asked(double: Double) -> None:
    key = f"aws:{OTHER}/{FAR}"
    found = objections(double, key, OTHER, delivery=Delivery.SHARE, access=Access())
    assert found == []
    assert double.log.count("AssumeRole") == 0
