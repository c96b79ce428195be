"""What scans are made with, what becomes of them, and when they end a build."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.content import ContentLost, ContentMissing, ProfileUnknown, RuleUnknown
from imagebuilder.domain.control import (
    AssessmentFailed,
    ControlMark,
    ControlOutcome,
    ControlUnmarked,
    ScanFailed,
)
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.waiver import Accepted
from imagebuilder.ports.inspection import TestsUnusable
from imagebuilder.ports.process import ProgramMissing
from tests.build import a_control, a_waiver, an_added
from tests.fakes.inspection import a_report
from tests.house import BASE, House

OWN = "/w/recipes/own/test_acme.py"
RULE = "sshd_disable_root_login"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.packs = (an_added(digest=house.blobs.put(b"<data-stream/>")),)
    house.scanner.results = (a_control(RULE), a_control("kernel", ControlOutcome.NOT_APPLICABLE))
    return house


def asks(house: House, *lines: str) -> House:
    """Let the base image's recipe ask for scans."""
    house.documents.documents[BASE] += f"compliance: [{', '.join(lines)}]\n"
    return house


def own(house: House, *outcomes: Outcome, crash: str = "") -> House:
    """Give the recipe a folder of two controls of its own, whose tests end so."""
    house.documents.documents[OWN] = "def test_it(host): ..."
    house.controls.reports[Stage.OFFLINE] = a_report(Stage.OFFLINE, *outcomes, crash=crash)
    house.controls.controls = {
        "test_1": ControlMark(rule="ACME-1", severity=Severity.LOW, title="One"),
        "test_2": ControlMark(rule="ACME-2", severity=Severity.HIGH, title="Two"),
        "test_3": ControlMark(rule="ACME-1", severity=Severity.MEDIUM),
    }
    return house


def nothing_was_built(house: House) -> bool:
    return house.progress.steps == [] and house.versions.versions == []


def test_build_when_a_scan_is_asked_for_then_its_assessment_is_recorded(house: House) -> None:
    version = asks(house, "{profile: cis}").built(BASE)

    (assessment,) = version.assessments
    pack = house.packs[0].pack
    assert (assessment.profile, assessment.benchmark) == ("cis", "DEBIAN-12@0.1.82")
    assert (assessment.engine, assessment.content) == ("fake 1.0", "ssg-debian12 0.1.82")
    assert (assessment.content_digest, assessment.stage) == (pack.digest, Stage.OFFLINE)
    assert assessment.results == house.scanner.results
    assert assessment.report is not None
    assert assessment.raw is not None
    assert house.blobs.read(assessment.report) == b"<html>a page of all of it"
    assert house.blobs.read(assessment.raw) == b"all of it"
    told = "1 passed, 0 failed; 50% of 2 judged"
    assert ("scan for cis", "succeeded", told) in house.progress.steps
    ((root, request),) = house.scanner.asked
    assert request.file == house.blobs.path(pack.digest)
    assert root not in house.contents.looked_at


def test_build_when_asked_to_scan_what_runs_then_the_booted_image_is_scanned(house: House) -> None:
    version = asks(house, "{profile: cis, booted: true}").built(BASE)

    ((machine, _),) = house.scanner.asked_booted
    assert machine is house.booter.in_container
    assert house.booter.ended[0] == "container"
    assert house.scanner.asked == []
    assert [each.stage for each in version.assessments] == [Stage.BOOTED]
    assert "scan for cis while it runs" in [name for name, _, _ in house.progress.steps]


def test_build_when_the_engine_makes_no_page_then_nothing_is_recorded(house: House) -> None:
    house.scanner.page_fails = ScanFailed("cis", "there is no page of its result", "")

    with pytest.raises(ScanFailed, match="there is no page"):
        asks(house, "{profile: cis}").build(BASE)
    assert house.versions.versions == []


def test_build_when_nothing_changed_then_is_not_scanned_again(house: House) -> None:
    asks(house, "{profile: cis}").built(BASE)

    assert house.build(BASE).is_unchanged
    assert len(house.scanner.asked) == 1


