"""Verdict: what a gate decides of a version's findings and waivers at a moment.

All is computed, nothing kept: a waiver that runs out, or advisories that grow old, change the next
verdict though nobody scanned anything. What nobody could judge is never a pass.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from shlex import quote

from imagebuilder.domain.control import Assessment
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.objection import (
    DEFAULT_DATA_AGE_SECONDS,
    AdvisoryStanding,
    Objection,
)
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.domain.waiver import Waiver, WaiverState, moment_text

_KINDS = tuple(FindingKind)


class FindingState(StrEnum):
    """What becomes of a finding when a gate asks; `open` when none does."""

    FAILING = "failing"
    UNDECIDED = "undecided"
    OPEN = "open"
    WAIVED = "waived"
    TOLERATED = "tolerated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What the scan of one profile said of a version.

    `coverage` is the share of its controls that were judged (0 to 1). Shape: `findings` are of the
    controls that did not pass.
    """

    profile: str
    benchmark: str
    coverage: float
    scanned_at: datetime
    findings: tuple[Finding, ...] = ()


def scan_of(assessment: Assessment) -> Scan:
    """Give what an assessment says to gates."""
    return Scan(
        profile=assessment.profile,
        benchmark=assessment.benchmark,
        coverage=assessment.coverage,
        scanned_at=assessment.scanned_at,
        findings=assessment.findings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of a version that speaks for or against it."""

    image: ImageName
    version: BuildVersion
    vulnerabilities: tuple[Finding, ...] = ()
    advisories: AdvisoryStanding = field(default_factory=AdvisoryStanding)
    scans: tuple[Scan, ...] = ()
    reports: tuple[TestReport, ...] = ()

    @property
    def reference(self) -> str:
        """How people name it."""
        return f"{self.image}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A finding as a gate sees it.

    `waiver` is the one that accepts it, of several the one that lasts longest; `lapsed` the one
    that accepted it last, when none does any more. `is_needed` when without its waiver it would
    stop the version.
    """

    finding: Finding
    state: FindingState
    waiver: Waiver | None = None
    lapsed: Waiver | None = None
    is_needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate decided. Shape: `judged` from what stops it to what does not, worst first."""

    at: datetime
    judged: tuple[Judged, ...] = ()
    objections: tuple[Objection, ...] = ()

    @property
    def is_pass(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.objections

    def resting_on(self, until: datetime) -> tuple[Judged, ...]:
        """Give what only waivers that end by then keep from standing in the way."""
        return tuple(
            each
            for each in self.judged
            if each.is_needed and each.waiver is not None and each.waiver.expires_at <= until
        )


_STOPPING = (FindingState.FAILING, FindingState.UNDECIDED)


def judge(
    known: Known, waivers: Iterable[Waiver], gate: AssuranceGate | None, at: datetime
) -> Verdict:
    """Give what a gate decides of a version at a moment; without one, nothing is in the way."""
    for_it = [waiver for waiver in waivers if waiver.is_for(known.image, known.version)]
    findings = set(_findings(known, gate))
    judged = tuple(sorted((_judged(f, for_it, gate, at) for f in findings), key=_worst_first))
    if gate is None:
        return Verdict(at=at, judged=judged)
    objections = (
        *_of_advisories(known, gate, at),
        *_of_scans(known, gate),
        *_of_missing_tests(known, gate),
        *(_of_finding(each, known, at) for each in judged if each.state in _STOPPING),
    )
    return Verdict(at=at, judged=judged, objections=objections)


def findings_of_tests(reports: Iterable[TestReport]) -> Iterator[Finding]:
    """Give what tests have against a version; one that was skipped says nothing for it."""
    for report in reports:
        if report.crash:
            yield _of_test(report, "(the run itself)", report.crash, Severity.CRITICAL)
        for result in report.results:
            if result.outcome in (Outcome.FAILED, Outcome.ERROR):
                yield _of_result(report, result, Severity.CRITICAL)
            elif result.outcome is Outcome.SKIPPED:
                yield _of_result(report, result, Severity.INFO)


def _of_result(report: TestReport, result: TestResult, severity: Severity) -> Finding:
    is_error = result.outcome is Outcome.ERROR
    return _of_test(report, result.name, result.detail, severity, is_undecided=is_error)


def _of_test(
    report: TestReport, name: str, detail: str, severity: Severity, *, is_undecided: bool = False
) -> Finding:
    return Finding(
        kind=FindingKind.TEST,
        id=name,
        scope=report.stage.value,
        severity=severity,
        title="It was skipped." if severity is Severity.INFO else "It did not pass.",
        is_undecided=is_undecided,
        detail=detail,
    )


def _findings(known: Known, gate: AssuranceGate | None) -> Iterator[Finding]:
    yield from known.vulnerabilities
    profile = None if gate is None else gate.profile
    for scan in known.scans:
        if profile is None or scan.profile == profile:
            yield from scan.findings
    yield from findings_of_tests(known.reports)


def _judged(
    finding: Finding, waivers: Sequence[Waiver], gate: AssuranceGate | None, at: datetime
) -> Judged:
    covering = [waiver for waiver in waivers if waiver.accepted.covers(finding)]
    active = [waiver for waiver in covering if waiver.is_in_force(at)]
    lapsed = [
        waiver
        for waiver in covering
        if waiver.created_at <= at and waiver.state(at) is not WaiverState.ACTIVE
    ]
    waiver = max(active, key=lambda each: (each.expires_at, each.id), default=None)
    state = _state(finding, gate)
    return Judged(
        finding=finding,
        state=FindingState.WAIVED if waiver else state,
        waiver=waiver,
        is_needed=waiver is not None and state in _STOPPING,
        lapsed=None
        if waiver
        else max(lapsed, key=lambda each: (_ended(each), each.id), default=None),
    )


def _ended(waiver: Waiver) -> datetime:
    revoked = waiver.revoked
    return waiver.expires_at if revoked is None else min(waiver.expires_at, revoked.at)


def _state(finding: Finding, gate: AssuranceGate | None) -> FindingState:
    if gate is None:
        return FindingState.UNDECIDED if finding.is_undecided else FindingState.OPEN
    if not _is_stopped(finding, gate):
        return FindingState.TOLERATED
    return FindingState.UNDECIDED if finding.is_undecided else FindingState.FAILING


def _is_stopped(finding: Finding, gate: AssuranceGate) -> bool:
    """Whether a finding stops a version; what nobody judged counts as the worst it may be."""
    if gate.stops_known_exploited and finding.is_known_exploited:
        return True
    if finding.kind is FindingKind.TEST and _is_required(finding.id, finding.scope, gate):
        return True
    if finding.kind is FindingKind.VULNERABILITY and finding.is_undecided:
        return asks_for_vulnerabilities(gate)
    if gate.fail_on is None or not _reaches(finding.severity, gate.fail_on):
        return False
    is_filtered = gate.is_only_fixable and finding.kind is FindingKind.VULNERABILITY
    return finding.is_fixable or not is_filtered


def _reaches(severity: Severity, threshold: Severity) -> bool:
    return severity is Severity.UNKNOWN or severity.reaches(threshold)


def asks_for_vulnerabilities(gate: AssuranceGate) -> bool:
    """Whether a gate must know of a version's vulnerabilities."""
    return (
        gate.fail_on is not None
        or gate.stops_known_exploited
        or gate.max_data_age_seconds is not None
    )


def _of_advisories(known: Known, gate: AssuranceGate, at: datetime) -> Iterator[Objection]:
    limit, standing = gate.max_data_age_seconds, known.advisories
    allowed = DEFAULT_DATA_AGE_SECONDS if limit is None else limit
    if asks_for_vulnerabilities(gate) and (trouble := standing.trouble(at, allowed)):
        yield trouble
    if gate.stops_known_exploited and (unsure := standing.exploitation_trouble(at, allowed)):
        yield unsure


def _of_scans(known: Known, gate: AssuranceGate) -> Iterator[Objection]:
    scans = [s for s in known.scans if gate.profile is None or s.profile == gate.profile]
    if not scans and gate.profile is not None:
        yield Objection(
            reason=f"It was never scanned for {gate.profile}.",
            remedy=f"Put compliance: {{profile: {gate.profile}}} into its recipe, and build it "
            "again",
        )
    elif not scans and gate.min_coverage is not None:
        yield Objection(
            reason="It was never scanned for any profile.",
            remedy="Put compliance: {profile: NAME} into its recipe, and build it again",
        )
    for scan in scans:
        if gate.min_coverage is not None and scan.coverage < gate.min_coverage:
            yield Objection(
                reason=f"Only {scan.coverage:.0%} of the controls of {scan.profile} were judged, "
                f"and {gate.min_coverage:.0%} are asked for.",
                remedy="Scan it with content that is made for its release, and build it again",
            )


def _of_missing_tests(known: Known, gate: AssuranceGate) -> Iterator[Objection]:
    """Give what a gate wants tested and nothing tested."""
    ran = [(r.name, report.stage.value) for report in known.reports for r in report.results]
    for wanted in gate.tests:
        if not any(_is_named(wanted, name, stage) for name, stage in ran):
            yield Objection(
                reason=f"It passed no {wanted} tests.",
                remedy=f"Give its recipe {wanted} tests, and build it again",
            )


def _is_required(name: str, stage: str, gate: AssuranceGate) -> bool:
    return any(_is_named(wanted, name, stage) for wanted in gate.tests)


def _is_named(wanted: str, name: str, stage: str) -> bool:
    """Whether a test is asked for: by its stage, its pack, its file, or its own name."""
    if wanted in (stage, name):
        return True
    return any(name.startswith(f"{wanted}{joint}") for joint in ("::", "/", "["))


def _of_finding(judged: Judged, known: Known, at: datetime) -> Objection:
    return Objection(
        reason=f"{_what(judged.finding)}{_once(judged, at)}", remedy=_remedy(judged.finding, known)
    )


def _what(finding: Finding) -> str:
    severity = "of unknown severity" if finding.severity is Severity.UNKNOWN else finding.severity
    match finding.kind:
        case FindingKind.VULNERABILITY:
            fix = f"fixed in {finding.fixed_version}" if finding.is_fixable else "without a fix"
            told = [str(severity), fix]
            if finding.is_known_exploited:
                told.append("known to be exploited")
            if finding.is_undecided:
                told = ["nobody could judge it"]
            installed = f" {finding.installed_version}" if finding.installed_version else ""
            return f"{finding.id} in {finding.scope}{installed}: {', '.join(told)}."
        case FindingKind.CONTROL:
            ended = "could not be judged" if finding.is_undecided else "did not pass"
            return f"{finding.id} of {finding.scope} {ended} ({severity})."
        case FindingKind.TEST:
            ended = "did not pass"
            if finding.severity is Severity.INFO:
                ended = "was skipped, and must pass"
            return f"Test {finding.id} of stage {finding.scope} {ended}."


def _once(judged: Judged, at: datetime) -> str:
    """Say which waiver accepted it once, if any."""
    waiver = judged.lapsed
    if waiver is None:
        return ""
    if waiver.revoked is not None and waiver.revoked.at <= at:
        return (
            f" Waiver {waiver.id} was revoked by {waiver.revoked.actor} at "
            f"{moment_text(waiver.revoked.at)}."
        )
    return f" Waiver {waiver.id} expired at {moment_text(waiver.expires_at)}."


def _remedy(finding: Finding, known: Known) -> str:
    match finding.kind:
        case FindingKind.VULNERABILITY:
            within, mend = "package", "Choose a version without it"
            if finding.is_fixable:
                mend = f"Build it again with {finding.scope} {finding.fixed_version}"
        case FindingKind.CONTROL:
            within, mend = "benchmark", "Mend it in the recipe, and build it again"
        case FindingKind.TEST:
            within, mend = "stage", "Mend it, and build it again"
    return (
        f"{mend}; or accept it: imagebuilder waiver add {quote(finding.id)} "
        f"--{within} {quote(finding.scope)} --image {known.image} --expires 30d --reason TEXT "
        "--ticket ID --owner NAME"
    )


def _worst_first(judged: Judged) -> tuple[int, int, int, str, str]:
    finding = judged.finding
    return (
        list(FindingState).index(judged.state),
        -finding.severity.rank,
        _KINDS.index(finding.kind),
        finding.id,
        finding.scope,
    )
