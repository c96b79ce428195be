"""The double as a server: who is let in, what goes wrong on purpose, what it remembers."""

import concurrent.futures
import os
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, HTTPClientError

from tests.aws_double import Double
from tests.aws_double.accounts import Caller
from tests.aws_double.refusals import Refusal
from tests.aws_double.serving import HOME
from tests.aws_double_tests.blocks import a_block, put
from tests.aws_double_tests.refused import refused

OTHER = "222222222222"
NO_BLOCK = "snap-00000000000000000"


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_snapshots", "AuthFailure"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_an_unknown_key_is_refused_in_the_words_of_the_service(
    double: Double, service: str, call: str, code: str
) -> None:
    client = double.client(service, aws_access_key_id="AKIASOMEBODYELSE0000")
    with refused(code):
        getattr(client, call)()


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_snapshots", "RequestExpired"),
        ("ssm", "describe_parameters", "ExpiredTokenException"),
        ("s3", "list_buckets", "ExpiredToken"),
    ],
)
def test_a_session_that_is_over_is_refused(
    double: Double, service: str, call: str, code: str
) -> None:
    session = _session(double, seconds=900)
    client = double.client(service, **session)
    getattr(client, call)()
    double.world.clock.advance(seconds=901)
    with refused(code):
        getattr(client, call)()


def test_a_session_without_its_token_is_refused(double: Double) -> None:
    session = _session(double, seconds=900) | {"aws_session_token": "made up"}
    with refused("AuthFailure"):
        double.client("ec2", **session).describe_snapshots()


def _session(double: Double, *, seconds: int) -> dict[str, str]:
    caller = Caller(account=OTHER, arn=f"arn:aws:sts::{OTHER}:assumed-role/r/s", user_id="r:s")
    session = double.accounts.begin_session(caller, double.world.clock.now(), seconds)
    assert session.expires_at - double.world.clock.now() <= timedelta(seconds=seconds)
    return {
        "aws_access_key_id": session.access_key,
        "aws_secret_access_key": session.secret,
        "aws_session_token": session.token,
    }


def test_a_region_that_is_not_enabled_is_refused_to_that_account_alone(double: Double) -> None:
    double.accounts.disable_region(HOME, "ap-east-1")
    with refused("AuthFailure"):
        double.client("ec2", region="ap-east-1").describe_snapshots()
    double.client("ec2", OTHER, "ap-east-1").describe_snapshots()
    double.accounts.enable_region(HOME, "ap-east-1")
    double.client("ec2", region="ap-east-1").describe_snapshots()


def test_a_region_that_is_not_enabled_is_listed_as_such_only_when_all_are(double: Double) -> None:
    double.accounts.disable_region(HOME, "ap-east-1")
    ec2 = double.client("ec2")
    enabled = {one["RegionName"] for one in ec2.describe_regions()["Regions"]}
    every = ec2.describe_regions(AllRegions=True)["Regions"]
    assert {one["RegionName"] for one in every} - enabled == {"ap-east-1"}
    status = {one["RegionName"]: one["OptInStatus"] for one in every}
    assert status.pop("ap-east-1") == "not-opted-in"
    assert set(status.values()) == {"opt-in-not-required", "opted-in"}


def test_a_region_that_is_none_answers_nobody(double: Double) -> None:
    with pytest.raises(HTTPClientError):
        double.client("ec2", region="eu-nowhere-1").describe_regions()


def test_a_parameter_outside_of_its_closed_set_is_refused(double: Double) -> None:
    with refused("InvalidParameterValue", says="volumePermission"):
        double.client("ec2").describe_snapshot_attribute(
            SnapshotId=NO_BLOCK, Attribute="volumePermission"
        )


def test_what_the_double_does_not_do_itself_moto_does(double: Double) -> None:
    ec2 = double.client("ec2")
    ec2.create_key_pair(KeyName="mine")
    assert [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]] == ["mine"]
    assert double.client("ec2", OTHER).describe_key_pairs()["KeyPairs"] == []


