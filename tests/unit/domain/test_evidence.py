"""When tests speak for an image, and what is said when they do not."""

import pytest

from imagebuilder.domain.evidence import Outcome, Stage, ValidationFailed
from tests.fakes.inspection import a_report


@pytest.mark.parametrize(
    ("outcomes", "crash", "expected"),
    [
        ([Outcome.PASSED, Outcome.SKIPPED], "", True),
        ([], "", True),
        ([Outcome.PASSED, Outcome.FAILED], "", False),
        ([Outcome.ERROR], "", False),
        ([Outcome.PASSED], "killed by signal 11", False),
    ],
)
def test_report_has_passed_when_nothing_speaks_against_the_image(
    outcomes: list[Outcome], crash: str, *, expected: bool
) -> None:
    assert a_report(Stage.OFFLINE, *outcomes, crash=crash).has_passed == expected


def test_validation_failed_when_tests_failed_then_counts_and_names_them() -> None:
    report = a_report(Stage.BOOTED, Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)
    error = ValidationFailed("web", report, hint="Look.")
    assert error.message == "2 of 3 booted tests of web failed."
    assert error.context == "test_2: failed\ntest_3: error"


def test_validation_failed_when_the_tests_crashed_then_says_so_and_not_how_many_passed() -> None:
    error = ValidationFailed("web", a_report(Stage.MACHINE, crash="killed"), hint="Look.")
    assert error.message == "The machine tests of web did not run to their end."
    assert error.context == "killed"
