"""Raw disks become snapshots of the double and come back; whatever happens on the way."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.adapters.aws.calls import CallRefused
from imagebuilder.adapters.aws.snapshots.making import Cargo, SnapshotMaking
from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading
from imagebuilder.adapters.aws.tags import TOKEN, tags_of
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.disks import BLOCK_BYTES
from tests.aws_double import Double
from tests.aws_double.refusals import Refusal
from tests.clouds import AT_HOME, QuickClock, a_disk, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

FULL = b"\xa5" * BLOCK_BYTES
NUMBERS = count()
SIZE = 64 * BLOCK_BYTES


def a_cargo(tmp_path: Path, disk: Path, **more: Any) -> Cargo:
    values: dict[str, Any] = {"digest": "d1", "token": "t1", "scratch": tmp_path / "scratch"}
    return Cargo(disk=disk, **(values | more))


def made(double: Double, cargo: Cargo) -> str:
    return SnapshotMaking(calls_to(double), workers=4).made(AT_HOME, cargo, lambda _: None)


def read(double: Double, snapshot: str, into: Path) -> bytes:
    SnapshotReading(calls_to(double), workers=4).read(AT_HOME, snapshot, into, lambda _: None)
    assert into.stat().st_size == 1 << 30
    with into.open("rb") as file:
        return file.read(SIZE)


def test_made_then_only_written_blocks_were_sent_and_the_disk_comes_back(
    double: Double, tmp_path: Path
) -> None:
    disk = a_disk(tmp_path / "raw", {0: b"boot", 3: bytes(BLOCK_BYTES), 7: FULL})
    snapshot = made(double, a_cargo(tmp_path, disk))
    assert double.log.count("PutSnapshotBlock") == 2
    assert read(double, snapshot, tmp_path / "back") == disk.read_bytes()
    assert (tmp_path / "back").stat().st_blocks * 512 < 4 << 20


def test_made_when_the_disk_ends_within_a_block_then_the_rest_is_zeros(
    double: Double, tmp_path: Path
) -> None:
    disk = a_disk(tmp_path / "raw", {2: b"end"}, 2 * BLOCK_BYTES + 3)
    snapshot = made(double, a_cargo(tmp_path, disk))
    back = read(double, snapshot, tmp_path / "back")
    assert back.rstrip(b"\0") == disk.read_bytes().rstrip(b"\0")


def test_made_when_nothing_is_written_then_the_snapshot_is_empty(
    double: Double, tmp_path: Path
) -> None:
    snapshot = made(double, a_cargo(tmp_path, a_disk(tmp_path / "raw", {})))
    assert read(double, snapshot, tmp_path / "back").count(0) == SIZE


def test_made_when_there_is_a_parent_then_only_what_differs_is_sent(
    double: Double, tmp_path: Path
) -> None:
    base = a_disk(tmp_path / "base", dict.fromkeys(range(10), FULL))
    parent = made(double, a_cargo(tmp_path, base))
    double.log.clear()
    blocks = dict.fromkeys(range(9), FULL) | {4: b"other"}
    disk = a_disk(tmp_path / "raw", blocks)
    with disk.open("r+b") as file:
        file.seek(4 * BLOCK_BYTES)
        file.write(b"other".ljust(BLOCK_BYTES, b"\0"))
    cargo = a_cargo(tmp_path, disk, token="t2", digest="d2", base=base, parent=parent)
    snapshot = made(double, cargo)
    sent = {call.parameters["BlockIndex"] for call in double.log.calls("PutSnapshotBlock")}
    assert sent == {4, 9}
    assert read(double, snapshot, tmp_path / "back") == disk.read_bytes()


def test_made_again_with_the_same_token_then_nothing_is_made(
    double: Double, tmp_path: Path
) -> None:
    cargo = a_cargo(tmp_path, a_disk(tmp_path / "raw", {0: b"boot"}))
    first = made(double, cargo)
    double.log.clear()
    assert made(double, cargo) == first
    assert double.log.count("StartSnapshot") == double.log.count("PutSnapshotBlock") == 0


def test_made_then_the_snapshot_has_its_tags(double: Double, tmp_path: Path) -> None:
    cargo = a_cargo(tmp_path, a_disk(tmp_path / "raw", {0: b"boot"}), tags={"team": "web"})
    snapshot = made(double, cargo)
    (seen,) = double.client("ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert tags_of(seen) == {"team": "web", TOKEN: "t1"}


@pytest.mark.parametrize(
    "trouble", ["throttle", "server_errors", "cut"], ids=["throttled", "out of order", "cut off"]
)
def test_made_when_calls_go_wrong_then_all_blocks_arrive(
    double: Double, tmp_path: Path, trouble: str
) -> None:
    getattr(double.faults, trouble)(percent=10)
    disk = a_disk(tmp_path / "raw", {index: bytes([index]) for index in range(1, 60)})
    snapshot = made(double, a_cargo(tmp_path, disk))
    assert read(double, snapshot, tmp_path / "back") == disk.read_bytes()
    assert len(double.world.snapshots.by_id) == 1


def test_made_when_the_snapshot_is_not_seen_at_first_then_it_is_waited_for(
    double: Double, tmp_path: Path
) -> None:
    double.faults.hidden_snapshot_calls = 30
    disk = a_disk(tmp_path / "raw", {0: b"boot", 5: FULL})
    assert made(double, a_cargo(tmp_path, disk))


def test_made_when_the_snapshot_is_never_seen_then_it_ends_after_two_minutes_and_nothing_stays(
    double: Double, tmp_path: Path
) -> None:
    double.faults.hidden_snapshot_calls = 10_000
    clock = QuickClock()
    making = SnapshotMaking(calls_to(double, clock), workers=1)
    cargo = a_cargo(tmp_path, a_disk(tmp_path / "raw", {0: b"boot"}))
    with pytest.raises(CallRefused, match="ResourceNotFoundException"):
        making.made(AT_HOME, cargo, lambda _: None)
    assert 120 <= clock.monotonic() < 200
    assert double.world.snapshots.by_id == {}


class _KilledError(BaseException):
    pass


def test_made_when_an_upload_was_killed_then_the_same_snapshot_goes_on(
    double: Double, tmp_path: Path
) -> None:
    disk = a_disk(tmp_path / "raw", {index: bytes([index]) for index in range(1, 40)})
    cargo = a_cargo(tmp_path, disk)
    sent = []

    def die(size_bytes: int) -> None:
        sent.append(size_bytes)
        if len(sent) == 20:
            raise _KilledError

    with pytest.raises(_KilledError):
        SnapshotMaking(calls_to(double), workers=1).made(AT_HOME, cargo, die)
    (snapshot,) = double.world.snapshots.by_id
    assert made(double, cargo) == snapshot
    indexes = [call.parameters["BlockIndex"] for call in double.log.calls("PutSnapshotBlock")]
    assert sorted(indexes) == list(range(1, 40))
    assert read(double, snapshot, tmp_path / "back") == disk.read_bytes()


def test_made_when_the_journal_is_lost_then_the_same_snapshot_is_filled(
    double: Double, tmp_path: Path
) -> None:
    disk = a_disk(tmp_path / "raw", {1: b"a", 2: b"b"})
    double.faults.refuse("CompleteSnapshot", Refusal("InternalError", "no", status=500), times=8)
    with pytest.raises(TargetUnavailable):
        made(double, a_cargo(tmp_path, disk))
    snapshot = made(double, a_cargo(tmp_path, disk, scratch=tmp_path / "elsewhere"))
    assert list(double.world.snapshots.by_id) == [snapshot]


def test_made_when_the_end_was_not_heard_then_it_is_completed_once(
    double: Double, tmp_path: Path
) -> None:
    double.faults.cut_after("CompleteSnapshot")
    disk = a_disk(tmp_path / "raw", {1: b"a"})
    assert read(double, made(double, a_cargo(tmp_path, disk)), tmp_path / "back")
    assert len(double.world.snapshots.by_id) == 1


def test_made_when_it_is_refused_then_nothing_stays_and_the_next_try_is_a_new_one(
    double: Double, tmp_path: Path
) -> None:
    refusal = Refusal("AccessDeniedException", "You may not.", status=403)
    double.faults.refuse("PutSnapshotBlock", refusal)
    cargo = a_cargo(tmp_path, a_disk(tmp_path / "raw", {0: b"boot"}))
    with pytest.raises(CallRefused, match="ebs:PutSnapshotBlock: AccessDeniedException"):
        made(double, cargo)
    assert double.world.snapshots.by_id == {}
    assert made(double, cargo)


def test_made_when_a_snapshot_timed_out_meanwhile_then_another_one_is_made(
    double: Double, tmp_path: Path
) -> None:
    disk = a_disk(tmp_path / "raw", {1: b"a", 2: b"b"})
    double.faults.refuse("CompleteSnapshot", Refusal("InternalError", "no", status=500), times=8)
    with pytest.raises(TargetUnavailable):
        made(double, a_cargo(tmp_path, disk))
    (dead,) = double.world.snapshots.by_id.values()
    dead.state, dead.is_sealed = "error", True
    snapshot = made(double, a_cargo(tmp_path, disk))
    assert list(double.world.snapshots.by_id) == [snapshot]
    assert snapshot != dead.id


def test_read_when_pages_are_empty_then_it_goes_on(double: Double, tmp_path: Path) -> None:
    disk = a_disk(tmp_path / "raw", {1: b"a"})
    snapshot = made(double, a_cargo(tmp_path, disk))
    double.faults.has_empty_pages = True
    assert read(double, snapshot, tmp_path / "back") == disk.read_bytes()


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[Mapping[int, bytes], Mapping[int, bytes]]:
    contents = st.sampled_from([b"a" * 100, b"\0" * BLOCK_BYTES, FULL])
    disks = st.dictionaries(st.integers(0, 40), contents, max_size=12)
    return draw(disks), draw(disks)


@given(pair=_pairs())
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_restored_when_any_disk_follows_any_other_then_it_is_identical(
    double: Double, tmp_path_factory: pytest.TempPathFactory, pair: Any
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    number = next(NUMBERS)
    base = a_disk(folder / "base", pair[0])
    disk = a_disk(folder / "raw", pair[1])
    parent = made(double, a_cargo(folder, base, token=f"a{number}", digest="a"))
    cargo = a_cargo(folder, disk, token=f"b{number}", digest="b", base=base, parent=parent)
    is_same = read(double, made(double, cargo), folder / "back") == disk.read_bytes()
    assert is_same
