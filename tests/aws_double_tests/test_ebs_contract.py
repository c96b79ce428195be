"""What the double and a real account both keep: of snapshots written and read block by block."""

import base64
import hashlib
import uuid
from typing import Any

import pytest

from tests.aws_double_tests.blocks import BLOCK_BYTES, a_block, a_snapshot, checksum, put, settle
from tests.aws_double_tests.places import Place
from tests.aws_double_tests.refused import refused

WRONG = "INVALID_PARAMETER_VALUE"


@pytest.fixture
def ebs(place: Place) -> Any:
    return place.ebs


@pytest.fixture
def ec2(place: Place) -> Any:
    return place.ec2


@pytest.fixture
def begun(ebs: Any) -> str:
    return str(ebs.start_snapshot(VolumeSize=1)["SnapshotId"])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"Checksum": checksum(b"another")}, "INVALID_BLOCK"),
        ({"ChecksumAlgorithm": "MD5"}, WRONG),
        ({"DataLength": 512}, "INVALID_BLOCK"),
        ({"BlockIndex": 2048}, "INVALID_BLOCK"),
        ({"Progress": 101}, WRONG),
        ({"SnapshotId": "snap-x"}, "INVALID_SNAPSHOT_ID"),
    ],
)
def test_a_block_that_is_said_wrongly_is_refused(
    ebs: Any, begun: str, other: dict[str, Any], reason: str
) -> None:
    with refused("ValidationException", reason=reason):
        put(ebs, begun, 0, a_block(), **other)


def test_a_block_that_is_too_short_is_refused(ebs: Any, begun: str) -> None:
    with refused("ValidationException", reason="INVALID_BLOCK"):
        put(ebs, begun, 0, b"short")


def test_a_block_of_a_snapshot_that_is_not_there_is_refused(ebs: Any) -> None:
    with refused("ResourceNotFoundException", reason="SNAPSHOT_NOT_FOUND"):
        put(ebs, "snap-00000000000000000", 0, a_block())


def test_a_block_after_the_end_is_refused(ebs: Any, begun: str) -> None:
    put(ebs, begun, 0, a_block())
    ebs.complete_snapshot(SnapshotId=begun, ChangedBlocksCount=1)
    with refused("ValidationException", reason="INVALID_SNAPSHOT_ID"):
        put(ebs, begun, 1, a_block())


def test_the_same_token_with_other_parameters_is_a_conflict(ebs: Any) -> None:
    once = str(uuid.uuid4())
    ebs.start_snapshot(VolumeSize=1, ClientToken=once)
    with refused("ConflictException"):
        ebs.start_snapshot(VolumeSize=2, ClientToken=once)


def test_the_same_token_gives_the_same_snapshot(ebs: Any) -> None:
    once = str(uuid.uuid4())
    first = ebs.start_snapshot(VolumeSize=1, ClientToken=once)
    assert ebs.start_snapshot(VolumeSize=1, ClientToken=once)["SnapshotId"] == first["SnapshotId"]
    assert ebs.start_snapshot(VolumeSize=1)["SnapshotId"] != first["SnapshotId"]


def test_a_wrong_count_at_the_end_is_refused(ebs: Any, begun: str) -> None:
    put(ebs, begun, 0, a_block())
    put(ebs, begun, 0, a_block(b"again"))
    with refused("ValidationException", reason=WRONG, says="1 blocks were put, not 2"):
        ebs.complete_snapshot(SnapshotId=begun, ChangedBlocksCount=2)


