"""What rules said becomes coverage, counts and findings."""

import pytest

from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from tests.build import a_control, a_digest, an_assessment

_JUDGED = {ControlOutcome.PASS, ControlOutcome.FAIL, ControlOutcome.FIXED}


def test_coverage_then_is_the_share_that_said_yes_or_no() -> None:
    assessment = an_assessment(*(a_control(outcome, outcome) for outcome in ControlOutcome))

    assert assessment.coverage == len(_JUDGED) / len(ControlOutcome)
    assert set(assessment.counts.values()) == {1}


def test_coverage_when_nothing_was_selected_then_is_none() -> None:
    assert an_assessment(results=()).coverage == 0


@pytest.mark.parametrize("outcome", ControlOutcome)
def test_finding_when_a_rule_failed_or_could_not_be_judged_then_speaks_against_it(
    outcome: ControlOutcome,
) -> None:
    result = a_control("rule", outcome, Severity.LOW, controls=("5.2.1",), evidence="why")
    is_undecided = outcome in (ControlOutcome.ERROR, ControlOutcome.UNKNOWN)

    (finding,) = an_assessment(result, benchmark="cis").findings or (None,)

    if outcome is not ControlOutcome.FAIL and not is_undecided:
        assert finding is None
        return
    assert finding is not None
    assert (finding.kind, finding.id, finding.scope) == (FindingKind.CONTROL, "rule", "cis")
    assert (finding.severity, finding.aliases, finding.detail) == (Severity.LOW, ("5.2.1",), "why")
    assert finding.is_undecided == is_undecided


def test_blobs_then_are_page_result_and_content() -> None:
    assert an_assessment().blobs == {a_digest("report.html"), a_digest("arf"), a_digest("ssg")}
    assert an_assessment(report=None, raw=None).blobs == {a_digest("ssg")}
