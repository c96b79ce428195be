"""Calls are paced, tried again while that helps, and made in the name of the right account."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imagebuilder.adapters.aws.accounts import Accounts, Entrance, role_arn
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.pacing import Pacing
from imagebuilder.domain.target import Access, TargetUnavailable
from tests.aws_double import Double
from tests.aws_double.serving import HOME, REGION
from tests.clouds import AT_HOME, ROLE, SECRETS, QuickClock, a_role_of, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

ACCESS = Access(role=ROLE, external_id="env:EXTERNAL_ID")


def who(calls: Calls, entrance: Entrance) -> Any:
    return calls.call(entrance, "sts:GetCallerIdentity")["Account"]


def test_call_when_many_threads_call_for_many_accounts_then_each_is_who_it_should_be(
    double: Double,
) -> None:
    accounts = [f"2000000000{number:02d}" for number in range(6)]
    for account in accounts:
        a_role_of(double, account)
    entrances = [
        Entrance(account=account, region=region, access=ACCESS)
        for region in (REGION, "us-west-2")
        for account in accounts
    ] * 4
    calls = Calls(Accounts(SECRETS.__getitem__, endpoint=double.endpoint), QuickClock())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda entrance: who(calls, entrance), entrances))
    assert found == [entrance.account for entrance in entrances]
    assert double.log.count("AssumeRole") == len(accounts)


def test_call_when_credentials_expired_then_the_account_is_entered_anew(double: Double) -> None:
    a_role_of(double, "222222222222")
    entrance = Entrance(account="222222222222", region=REGION, access=ACCESS)
    calls = Calls(Accounts(SECRETS.__getitem__, endpoint=double.endpoint), QuickClock())
    assert who(calls, entrance) == "222222222222"
    double.world.clock.advance(hours=2)
    assert who(calls, entrance) == "222222222222"
    assert double.log.count("AssumeRole") == 2


def test_call_when_a_region_is_down_then_it_is_unavailable_after_some_attempts(
    double: Double,
) -> None:
    double.faults.region_down(REGION)
    clock = QuickClock()
    with pytest.raises(TargetUnavailable, match=f"aws:{HOME}/{REGION} does not answer"):
        who(calls_to(double, clock), AT_HOME)
    assert 0 < clock.monotonic() < 60


def test_call_when_it_is_refused_then_it_is_not_tried_again(double: Double) -> None:
    with pytest.raises(CallRefused) as refused:
        calls_to(double).call(AT_HOME, "ec2:DescribeImages", ImageIds=["ami-12345678"])
    assert refused.value.code == "InvalidAMIID.NotFound"
    assert double.log.count("DescribeImages") == 1


def test_call_when_the_secret_is_wrong_then_the_error_does_not_tell_it(double: Double) -> None:
    a_role_of(double, "222222222222")
    entrance = Entrance(account="222222222222", region=REGION, access=ACCESS)
    secrets = {"env:EXTERNAL_ID": b"not-this-one"}
    calls = Calls(Accounts(secrets.__getitem__, endpoint=double.endpoint), QuickClock())
    with pytest.raises(CallRefused) as refused:
        who(calls, entrance)
    assert refused.value.call == "sts:AssumeRole"
    assert "not-this-one" not in str(refused.value)


def test_wait_when_a_bucket_is_empty_then_calls_come_at_its_rate() -> None:
    clock = QuickClock()
    pacing = Pacing(clock, clock.pause)
    for _ in range(55):
        pacing.wait("1", "eu", "ec2:CopyImage")
    assert clock.monotonic() == pytest.approx(1.0)
    pacing.wait("2", "eu", "ec2:CopyImage")
    pacing.wait("1", "us", "ec2:CopyImage")
    pacing.wait("1", "eu", "ec2:DescribeImages")
    assert clock.monotonic() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("role", "region", "arn"),
    [
        ("golden", "eu-west-1", "arn:aws:iam::123456789012:role/golden"),
        ("golden", "cn-north-1", "arn:aws-cn:iam::123456789012:role/golden"),
        ("arn:aws:iam::{account}:role/x/y", "eu", "arn:aws:iam::123456789012:role/x/y"),
    ],
    ids=["a bare name", "in China", "an ARN with the account left out"],
)
def test_role_arn_then_is_of_the_account(role: str, region: str, arn: str) -> None:
    entrance = Entrance(account="123456789012", region=region, access=Access(role=role))
    assert role_arn(entrance) == arn