def test_a_wrong_checksum_at_the_end_is_refused(ebs: Any, begun: str) -> None:
    put(ebs, begun, 0, a_block())
    said = {"ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
    with refused("ValidationException", reason=WRONG):
        ebs.complete_snapshot(
            SnapshotId=begun, ChangedBlocksCount=1, Checksum=checksum(a_block()), **said
        )


def test_the_checksum_of_all_is_of_the_digests_in_order_of_their_places(
    ebs: Any, begun: str
) -> None:
    blocks = {7: a_block(b"7"), 2: a_block(b"2")}
    for index, block in blocks.items():
        put(ebs, begun, index, block)
    both = hashlib.sha256(blocks[2]).digest() + hashlib.sha256(blocks[7]).digest()
    ended = ebs.complete_snapshot(
        SnapshotId=begun,
        ChangedBlocksCount=2,
        Checksum=base64.b64encode(hashlib.sha256(both).digest()).decode(),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    assert ended["Status"] == "pending"


def test_a_snapshot_that_is_pending_cannot_be_read(ebs: Any, ec2: Any, begun: str) -> None:
    put(ebs, begun, 0, a_block())
    ebs.complete_snapshot(SnapshotId=begun, ChangedBlocksCount=1)
    with refused("ValidationException", reason="INVALID_SNAPSHOT_ID", says="pending"):
        ebs.list_snapshot_blocks(SnapshotId=begun)
    settle(ec2, begun)
    assert len(ebs.list_snapshot_blocks(SnapshotId=begun)["Blocks"]) == 1


def test_a_parent_that_is_pending_is_refused(ebs: Any, begun: str) -> None:
    with refused("ValidationException", reason="INVALID_DEPENDENCY_REQUEST", says="pending"):
        ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=begun)


def test_a_child_smaller_than_its_parent_is_refused(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2, VolumeSize=2)
    with refused("ValidationException", reason="INVALID_VOLUME_SIZE"):
        ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=parent)


def test_encryption_said_beside_a_parent_is_refused(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2)
    with refused("ValidationException", reason="INVALID_DEPENDENCY_REQUEST"):
        ebs.start_snapshot(VolumeSize=1, ParentSnapshotId=parent, Encrypted=True)


def test_what_is_read_is_what_was_written(ebs: Any, ec2: Any) -> None:
    snapshot = a_snapshot(ebs, ec2, {3: a_block(b"three")})
    (entry,) = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    read = ebs.get_snapshot_block(SnapshotId=snapshot, **entry)
    assert (entry["BlockIndex"], read["DataLength"]) == (3, BLOCK_BYTES)
    assert read["Checksum"] == checksum(block := read["BlockData"].read())
    assert block == a_block(b"three")


def test_a_child_shows_the_blocks_of_its_parent_under_its_own(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2, {0: a_block(b"old"), 1: a_block(b"kept")})
    child = a_snapshot(ebs, ec2, {0: a_block(b"new")}, ParentSnapshotId=parent)
    listed = ebs.list_snapshot_blocks(SnapshotId=child)["Blocks"]
    read = [
        ebs.get_snapshot_block(SnapshotId=child, **entry)["BlockData"].read() for entry in listed
    ]
    assert read == [a_block(b"new"), a_block(b"kept")]


def test_changed_blocks_are_those_that_differ(ebs: Any, ec2: Any) -> None:
    parent = a_snapshot(ebs, ec2, {0: a_block(b"old"), 1: a_block(b"kept")})
    child = a_snapshot(ebs, ec2, {0: a_block(b"new"), 5: a_block()}, ParentSnapshotId=parent)
    changed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)
    assert [
        (one["BlockIndex"], "FirstBlockToken" in one, "SecondBlockToken" in one)
        for one in changed["ChangedBlocks"]
    ] == [(0, True, True), (5, False, True)]


def test_snapshots_of_two_volumes_are_not_compared(ebs: Any, ec2: Any) -> None:
    first, second = a_snapshot(ebs, ec2), a_snapshot(ebs, ec2)
    with refused("ValidationException", reason="UNRELATED_SNAPSHOTS"):
        ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)


def test_a_token_of_another_block_is_refused(ebs: Any, ec2: Any) -> None:
    snapshot = a_snapshot(ebs, ec2, {0: a_block(), 1: a_block()})
    first, second = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    with refused("ValidationException", reason="INVALID_BLOCK_TOKEN"):
        ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=0, BlockToken=second["BlockToken"])
    assert first["BlockToken"] != second["BlockToken"]


def test_a_listing_may_begin_later(ebs: Any, ec2: Any) -> None:
    snapshot = a_snapshot(ebs, ec2, {1: a_block(), 9: a_block()})
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot, StartingBlockIndex=2)["Blocks"]
    assert [block["BlockIndex"] for block in listed] == [9]