def test_build_when_several_are_asked_for_then_each_has_a_root_that_nobody_wrote_to(
    house: House,
) -> None:
    version = asks(own(house, Outcome.PASSED), "{controls: own}", "{profile: cis}").built(BASE)

    assert [each.profile for each in version.assessments] == ["own", "cis"]
    names = [name for name, _, _ in house.progress.steps]
    assert names.index("scan for own") < names.index("scan for cis") < names.index("record")


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("{profile: cis}", "0.1.83"),
        ("{profile: cis, content: ssg-debian12}", "0.1.83"),
        ("{profile: cis, content: ssg-debian12@0.1.82}", "0.1.82"),
        ("{profile: xccdf_content_profile_cis}", "0.1.83"),
    ],
)
def test_content_when_several_fit_then_is_the_newest(house: House, asked: str, chosen: str) -> None:
    digest = house.blobs.put(b"newer")
    other = an_added("ssg-debian13", "0.1.90", releases=("debian:trixie",), days=9)
    house.packs = (other, an_added(version="0.1.83", digest=digest, days=2), *house.packs)

    (assessment,) = asks(house, asked).built(BASE).assessments

    assert assessment.content == f"ssg-debian12 {chosen}"


@pytest.mark.parametrize(
    ("asked", "packs", "error"),
    [
        ("{profile: cis}", [], ContentMissing),
        ("{profile: cis}", [an_added("ssg-debian13", releases=("debian:trixie",))], ContentMissing),
        ("{profile: cis, content: other}", [an_added()], ContentMissing),
        ("{profile: cis, content: ssg-debian12@1}", [an_added()], ContentMissing),
        ("{profile: cix}", [an_added()], ProfileUnknown),
        ("{profile: cis, content: ssg-debian12}", [an_added()], ContentLost),
    ],
)
def test_build_when_there_is_no_content_for_it_then_is_refused_before_it_begins(
    house: House, asked: str, packs: list[object], error: type[Exception]
) -> None:
    house.packs = tuple(packs)  # type: ignore[arg-type]  # plain names

    with pytest.raises(error):
        asks(house, asked).build(BASE)

    assert nothing_was_built(house)


@pytest.mark.parametrize("content", [None, b"<changed/>"], ids=["gone", "changed"])
def test_build_when_the_file_of_its_content_is_not_what_was_added_then_is_refused(
    house: House, content: bytes | None
) -> None:
    digest = house.packs[0].pack.digest
    del house.blobs.contents[digest]
    if content is not None:
        house.blobs.contents[digest] = content

    with pytest.raises(ContentLost, match=r"ssg-debian12 0\.1\.82"):
        asks(house, "{profile: cis}").build(BASE)

    assert nothing_was_built(house)


def test_build_when_there_is_no_engine_then_is_refused_before_it_begins(house: House) -> None:
    house.scanner.fails = ProgramMissing("oscap")

    with pytest.raises(ProgramMissing):
        asks(house, "{profile: cis}").build(BASE)

    assert nothing_was_built(house)


def test_build_when_the_image_says_another_release_then_its_content_counts(house: House) -> None:
    house.contents.release = replace(house.contents.release, name="debian:trixie")

    with pytest.raises(ContentMissing) as refused:
        asks(house, "{profile: cis}").build(BASE)

    assert "release debian:trixie" in refused.value.message
    assert house.versions.versions == []


@pytest.mark.parametrize("outcome", [ControlOutcome.FAIL, ControlOutcome.ERROR])
def test_build_when_a_rule_is_as_bad_as_fail_on_then_ends_and_records_nothing(
    house: House, outcome: ControlOutcome
) -> None:
    house.scanner.results = (
        a_control(RULE, outcome, title="Root may not log in"),
        a_control("mild", ControlOutcome.FAIL, Severity.LOW),
    )

    with pytest.raises(AssessmentFailed) as failed:
        asks(house, "{profile: cis, fail_on: high}").build(BASE)

    assert failed.value.message.startswith("1 of 2 rules of cis that are high or worse")
    assert RULE in failed.value.context
    assert "mild" not in failed.value.context
    assert f"imagebuilder waiver add {RULE} --benchmark DEBIAN-12 --image base" in failed.value.hint
    assert house.versions.versions == []
    assert house.progress.states["scan for cis"] == "failed"


