"""Snapshots that are not as AWS says, and uploads that nothing tells of any more."""

import io
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.accounts import Accounts, Entrance
from imagebuilder.adapters.aws.calls import Calls, Patience
from imagebuilder.adapters.aws.snapshots.making import Cargo, SnapshotMaking
from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading, written
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.disks import BLOCK_BYTES
from tests.aws_double import Double
from tests.clouds import AT_HOME, SECRETS, a_disk, calls_to, no_pause

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

Lie = Callable[[Any], None]


class _LyingCalls(Calls):
    """Calls whose answers to one operation are false."""

    def __init__(self, double: Double, operation: str, lie: Lie) -> None:
        accounts = Accounts(SECRETS.__getitem__, endpoint=double.endpoint)
        super().__init__(accounts, SystemClock(), pause=no_pause)
        self._operation, self._lie = operation, lie

    def call(
        self, entrance: Entrance, operation: str, *patience: Patience, **parameters: Any
    ) -> Any:
        answer = super().call(entrance, operation, *patience, **parameters)
        if operation == self._operation:
            self._lie(answer)
        return answer


def a_cargo(folder: Path, **more: Any) -> Cargo:
    disk = a_disk(folder / "raw", {1: b"a", 2: b"b"})
    values: dict[str, Any] = {"digest": "d1", "token": "t1", "scratch": folder / "scratch"}
    return Cargo(disk=disk, **(values | more))


def made(double: Double, cargo: Cargo) -> str:
    return SnapshotMaking(calls_to(double), workers=4).made(AT_HOME, cargo, lambda _: None)


def _says_block(index: int) -> Lie:
    def lie(answer: Any) -> None:
        answer["Blocks"][0]["BlockIndex"] = index

    return lie


def _says_size(size_gib: int) -> Lie:
    def lie(answer: Any) -> None:
        answer["VolumeSize"] = size_gib

    return lie


@pytest.mark.parametrize(
    "lie", [_says_block(2048), _says_block(-1), _says_block(1 << 62), _says_size(1 << 40)]
)
def test_read_when_a_block_is_outside_of_the_volume_then_nothing_is_written_there(
    double: Double, tmp_path: Path, lie: Lie
) -> None:
    snapshot = made(double, a_cargo(tmp_path))
    reading = SnapshotReading(_LyingCalls(double, "ebs:ListSnapshotBlocks", lie), workers=1)
    with pytest.raises(TargetUnavailable, match="ebs:ListSnapshotBlocks"):
        reading.read(AT_HOME, snapshot, tmp_path / "back", lambda _: None)
    assert (tmp_path / "back").stat().st_size <= 1 << 30


@pytest.mark.parametrize("size_bytes", [0, 100, BLOCK_BYTES + 1, 100 * BLOCK_BYTES])
def test_read_when_a_block_has_another_size_then_it_is_not_taken(
    double: Double, tmp_path: Path, size_bytes: int
) -> None:
    snapshot = made(double, a_cargo(tmp_path))

    def lie(answer: Any) -> None:
        answer["BlockData"] = io.BytesIO(b"x" * size_bytes)

    reading = SnapshotReading(_LyingCalls(double, "ebs:GetSnapshotBlock", lie), workers=1)
    with pytest.raises(TargetUnavailable, match="ebs:GetSnapshotBlock"):
        reading.read(AT_HOME, snapshot, tmp_path / "back", lambda _: None)


def test_written_when_only_a_part_can_be_then_it_fails(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "disk").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK_BYTES // 2, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                written(file.fileno(), b"x" * BLOCK_BYTES, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "disk").stat().st_size == BLOCK_BYTES // 2


def test_made_when_another_upload_of_it_is_known_to_nobody_then_it_does_not_stay(
    double: Double, tmp_path: Path
) -> None:
    class KilledError(BaseException):
        pass

    def die(_: Any) -> None:
        raise KilledError

    mortal = SnapshotMaking(_LyingCalls(double, "ebs:StartSnapshot", die), workers=1)
    with pytest.raises(KilledError):
        mortal.made(AT_HOME, a_cargo(tmp_path), lambda _: None)
    snapshot = made(double, a_cargo(tmp_path, description="now it says something else"))
    assert list(double.world.snapshots.by_id) == [snapshot]


def test_made_when_its_snapshot_is_told_of_with_nothing_then_it_is_waited_for(
    double: Double, tmp_path: Path
) -> None:
    silent = [True, True]

    def lie(answer: Any) -> None:
        if silent and answer["Snapshots"]:
            answer["Snapshots"].clear()
            silent.pop()

    making = SnapshotMaking(_LyingCalls(double, "ec2:DescribeSnapshots", lie), workers=1)
    assert making.made(AT_HOME, a_cargo(tmp_path), lambda _: None)
