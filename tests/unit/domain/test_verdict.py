"""What a gate decides of findings and waivers at a moment."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.audit import Act
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.objection import AdvisoryStanding
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.verdict import (
    FindingState,
    Known,
    Scan,
    Verdict,
    judge,
)
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.domain.waiver import Accepted, Waiver
from tests.build import SOME_DAY, a_finding, a_report, a_waiver

HIGH = AssuranceGate(fail_on=Severity.HIGH)
FRESH = AdvisoryStanding(
    data_at=SOME_DAY - timedelta(hours=1), exploited_at=SOME_DAY - timedelta(hours=2)
)
EXPLOITED = AssuranceGate(stops_known_exploited=True)


def known(*vulnerabilities: Finding, **more: Any) -> Known:
    values: dict[str, Any] = {"advisories": FRESH, "reports": (a_report(Stage.OFFLINE),)} | more
    return Known(
        image=ImageName("web"),
        version=BuildVersion.parse("1.0.0/1"),
        vulnerabilities=vulnerabilities,
        **values,
    )


def a_control(id_: str = "rule-1", **more: Any) -> Finding:
    return a_finding(id_, kind=FindingKind.CONTROL, scope="cis", **more)


def a_scan(*findings: Finding, **more: Any) -> Scan:
    values: dict[str, Any] = {"profile": "level1", "coverage": 0.8} | more
    return Scan(benchmark="cis", scanned_at=SOME_DAY, findings=findings, **values)


def booted_report(outcome: Outcome) -> TestReport:
    result = TestResult(name="ssh.py::test_up", outcome=outcome, seconds=1, detail="why")
    return TestReport(stage=Stage.BOOTED, results=(result,), seconds=1)


def reasons(verdict: Verdict) -> list[str]:
    return [objection.reason for objection in verdict.objections]


def states(verdict: Verdict) -> list[FindingState]:
    return [each.state for each in verdict.judged]


def test_verdict_when_no_gate_asks_then_all_is_open_and_nothing_in_the_way() -> None:
    verdict = judge(known(a_finding(), a_finding("X", is_undecided=True)), [], None, SOME_DAY)

    assert verdict.is_pass
    assert states(verdict) == [FindingState.UNDECIDED, FindingState.OPEN]


@pytest.mark.parametrize(
    ("finding", "gate", "state"),
    [
        (a_finding(), HIGH, FindingState.FAILING),
        (a_finding(severity=Severity.CRITICAL), HIGH, FindingState.FAILING),
        (a_finding(severity=Severity.MEDIUM), HIGH, FindingState.TOLERATED),
        (a_finding(severity=Severity.UNKNOWN), HIGH, FindingState.FAILING),
        (a_finding(), replace(HIGH, is_only_fixable=True), FindingState.TOLERATED),
        (
            a_finding(fixed_version="3.1"),
            replace(HIGH, is_only_fixable=True),
            FindingState.FAILING,
        ),
        (
            a_finding(is_undecided=True, severity=Severity.UNKNOWN),
            replace(HIGH, is_only_fixable=True),
            FindingState.UNDECIDED,
        ),
        (
            a_finding(is_known_exploited=True, severity=Severity.LOW),
            AssuranceGate(stops_known_exploited=True),
            FindingState.FAILING,
        ),
        (a_finding(), AssuranceGate(stops_known_exploited=True), FindingState.TOLERATED),
        (a_finding(), AssuranceGate(tests=("offline",)), FindingState.TOLERATED),
    ],
)
def test_vulnerability_when_a_gate_asks_then_stands_so(
    finding: Finding, gate: AssuranceGate, state: FindingState
) -> None:
    verdict = judge(known(finding), [], gate, SOME_DAY)

    assert states(verdict)[0] is state
    assert verdict.is_pass is (state is FindingState.TOLERATED)


def test_objection_when_a_fix_is_there_then_says_what_and_gives_the_command() -> None:
    finding = a_finding(installed_version="3.0", fixed_version="3.1", severity=Severity.CRITICAL)

    (objection,) = judge(known(finding), [], HIGH, SOME_DAY).objections

    assert objection.reason == "CVE-2026-1 in openssl 3.0: critical, fixed in 3.1."
    assert objection.remedy == (
        "Build it again with openssl 3.1; or accept it: imagebuilder waiver add CVE-2026-1 "
        "--package openssl --image web --expires 30d --reason TEXT --ticket ID --owner NAME"
    )


def test_waiver_when_in_force_then_the_finding_does_not_stop_it() -> None:
    waiver = a_waiver()

    verdict = judge(known(a_finding()), [waiver], HIGH, SOME_DAY)

    assert verdict.is_pass
    assert (verdict.judged[0].state, verdict.judged[0].waiver) == (FindingState.WAIVED, waiver)


def test_waiver_when_it_runs_out_then_blocks_without_any_scan() -> None:
    waiver = a_waiver(days=1)
    late = replace(FRESH, data_at=waiver.expires_at)

    verdict = judge(known(a_finding(), advisories=late), [waiver], HIGH, waiver.expires_at)

    assert reasons(verdict) == [
        (
            "CVE-2026-1 in openssl: high, without a fix. "
            "Waiver waiver-1 expired at 2026-03-02 12:30:15Z."
        )
    ]
    assert verdict.judged[0].lapsed == waiver


def test_waiver_when_revoked_then_blocks_and_says_by_whom() -> None:
    waiver = replace(a_waiver(), revoked=Act(actor="eva", at=SOME_DAY, why="no"))

    assert reasons(judge(known(a_finding()), [waiver], HIGH, SOME_DAY)) == [
        (
            "CVE-2026-1 in openssl: high, without a fix. "
            "Waiver waiver-1 was revoked by eva at 2026-03-01 12:30:15Z."
        )
    ]


def test_verdict_when_it_passes_only_by_a_waiver_that_ends_then_says_so() -> None:
    needed, other = a_finding(), a_finding("CVE-2026-2", severity=Severity.LOW)
    waivers = [
        a_waiver(days=3),
        a_waiver(Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-2"), id="b", days=3),
    ]

    verdict = judge(known(needed, other), waivers, HIGH, SOME_DAY)

    soon, sooner = (SOME_DAY + timedelta(days=days) for days in (3, 2))
    assert [each.finding for each in verdict.resting_on(soon)] == [needed]
    assert verdict.resting_on(sooner) == ()
    assert judge(known(needed), waivers, None, SOME_DAY).resting_on(soon) == ()


def test_waivers_when_several_hold_then_the_one_that_lasts_longest_counts() -> None:
    waivers = [a_waiver(id="a", days=2), a_waiver(id="b", days=3), a_waiver(id="c", days=-1)]

    verdict = judge(known(a_finding()), waivers, HIGH, SOME_DAY)

    assert verdict.judged[0].waiver == waivers[1]


@pytest.mark.parametrize(
    ("standing", "part"),
    [
        (AdvisoryStanding(), "no advisories were imported"),
        (replace(FRESH, data_at=SOME_DAY - timedelta(days=9)), "9.0 days old, and 7d is allowed"),
        (replace(FRESH, is_outmoded=True), "not matched with the newest"),
        (AdvisoryStanding(problem="it has no bill."), "it has no bill."),
    ],
)
def test_advisories_when_nothing_is_known_then_that_is_no_pass(
    standing: AdvisoryStanding, part: str
) -> None:
    for gate in (HIGH, AssuranceGate(stops_known_exploited=True)):
        (reason,) = reasons(judge(known(advisories=standing), [], gate, SOME_DAY))

        assert reason.startswith("Its vulnerabilities are unknown, which is no pass: ")
        assert part in reason

    assert judge(known(advisories=standing), [], AssuranceGate(), SOME_DAY).is_pass


@pytest.mark.parametrize(
    ("exploited_at", "told"),
    [
        (None, "no list of what is exploited (KEV) was imported."),
        (
            SOME_DAY - timedelta(days=7, hours=6),
            "the list of what is exploited (KEV) is 7.2 days old, and 7d is allowed.",
        ),
    ],
)
def test_exploitation_when_its_data_is_missing_or_old_then_is_unknown_to_the_gate_that_asks(
    exploited_at: datetime | None, told: str
) -> None:
    it = known(advisories=replace(FRESH, exploited_at=exploited_at))
    prefix = "Which of its vulnerabilities are exploited already is unknown, which is no pass: "

    (objection,) = judge(it, [], EXPLOITED, SOME_DAY).objections

    assert objection.reason == prefix + told
    assert "imagebuilder advisory update --rescan --from FILE" in objection.remedy
    assert judge(it, [], HIGH, SOME_DAY).is_pass
    assert judge(it, [], replace(HIGH, max_data_age_seconds=86400), SOME_DAY).is_pass


def test_exploitation_when_all_data_is_old_then_each_is_told() -> None:
    old = SOME_DAY - timedelta(days=9)
    it = known(advisories=AdvisoryStanding(data_at=old, exploited_at=old))

    assert [reason.partition(",")[0] for reason in reasons(judge(it, [], EXPLOITED, SOME_DAY))] == [
        "Its vulnerabilities are unknown",
        "Which of its vulnerabilities are exploited already is unknown",
    ]
    assert judge(it, [], replace(EXPLOITED, max_data_age_seconds=9 * 86400), SOME_DAY).is_pass


def test_standing_when_carried_then_all_of_its_data_is_renewed() -> None:
    later = timedelta(days=30)

    assert judge(known(advisories=FRESH.carried(later)), [], EXPLOITED, SOME_DAY + later).is_pass
    assert AdvisoryStanding().carried(later) == AdvisoryStanding()


def test_advisories_when_a_gate_allows_more_or_less_age_then_that_counts() -> None:
    old = known(advisories=AdvisoryStanding(data_at=SOME_DAY - timedelta(days=9)))
    wide, narrow = (replace(HIGH, max_data_age_seconds=days * 86400) for days in (9, 8))

    assert judge(old, [], wide, SOME_DAY).is_pass
    assert not judge(old, [], narrow, SOME_DAY).is_pass


def test_profile_when_never_scanned_then_says_how_to() -> None:
    gate = AssuranceGate(profile="level2")

    verdict = judge(known(scans=(a_scan(),)), [], gate, SOME_DAY)

    assert reasons(verdict) == ["It was never scanned for level2."]
    assert "compliance: {profile: level2}" in verdict.objections[0].remedy


@pytest.mark.parametrize("profile", [None, "level1"])
def test_coverage_when_below_then_says_both_figures(profile: str | None) -> None:
    gate = AssuranceGate(profile=profile, min_coverage=0.9)

    assert reasons(judge(known(scans=(a_scan(),)), [], gate, SOME_DAY)) == [
        "Only 80% of the controls of level1 were judged, and 90% are asked for."
    ]
    assert judge(known(scans=(a_scan(coverage=0.9),)), [], gate, SOME_DAY).is_pass


def test_coverage_when_nothing_was_scanned_then_is_no_pass() -> None:
    assert reasons(judge(known(), [], AssuranceGate(min_coverage=0), SOME_DAY)) == [
        "It was never scanned for any profile."
    ]


def test_controls_when_of_another_profile_than_asked_then_do_not_count() -> None:
    scans = (a_scan(), a_scan(a_control(), profile="level2"))

    assert judge(known(scans=scans), [], replace(HIGH, profile="level1"), SOME_DAY).is_pass
    assert not judge(known(scans=scans), [], HIGH, SOME_DAY).is_pass


def test_control_when_nobody_could_judge_it_then_is_no_pass() -> None:
    scans = (a_scan(a_control(is_undecided=True)),)

    verdict = judge(known(scans=scans), [], HIGH, SOME_DAY)

    assert states(verdict) == [FindingState.UNDECIDED]
    assert reasons(verdict) == ["rule-1 of cis could not be judged (high)."]


@pytest.mark.parametrize("wanted", ["booted", "ssh.py", "ssh.py::test_up"])
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED])
def test_required_tests_when_not_passed_then_block_unless_waived(
    wanted: str, outcome: Outcome
) -> None:
    it, gate = known(reports=(booted_report(outcome),)), AssuranceGate(tests=(wanted,))
    accepted = Accepted(kind=FindingKind.TEST, id="ssh.py::test_up")

    assert not judge(it, [], gate, SOME_DAY).is_pass
    assert judge(it, [a_waiver(accepted)], gate, SOME_DAY).is_pass
    assert judge(known(reports=(booted_report(Outcome.PASSED),)), [], gate, SOME_DAY).is_pass


def test_required_tests_when_never_run_then_says_so() -> None:
    gate = AssuranceGate(tests=("machine", "pack:ssh"))

    assert reasons(judge(known(), [], gate, SOME_DAY)) == [
        "It passed no machine tests.",
        "It passed no pack:ssh tests.",
    ]


def test_skipped_test_when_not_required_then_is_told_and_tolerated() -> None:
    verdict = judge(known(reports=(booted_report(Outcome.SKIPPED),)), [], HIGH, SOME_DAY)

    assert verdict.is_pass
    assert states(verdict) == [FindingState.TOLERATED]


def test_crash_when_a_stage_has_one_then_is_a_finding() -> None:
    crashed = TestReport(stage=Stage.BOOTED, results=(), seconds=1, crash="killed")

    verdict = judge(known(reports=(crashed,)), [], AssuranceGate(tests=("booted",)), SOME_DAY)

    assert not verdict.is_pass


# Whatever is found, waived and asked for.

SEVERITIES = st.sampled_from(Severity)
FINDINGS = st.builds(
    Finding,
    kind=st.sampled_from(FindingKind),
    id=st.sampled_from(["CVE-2026-1", "CVE-2026-2", "rule-1"]),
    scope=st.sampled_from(["openssl", "cis"]),
    severity=SEVERITIES,
    fixed_version=st.sampled_from(["", "3.1"]),
    is_known_exploited=st.booleans(),
    is_undecided=st.booleans(),
)
WAIVERS = st.builds(
    a_waiver,
    st.builds(
        Accepted,
        kind=st.sampled_from(FindingKind),
        id=st.sampled_from(["CVE-2026-1", "CVE-2026-2", "rule-1"]),
        within=st.sampled_from(["", "openssl", "cis"]),
    ),
    id=st.uuids().map(str),
    days=st.sampled_from([-1, 0, 1, 30]),
    image=st.sampled_from(["web", "w*", "db"]),
    versions=st.sampled_from(["", "1.x", "2.x"]),
)
GATES = st.builds(
    AssuranceGate,
    fail_on=st.none() | SEVERITIES,
    is_only_fixable=st.booleans(),
    stops_known_exploited=st.booleans(),
    profile=st.sampled_from([None, "level1", "level2"]),
    min_coverage=st.sampled_from([None, 0.5, 0.9]),
    max_data_age_seconds=st.sampled_from([None, 60, 10**6]),
    tests=st.sampled_from([(), ("offline",), ("booted", "machine")]),
)
OF_VERSION = st.builds(
    lambda vulnerabilities, controls, at: known(
        *vulnerabilities,
        scans=(a_scan(*controls),),
        advisories=AdvisoryStanding(data_at=at, exploited_at=at),
    ),
    st.lists(FINDINGS, max_size=4),
    st.lists(FINDINGS, max_size=3),
    st.sampled_from([None, SOME_DAY, SOME_DAY - timedelta(days=30)]),
)
MOMENTS = st.sampled_from([SOME_DAY, SOME_DAY + timedelta(days=2), SOME_DAY + timedelta(days=40)])


@given(OF_VERSION, st.lists(WAIVERS, max_size=4), WAIVERS, GATES, MOMENTS)
def test_adding_a_waiver_whatever_it_is_then_adds_no_objection(
    it: Known, waivers: list[Waiver], more: Waiver, gate: AssuranceGate, at: datetime
) -> None:
    before = judge(it, waivers, gate, at)
    after = judge(it, [*waivers, more], gate, at)

    assert len(after.objections) <= len(before.objections)
    # What was known of a lapsed waiver may be said differently; what it is of stays.
    remedies = [objection.remedy for objection in before.objections]
    assert all(objection.remedy in remedies for objection in after.objections)


@given(OF_VERSION, st.lists(WAIVERS, max_size=4), GATES, MOMENTS)
def test_a_waiver_that_ran_out_whatever_it_was_then_is_as_none(
    it: Known, waivers: list[Waiver], gate: AssuranceGate, at: datetime
) -> None:
    in_force = [waiver for waiver in waivers if waiver.is_in_force(at)]

    every, active = judge(it, waivers, gate, at), judge(it, in_force, gate, at)

    assert [each.remedy for each in every.objections] == [o.remedy for o in active.objections]
    assert states(every) == states(active)


@given(OF_VERSION, st.lists(WAIVERS, max_size=4), GATES, MOMENTS, st.randoms())
def test_order_whatever_it_is_then_does_not_matter(
    it: Known, waivers: list[Waiver], gate: AssuranceGate, at: datetime, chance: random.Random
) -> None:
    found, given_ = list(it.vulnerabilities), list(waivers)
    chance.shuffle(found)
    chance.shuffle(given_)

    shuffled = judge(replace(it, vulnerabilities=tuple(found)), given_, gate, at)

    assert set(shuffled.objections) == set(judge(it, waivers, gate, at).objections)
    assert sorted(states(shuffled)) == sorted(states(judge(it, waivers, gate, at)))


@given(OF_VERSION, st.lists(WAIVERS, max_size=4), GATES, MOMENTS)
def test_a_pass_whatever_is_asked_then_has_nothing_undecided_or_failing(
    it: Known, waivers: list[Waiver], gate: AssuranceGate, at: datetime
) -> None:
    verdict = judge(it, waivers, gate, at)

    stopping = {FindingState.FAILING, FindingState.UNDECIDED} & set(states(verdict))
    assert not (verdict.is_pass and stopping)
    assert FindingState.OPEN not in states(verdict)


@given(OF_VERSION, st.lists(WAIVERS, max_size=4), GATES, MOMENTS, FINDINGS)
def test_one_finding_more_whatever_it_is_then_takes_no_objection_away(
    it: Known, waivers: list[Waiver], gate: AssuranceGate, at: datetime, more: Finding
) -> None:
    before = judge(it, waivers, gate, at)
    after = judge(replace(it, vulnerabilities=(*it.vulnerabilities, more)), waivers, gate, at)

    assert set(before.objections) <= set(after.objections)
