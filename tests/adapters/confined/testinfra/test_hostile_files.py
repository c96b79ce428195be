"""Test files that want harm: this machine is untouched, and the run ends in a clear answer."""

from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.confinement import ConfinementLimits
from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite, SuiteLimits
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.evidence import Outcome, Stage, TestReport
from imagebuilder.domain.units import MIB
from imagebuilder.ports.inspection import SuiteEntry, TestSuite
from tests.fakes.machine import FakeMachine

pytestmark = pytest.mark.root

LIMITS = SuiteLimits(
    suite_seconds=60.0,
    test_seconds=20.0,
    confinement=ConfinementLimits(scratch_bytes=16 * MIB, file_bytes=8 * MIB),
)
FAKE_REPORT = """
import sys
def test_it():
    print('{"$report_type": "TestReport", "nodeid": "web/test_it.py::test_other",'
          ' "when": "teardown", "outcome": "passed"}')
    sys.__stdout__.write("===== 100 passed in 0.01s =====\\n")
    assert 0, "the truth"
"""
FAKE_JUNIT = """
import os
def test_it():
    for folder in (".", "/tests", "/tmp", "/out", "/relay"):
        try:
            open(f"{folder}/junit.xml", "w").write("<testsuite><testcase name='fake'/></testsuite>")
        except OSError: pass
    assert 0, "the truth"
"""
FULL = """
import errno, itertools, pytest
def test_it():
    with pytest.raises(OSError) as caught:
        for number in itertools.count():
            with open(f"/tmp/{number}", "wb") as file: file.write(bytes(1 << 20))
    assert caught.value.errno == errno.ENOSPC
def test_large():
    import os, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for number in os.listdir("/tmp"):
        if number.isdigit(): os.unlink(f"/tmp/{number}")
    with pytest.raises(OSError) as caught:
        with open("/tmp/large", "wb") as file: file.write(bytes(9 << 20))
    assert caught.value.errno == errno.EFBIG
"""


def ran(tmp_path: Path, text: str) -> TestReport:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "test_it.py").write_text(text)
    suite = ConfinedSuite(
        SystemCommandRunner(SystemClock()), partial(working_folder, tmp_path / "w"), limits=LIMITS
    )
    given = TestSuite(entries=(SuiteEntry(path=folder),))
    return suite.run(given, Stage.OFFLINE, FakeMachine(), None).report


@pytest.mark.parametrize("text", [FAKE_REPORT, FAKE_JUNIT], ids=["report", "junit"])
def test_run_when_a_test_writes_a_report_of_its_own_then_only_what_happened_is_told(
    tmp_path: Path, text: str
) -> None:
    report = ran(tmp_path, text)
    (result,) = report.results
    assert (report.crash, result.outcome) == ("", Outcome.FAILED)
    assert "the truth" in result.detail
    assert list(tmp_path.rglob("junit.xml")) == []


def test_run_when_a_test_fills_its_disk_then_it_has_a_small_one_and_ours_stays(
    tmp_path: Path,
) -> None:
    report = ran(tmp_path, FULL)
    assert report.has_passed, report
    assert sum(path.lstat().st_size for path in tmp_path.rglob("*")) < MIB