def test_objects_go_through_to_moto_whole(double: Double) -> None:
    s3, content = double.client("s3"), os.urandom(1 << 20)
    s3.create_bucket(
        Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    s3.put_object(Bucket="files", Key="a/b c", Body=content)
    assert s3.get_object(Bucket="files", Key="a/b c")["Body"].read() == content
    (call,) = double.log.calls("PutObject")
    assert (call.account, call.size_bytes >= len(content), call.outcome) == (HOME, True, "ok")


def test_a_new_double_remembers_nothing(double: Double) -> None:
    ec2 = double.client("ec2")
    ec2.create_key_pair(KeyName="mine")
    double.client("ebs").start_snapshot(VolumeSize=1)
    double.renew()
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert ec2.describe_snapshots()["Snapshots"] == []
    assert [call.operation for call in double.log.calls()] == [
        "DescribeKeyPairs",
        "DescribeSnapshots",
    ]


def test_the_log_tells_who_asked_for_what_and_how_it_ended(double: Double) -> None:
    ebs = double.client("ebs", OTHER, "eu-west-1")
    snapshot = ebs.start_snapshot(VolumeSize=3)["SnapshotId"]
    with refused("ValidationException", reason="INVALID_BLOCK"):
        put(ebs, snapshot, 9999, a_block())
    started, failed = double.log.calls()
    assert (started.account, started.region, started.operation) == (
        OTHER,
        "eu-west-1",
        "StartSnapshot",
    )
    assert (started.parameters["VolumeSize"], started.is_ok) == (3, True)
    assert (failed.outcome, "BlockData" in failed.parameters) == ("ValidationException", False)


def test_the_log_tells_what_moto_refused(double: Double) -> None:
    with refused("InvalidKeyPair.NotFound"):
        double.client("ec2").describe_key_pairs(KeyNames=["none"])
    (call,) = double.log.calls("DescribeKeyPairs")
    assert call.outcome == "InvalidKeyPair.NotFound"


def test_the_log_tells_how_fast_an_operation_was(double: Double) -> None:
    ebs = double.client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    for index in range(4):
        put(ebs, snapshot, index, a_block())
    rate = double.log.rate("PutSnapshotBlock")
    assert (rate.calls, rate.size_bytes) == (4, 4 * 524288)
    assert rate.mb_per_second > 0


def test_throttling_meets_the_same_calls_with_the_same_seed(double: Double) -> None:
    ebs = double.client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    rounds = []
    for _ in range(2):
        double.faults.clear()
        double.faults.throttle("PutSnapshotBlock", percent=30, seed=3)
        double.log.clear()
        for index in range(20):
            try:
                put(ebs, snapshot, index, a_block())
            except ebs.exceptions.RequestThrottledException:
                continue
        rounds.append([call.outcome for call in double.log.calls()])
    assert rounds[0] == rounds[1]
    assert 0 < rounds[0].count("RequestThrottledException") < 20


def test_a_call_that_is_cut_has_no_answer_and_no_effect(double: Double) -> None:
    ec2 = double.client("ec2")
    double.faults.cut("CreateKeyPair", times=1)
    with pytest.raises(ConnectionClosedError):
        ec2.create_key_pair(KeyName="mine")
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert [call.outcome for call in double.log.calls("CreateKeyPair")] == ["connection cut"]


def test_a_call_that_is_cut_afterwards_was_done(double: Double) -> None:
    ec2 = double.client("ec2")
    double.faults.cut_after("CreateKeyPair")
    with pytest.raises(ConnectionClosedError):
        ec2.create_key_pair(KeyName="mine")
    assert len(ec2.describe_key_pairs()["KeyPairs"]) == 1


@pytest.mark.parametrize(("is_done", "found"), [(False, 0), (True, 1)], ids=["before", "after"])
def test_a_call_that_is_held_waits_before_or_after_its_work(
    double: Double, *, is_done: bool, found: int
) -> None:
    ec2 = double.client("ec2")
    fault = double.faults.hold("CreateKeyPair", is_done=is_done)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ec2.create_key_pair, KeyName="mine")
        assert fault.is_reached.wait(30)
        assert len(ec2.describe_key_pairs()["KeyPairs"]) == found
        assert not asked.done()
        double.faults.release(fault)
        assert asked.result()["KeyName"] == "mine"


def test_a_region_that_is_down_answers_nobody(double: Double) -> None:
    fault = double.faults.region_down("eu-west-1")
    with pytest.raises(HTTPClientError):
        double.client("ec2", region="eu-west-1").describe_snapshots()
    double.client("ec2").describe_snapshots()
    double.faults.remove(fault)
    double.client("ec2", region="eu-west-1").describe_snapshots()


def test_errors_of_the_service_and_of_a_test_own_are_said(double: Double) -> None:
    ec2 = double.client("ec2")
    double.faults.server_errors("DescribeSnapshots", percent=100)
    with refused("InternalError"):
        ec2.describe_snapshots()
    double.faults.clear()
    double.faults.refuse("DescribeSnapshots", Refusal("Unavailable", "Not now.", status=503))
    with refused("Unavailable"):
        ec2.describe_snapshots()
    ec2.describe_snapshots()


def test_credentials_that_expire_on_purpose_do_so_as_often_as_said(double: Double) -> None:
    ec2 = double.client("ec2")
    double.faults.expire_credentials(times=1)
    with refused("RequestExpired"):
        ec2.describe_snapshots()
    ec2.describe_snapshots()


def test_a_snapshot_that_was_just_started_may_not_be_found_yet(double: Double) -> None:
    double.faults.hidden_snapshot_calls = 2
    ebs = double.client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    for _ in range(2):
        with refused("ResourceNotFoundException", reason="SNAPSHOT_NOT_FOUND"):
            put(ebs, snapshot, 0, a_block())
    put(ebs, snapshot, 0, a_block())


def test_many_at_once_are_all_served(double: Double) -> None:
    ebs: Any = double.client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda at: put(ebs, snapshot, at, a_block(bytes([at]))), range(64)))
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=64)


def test_a_fault_of_moto_is_answered_and_not_a_cut_connection(
    double: Double, capfd: pytest.CaptureFixture[str]
) -> None:
    kms = double.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]  # moto finds keys to disable by their ids alone
    with refused("InternalFailure"):
        kms.disable_key(KeyId=key)
    assert "KeyError" in capfd.readouterr().err
