"""Tests that are the word on controls of one's own, as they really run."""

from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.testinfra.control_plugin import SEVERITIES
from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.control import ControlMark
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.inspection import SuiteEntry, SuiteResult, TestSuite
from tests.fakes.machine import FakeMachine

CONTROLS = '''
import pytest

@pytest.mark.control("ACME-SSH-01", severity="high")
@pytest.mark.parametrize("port", [22, 2222])
def test_ports(host, port):
    """SSH listens where it should.

    And nowhere else.
    """
    assert port == 22

@pytest.mark.control("ACME-SSH-02", title="No root")
def test_root(host):
    pytest.skip("there is no SSH")

class TestFiles:
    pytestmark = pytest.mark.control("ACME-FS-01", severity="low")
    def test_mode(self, host): pass

def test_unmarked(host): pass
'''


def run(tmp_path: Path, text: str) -> SuiteResult:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "test_own.py").write_text(text)
    folders = partial(working_folder, tmp_path / "work")
    suite = ConfinedSuite(SystemCommandRunner(SystemClock()), folders)
    asked = TestSuite(entries=(SuiteEntry(path=folder),))
    return suite.run(asked, Stage.OFFLINE, FakeMachine(), None)


@pytest.mark.root
def test_controls_when_tests_are_marked_then_come_with_what_they_said(tmp_path: Path) -> None:
    ran = run(tmp_path, CONTROLS)

    said = {r.name.partition("::")[2]: r.outcome for r in ran.report.results}
    marks = {name.partition("::")[2]: mark for name, mark in ran.controls.items()}
    ssh = ControlMark(
        rule="ACME-SSH-01", severity=Severity.HIGH, title="SSH listens where it should."
    )
    assert marks == {
        "test_ports[22]": ssh,
        "test_ports[2222]": ssh,
        "test_root": ControlMark(rule="ACME-SSH-02", title="No root"),
        "TestFiles::test_mode": ControlMark(rule="ACME-FS-01", severity=Severity.LOW),
    }
    assert said["test_ports[2222]"] is Outcome.FAILED
    assert said["test_root"] is Outcome.SKIPPED
    assert said.keys() - marks.keys() == {"test_unmarked"}


@pytest.mark.root
@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("control", "write control("),
        ("control()", "write control("),
        ("control('A', 'B')", "write control("),
        ("control('A', level='high')", "write control("),
        ("control('A', severity=1)", "write control("),
        ("control('A B')", "is no id of a control"),
        ("control('A', severity='terrible')", "a severity is one of critical, high"),
    ],
)
def test_controls_when_a_marker_says_nothing_then_no_test_runs(
    tmp_path: Path, marker: str, said: str
) -> None:
    text = f"import pytest\n@pytest.mark.{marker}\ndef test_it(host): pass\n"

    ran = run(tmp_path, text)

    assert said in ran.report.crash
    assert ran.report.results == ()


def test_severities_then_are_those_of_findings() -> None:
    assert set(SEVERITIES) == set(Severity) - {Severity.UNKNOWN}
