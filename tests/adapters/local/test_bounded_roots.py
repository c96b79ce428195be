"""Foreign tests run commands in a bounded root: they can fill it, and little else."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite, SuiteLimits
from imagebuilder.adapters.local.containment import MOST_PROCESSES_OF_TESTS
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.component import Network
from imagebuilder.domain.evidence import Outcome, Stage, TestReport
from imagebuilder.domain.units import MIB
from imagebuilder.ports.inspection import SuiteEntry, TestSuite
from imagebuilder.ports.machine import Script
from tests.workshops import RUNNER, Shop, shop

pytestmark = pytest.mark.root

BOMB = "b() { b | b & }; b; sleep 2; ls -d /proc/[0-9]* | grep -c ."


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path / "shop") as place:
        yield place


def ran(tmp_path: Path, place: Shop, command: str) -> tuple[TestReport, os.statvfs_result]:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "test_it.py").write_text(
        f"def test_it(host): print(host.check_output({command!r}))\n"
        "def test_next(host): assert host.check_output('echo well') == 'well'\n"
    )
    limits = SuiteLimits(suite_seconds=90.0, test_seconds=30.0)
    suite = ConfinedSuite(RUNNER, partial(working_folder, tmp_path / "w"), limits=limits)
    with place.roots.scratch([place.base()], is_bounded=True) as root:
        machine = root.machine(Network.NONE)
        given = TestSuite(entries=(SuiteEntry(path=folder),))
        report = suite.run(given, Stage.OFFLINE, machine, None).report
        return report, os.statvfs(root.path)


def test_run_when_a_test_fills_the_disk_then_only_its_own_root_is_full_and_it_fails(
    tmp_path: Path, place: Shop
) -> None:
    report, filled = ran(tmp_path, place, "cat /dev/zero > /big")
    assert report.crash == ""
    test, following = report.results
    assert test.outcome is Outcome.FAILED
    assert "No space left on device" in test.detail
    assert following.outcome is Outcome.PASSED
    assert filled.f_blocks * filled.f_frsize <= 512 * MIB
    assert not [path for path in tmp_path.rglob("big") if path.is_file()]


def test_run_when_a_test_forks_without_end_then_its_processes_are_few_and_end_with_it(
    tmp_path: Path, place: Shop
) -> None:
    report, _ = ran(tmp_path, place, BOMB)
    assert report.crash == ""
    assert report.results[1].outcome is Outcome.PASSED
    bombs = [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"b() {" in _read(p)]
    assert bombs == []


def test_run_of_many_processes_then_there_is_a_limit_to_them(place: Shop) -> None:
    counting = (
        f"n=0; while [ $n -lt {2 * MOST_PROCESSES_OF_TESTS} ]; do "
        "sleep 60 >/dev/null 2>&1 & n=$((n+1)); done; echo none"
    )
    with place.roots.scratch([place.base()], is_bounded=True) as root:
        result = root.machine(Network.NONE).run(Script(text=counting, timeout_seconds=60))
    assert result.exit_status != 0
    assert b"fork" in result.stderr


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