@pytest.mark.parametrize("fail_on", ["", ", fail_on: critical"])
def test_build_when_rules_fail_but_are_not_so_bad_then_is_recorded(
    house: House, fail_on: str
) -> None:
    house.scanner.results = (a_control(RULE, ControlOutcome.FAIL),)

    assert asks(house, f"{{profile: cis{fail_on}}}").built(BASE).assessments


@pytest.mark.parametrize(
    ("image", "versions", "days", "counts"),
    [
        ("base", "", 1, True),
        ("b*", "1.x", 1, True),
        ("base", "2.x", 1, False),
        ("web", "", 1, False),
        ("base", "", 0.00001, False),
    ],
)
def test_build_when_a_rule_is_waived_then_goes_on_while_that_is_in_force(
    house: House, image: str, versions: str, days: float, *, counts: bool
) -> None:
    house.scanner.results = (a_control(RULE, ControlOutcome.FAIL),)
    accepted = Accepted(kind=FindingKind.CONTROL, id=RULE, within="DEBIAN-12")
    at = house.clock.now() - timedelta(seconds=2)
    house.waivers.add(a_waiver(accepted, at=at, days=days, image=image, versions=versions))
    asks(house, "{profile: cis, fail_on: high}")

    if counts:
        assert house.built(BASE).assessments
        return
    with pytest.raises(AssessmentFailed):
        house.build(BASE)


def test_build_when_a_scan_is_not_finished_then_records_nothing(house: House) -> None:
    house.scanner.fails = ScanFailed("cis", "it was cut short", "")

    with pytest.raises(ScanFailed):
        asks(house, "{profile: cis}").build(BASE)

    assert house.versions.versions == []


def test_own_controls_then_are_an_assessment_by_the_digest_of_their_folder(house: House) -> None:
    house.packs = ()
    own(house, Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED)

    (assessment,) = asks(house, "{controls: own}").built(BASE).assessments

    digest = house.documents.folder_digest(Path("/w/recipes/own"))
    assert (assessment.content_digest, assessment.engine) == (digest, "testinfra")
    assert assessment.benchmark == f"own@{digest.hex[:12]}"
    assert assessment.report is None
    assert [(r.rule, r.outcome, r.severity, r.title) for r in assessment.results] == [
        ("ACME-1", ControlOutcome.FAIL, Severity.MEDIUM, ""),
        ("ACME-2", ControlOutcome.NOT_APPLICABLE, Severity.HIGH, "Two"),
    ]
    assert assessment.results[0].evidence == "test_3: failed"
    assert house.tests.ran == []


def test_own_controls_when_they_are_bad_enough_then_end_the_build(house: House) -> None:
    own(house, Outcome.PASSED, Outcome.FAILED)

    with pytest.raises(AssessmentFailed, match="rules of acme"):
        asks(house, "{controls: own, profile: acme, fail_on: high}").build(BASE)


def test_own_controls_when_one_is_unselected_then_it_has_no_say(house: House) -> None:
    own(house, Outcome.PASSED, Outcome.FAILED)

    version = asks(house, "{controls: own, unselect: [ACME-2], fail_on: low}").built(BASE)

    assert [result.rule for result in version.assessments[0].results] == ["ACME-1"]


def test_own_controls_when_an_unknown_one_is_unselected_then_says_so(house: House) -> None:
    own(house, Outcome.PASSED, Outcome.FAILED)

    with pytest.raises(RuleUnknown, match="ACME-3"):
        asks(house, "{controls: own, unselect: [ACME-3]}").build(BASE)


def test_own_controls_when_a_test_is_marked_with_none_then_says_which(house: House) -> None:
    own(house, Outcome.PASSED).controls.controls.clear()

    with pytest.raises(ControlUnmarked, match="test_1"):
        asks(house, "{controls: own}").build(BASE)


def test_own_controls_when_their_tests_break_off_then_nothing_is_known(house: House) -> None:
    own(house, Outcome.PASSED, crash="killed")

    with pytest.raises(ScanFailed) as failed:
        asks(house, "{controls: own}").build(BASE)

    assert failed.value.context == "killed"


def test_own_controls_when_some_need_a_running_system_then_are_refused(house: House) -> None:
    own(house, Outcome.PASSED).controls.reports[Stage.BOOTED] = a_report(Stage.BOOTED)

    with pytest.raises(TestsUnusable, match="booted"):
        asks(house, "{controls: own}").build(BASE)
