"""RunTestinfra over tests that go as they are told."""

from pathlib import PurePath

import pytest

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import PhaseName
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.services.provisioning.testing import RunTestinfra
from tests.fakes.inspection import FakeTestRunner, a_report
from tests.fakes.machine import FakeMachine

MACHINE = FakeMachine()
FOLDER = PurePath("/c")


def tried(
    tests: FakeTestRunner,
    phase: PhaseName = PhaseName.VALIDATE,
    folder: PurePath | None = FOLDER,
    lines: list[str] | None = None,
) -> ActionResult:
    return RunTestinfra(tests).run(
        ActionCall(
            action=ActionName.RUN_TESTINFRA,
            phase=phase,
            inputs={"paths": ["tests", "more/test_x.py"]},
            machine=MACHINE,
            timeout_seconds=60.0,
            folder=folder,
            on_line=None if lines is None else lines.append,
        )
    )


def test_run_in_validate_then_only_tests_of_files_at_rest_run() -> None:
    tests = FakeTestRunner(
        {
            Stage.OFFLINE: a_report(Stage.OFFLINE, Outcome.PASSED, Outcome.SKIPPED),
            Stage.BOOTED: a_report(Stage.BOOTED, Outcome.FAILED),
        }
    )
    lines: list[str] = []

    done = tried(tests, lines=lines)

    assert done.result.exit_status == 0
    assert done.outputs == ({"passed": "1", "failed": "0", "skipped": "1"},)
    assert tests.ran == [(Stage.OFFLINE, MACHINE)]
    assert tests.asked == [PurePath("/c/tests"), PurePath("/c/more/test_x.py")]
    assert lines == ["test_1 passed", "test_2 skipped"]


def test_run_in_test_then_booted_tests_run_and_the_unmarked_again() -> None:
    tests = FakeTestRunner(
        {stage: a_report(stage, Outcome.PASSED) for stage in (Stage.OFFLINE, Stage.BOOTED)}
    )

    done = tried(tests, PhaseName.TEST)

    assert done.outputs[0]["passed"] == "2"
    assert [stage for stage, _ in tests.ran] == [Stage.BOOTED, Stage.OFFLINE]


def test_run_when_tests_fail_then_says_which_and_why() -> None:
    report = a_report(Stage.OFFLINE, Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)

    done = tried(FakeTestRunner({Stage.OFFLINE: report}))

    assert done.result.exit_status == 1
    assert done.result.last_lines == "test_2 failed: failed\ntest_3 error: error"
    assert done.outputs == ({"passed": "1", "failed": "2", "skipped": "0"},)


def test_run_when_it_crashes_then_fails_whatever_passed() -> None:
    report = a_report(Stage.OFFLINE, Outcome.PASSED, crash="It was killed.")

    assert tried(FakeTestRunner({Stage.OFFLINE: report})).result.last_lines == "It was killed."


def test_run_when_no_test_is_for_the_phase_then_fails() -> None:
    tests = FakeTestRunner({Stage.MACHINE: a_report(Stage.MACHINE, Outcome.PASSED)})

    done = tried(tests)

    assert done.result.exit_status == 1
    assert "No test is for the phase validate" in done.result.last_lines


@pytest.mark.parametrize("folder", [FOLDER, None])
def test_run_when_there_are_no_tests_then_fails(folder: PurePath | None) -> None:
    done = tried(FakeTestRunner(), folder=folder)

    assert done.result.exit_status == 1
    assert "cannot be run" in done.result.last_lines
