"""What changes from one scan of an image to the next."""

import pytest

from imagebuilder.domain.compliance_trend import (
    NotScanned,
    ProfileUnclear,
    TrendPoint,
    chosen,
    trend,
)
from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.image import ImageVersion
from tests.build import a_control, a_version, an_assessment

CIS = "cis_level1_server"
PASS, FAIL = ControlOutcome.PASS, ControlOutcome.FAIL
GONE, ERROR = ControlOutcome.NOT_APPLICABLE, ControlOutcome.ERROR


def a_scanned(build: int, *outcomes: ControlOutcome, profile: str = CIS) -> ImageVersion:
    """Give a version whose rules r1, r2 ... ended so."""
    rules = [a_control(f"r{number}", each) for number, each in enumerate(outcomes, 1)]
    scan = an_assessment(*rules, profile=profile)
    return a_version(f"web@1.0.0/{build}", assessments=(scan,))


def changes(point: TrendPoint) -> tuple[tuple[str, ...], ...]:
    return point.newly_failing, point.mended, point.lost


def test_trend_then_tells_what_newly_fails_was_mended_and_cannot_be_judged_any_more() -> None:
    before = a_scanned(1, PASS, FAIL, FAIL, FAIL, FAIL, PASS)
    after = a_scanned(2, FAIL, PASS, GONE, ERROR, FAIL, ERROR, FAIL)

    first, second = trend([before, after], CIS)

    assert changes(first) == ((), (), ())
    assert changes(second) == (("r1", "r7"), ("r2",), ("r3", "r4"))
    assert (second.reference, second.assessment) == ("web@1.0.0/2", after.assessments[0])


def test_trend_when_versions_between_were_not_scanned_then_goes_over_them() -> None:
    versions = [
        a_scanned(1, FAIL),
        a_version("web@1.0.0/2"),
        a_scanned(3, FAIL, profile="own"),
        a_scanned(4, PASS),
    ]

    found = trend(versions, CIS)

    assert [point.reference for point in found] == ["web@1.0.0/1", "web@1.0.0/4"]
    assert found[1].mended == ("r1",)


def test_chosen_when_there_are_several_then_asks_which() -> None:
    version = a_version(assessments=(an_assessment(), an_assessment(profile="own")))

    assert chosen(version, "own").profile == "own"
    with pytest.raises(ProfileUnclear, match="several") as unclear:
        chosen(version, None)
    assert CIS in unclear.value.context
    with pytest.raises(NotScanned) as missing:
        chosen(version, "other")
    assert "own" in missing.value.context


def test_chosen_when_there_is_one_then_it_need_not_be_named() -> None:
    assert chosen(a_version(assessments=(an_assessment(),)), None).profile == CIS
    with pytest.raises(NotScanned, match="any profile"):
        chosen(a_version(), None)
