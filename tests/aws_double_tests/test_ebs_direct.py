"""The EBS direct service of the double, where several accounts, time or faults come into it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.aws_double import Double
from tests.aws_double.serving import HOME
from tests.aws_double_tests.blocks import a_block, a_snapshot, put
from tests.aws_double_tests.refused import refused

OTHER = "222222222222"
DISKS = some.dictionaries(some.integers(0, 2047), some.binary(max_size=1).map(a_block), max_size=6)
"""Blocks of a disk of 1 GiB, by their places."""


@pytest.fixture
def ebs(double: Double) -> Any:
    return double.client("ebs")


@pytest.fixture
def ec2(double: Double) -> Any:
    return double.client("ec2")


@pytest.fixture
def begun(ebs: Any) -> str:
    return str(ebs.start_snapshot(VolumeSize=1)["SnapshotId"])


def test_a_block_of_another_account_is_refused(double: Double, begun: str) -> None:
    with refused("AccessDeniedException", reason="UNAUTHORIZED_ACCOUNT"):
        put(double.client("ebs", OTHER), begun, 0, a_block())


def test_a_block_after_the_timeout_is_refused(double: Double, ebs: Any) -> None:
    begun = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    double.world.clock.advance(minutes=11)
    with refused("ValidationException", reason="INVALID_SNAPSHOT_ID"):
        put(ebs, begun, 0, a_block())


def test_a_completed_snapshot_is_first_seen_pending(ebs: Any, ec2: Any, begun: str) -> None:
    ebs.complete_snapshot(SnapshotId=begun, ChangedBlocksCount=0)
    states = [
        ec2.describe_snapshots(SnapshotIds=[begun])["Snapshots"][0]["State"] for _ in range(2)
    ]
    assert states == ["pending", "completed"]


def test_a_parent_of_another_account_is_refused_even_if_shared(
    double: Double, ebs: Any, ec2: Any
) -> None:
    parent = a_snapshot(ebs, ec2)
    ec2.modify_snapshot_attribute(
        SnapshotId=parent,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[OTHER],
    )
    with refused("ResourceNotFoundException", reason="DEPENDENCY_RESOURCE_NOT_FOUND"):
        double.client("ebs", OTHER).start_snapshot(VolumeSize=1, ParentSnapshotId=parent)


def test_a_plain_parent_is_refused_when_the_account_encrypts_by_default(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2)
    ec2.enable_ebs_encryption_by_default()
    with refused("ValidationException", reason="INVALID_DEPENDENCY_REQUEST"):
        ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=parent)


def test_a_child_is_encrypted_as_its_parent_is(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2, Encrypted=True)
    child = ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=parent)
    assert child["KmsKeyArn"].startswith(f"arn:aws:kms:eu-central-1:{HOME}:key/")


def test_a_volume_that_is_too_large_is_refused(ebs: Any) -> None:
    with refused("ValidationException", reason="INVALID_VOLUME_SIZE"):
        ebs.start_snapshot(VolumeSize=65537)


@pytest.mark.parametrize("first", [[], [0]], ids=["full", "empty-first"])
def test_pages_together_are_the_whole_listing(
    double: Double, ebs: Any, ec2: Any, first: list[int]
) -> None:
    snapshot = a_snapshot(ebs, ec2, {index: a_block() for index in range(0, 240, 2)})
    double.faults.has_empty_pages = bool(first)
    pages = [ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100)]
    while token := pages[-1].get("NextToken"):
        pages.append(ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100, NextToken=token))
    assert [len(page["Blocks"]) for page in pages] == [*first, 100, 20]
    listed = [block["BlockIndex"] for page in pages for block in page["Blocks"]]
    assert listed == list(range(0, 240, 2))


def test_a_page_token_that_is_too_old_is_refused(double: Double, ebs: Any, ec2: Any) -> None:
    snapshot = a_snapshot(ebs, ec2, {index: a_block() for index in range(101)})
    token = ebs.list_snapshot_blocks(SnapshotId=snapshot)["NextToken"]
    double.world.clock.advance(minutes=61)
    with refused("ValidationException", reason="INVALID_PAGE_TOKEN"):
        ebs.list_snapshot_blocks(SnapshotId=snapshot, NextToken=token)


def test_a_shared_snapshot_is_read_by_the_other_account(double: Double, ebs: Any, ec2: Any) -> None:
    snapshot, theirs = a_snapshot(ebs, ec2), double.client("ebs", OTHER)
    with refused("AccessDeniedException", reason="UNAUTHORIZED_ACCOUNT"):
        theirs.list_snapshot_blocks(SnapshotId=snapshot)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
    )
    assert len(theirs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]) == 1


def test_the_token_of_a_snapshot_that_was_deleted_gives_that_one_still(ebs: Any, ec2: Any) -> None:
    begun = ebs.start_snapshot(VolumeSize=1, ClientToken="once")["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=begun)
    assert ebs.start_snapshot(VolumeSize=1, ClientToken="once")["SnapshotId"] == begun
    with refused("ResourceNotFoundException", reason="SNAPSHOT_NOT_FOUND"):
        put(ebs, begun, 0, a_block())


def test_a_public_snapshot_is_not_read(double: Double, ebs: Any, ec2: Any) -> None:
    snapshot = a_snapshot(ebs, ec2)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, CreateVolumePermission={"Add": [{"Group": "all"}]}
    )
    with refused("AccessDeniedException", reason="UNAUTHORIZED_ACCOUNT"):
        double.client("ebs", OTHER).list_snapshot_blocks(SnapshotId=snapshot)


@given(before=DISKS, written=DISKS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_child_is_its_parent_with_what_was_written_and_changed_where_they_differ(
    ebs: Any, ec2: Any, before: dict[int, bytes], written: dict[int, bytes]
) -> None:
    parent = a_snapshot(ebs, ec2, before)
    child = a_snapshot(ebs, ec2, written, ParentSnapshotId=parent)
    read = {
        entry["BlockIndex"]: ebs.get_snapshot_block(SnapshotId=child, **entry)["BlockData"].read()
        for entry in ebs.list_snapshot_blocks(SnapshotId=child)["Blocks"]
    }
    changed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)
    assert read == before | written
    assert {entry["BlockIndex"] for entry in changed["ChangedBlocks"]} == {
        index for index, block in written.items() if before.get(index) != block
    }
