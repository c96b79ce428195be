"""Control: what one rule of a benchmark said of an image, and the assessment it is part of.

The outcome is kept as the engine told it and never changes: what becomes of it is a gate's to say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from shlex import quote
from typing import Any

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.evidence import Outcome, Stage, TestResult
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.severity import Severity


class ControlOutcome(StrEnum):
    """How one rule ended, in the words of XCCDF.

    Source: NIST IR 7275 revision 4 (XCCDF 1.2), table 26.
    """

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "notapplicable"
    NOT_CHECKED = "notchecked"
    INFORMATIONAL = "informational"
    FIXED = "fixed"


_JUDGED = frozenset({ControlOutcome.PASS, ControlOutcome.FAIL, ControlOutcome.FIXED})
_UNDECIDED = frozenset({ControlOutcome.ERROR, ControlOutcome.UNKNOWN})

_LONGEST_EVIDENCE = 4000
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """What one rule said.

    `rule` is the engine's own stable name; `controls` are the numbers it has in benchmarks.
    `evidence` is what the engine saw, cut to some kilobytes.
    """

    rule: str
    outcome: ControlOutcome
    severity: Severity
    title: str = ""
    controls: tuple[str, ...] = ()
    evidence: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether the rule could say yes or no."""
        return self.outcome in _JUDGED

    def finding(self, benchmark: str) -> Finding | None:
        """Give what speaks against the image, or None if nothing does."""
        if self.outcome is not ControlOutcome.FAIL and self.outcome not in _UNDECIDED:
            return None
        return Finding(
            kind=FindingKind.CONTROL,
            id=self.rule,
            scope=benchmark,
            severity=self.severity,
            title=self.title,
            aliases=self.controls,
            is_undecided=self.outcome in _UNDECIDED,
            detail=self.evidence,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What one scan said of a version.

    `engine` and `content` are named with their versions; `content_digest` and `tailoring` say
    exactly what was judged by. `report` is the engine's page for people and `raw` its whole
    result, both among the blobs. Shape: `results` by rule, without those that were not selected.
    """

    profile: str
    benchmark: str
    stage: Stage
    engine: str
    content: str
    content_digest: Digest
    tailoring: Digest | None
    scanned_at: datetime
    seconds: float
    results: tuple[ControlResult, ...]
    report: Digest | None = None
    raw: Digest | None = None

    @property
    def coverage(self) -> float:
        """The share of its rules that said yes or no (0 to 1); nothing selected is none judged."""
        judged = sum(result.is_judged for result in self.results)
        return judged / len(self.results) if self.results else 0.0

    @property
    def counts(self) -> Mapping[ControlOutcome, int]:
        """How many rules ended in which way."""
        return Counter(result.outcome for result in self.results)

    @property
    def blobs(self) -> frozenset[Digest]:
        """What has to be kept for it: its content, so that the same can be judged again."""
        files = (self.report, self.raw, self.content_digest)
        return frozenset(digest for digest in files if digest is not None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that speaks against the version."""
        found = (result.finding(self.benchmark) for result in self.results)
        return tuple(each for each in found if each is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMark:
    """What a test says of the control that it looks at."""

    rule: str
    severity: Severity = Severity.UNKNOWN
    title: str = ""


_OF_TEST = {
    Outcome.PASSED: ControlOutcome.PASS,
    Outcome.FAILED: ControlOutcome.FAIL,
    Outcome.ERROR: ControlOutcome.ERROR,
    Outcome.SKIPPED: ControlOutcome.NOT_APPLICABLE,
}
_WORST_OF_TESTS = (
    ControlOutcome.FAIL,
    ControlOutcome.ERROR,
    ControlOutcome.PASS,
    ControlOutcome.NOT_APPLICABLE,
)


def controls_of_tests(
    profile: str, results: Iterable[TestResult], marks: Mapping[str, ControlMark]
) -> tuple[ControlResult, ...]:
    """Give what controls of one's own said; of several tests of a control the worst counts.

    A skipped test says that its control does not apply. Raises: ControlUnmarked: a test has none.
    """
    said: dict[str, list[TestResult]] = {}
    marked: dict[str, ControlMark] = {}
    for result in results:
        mark = marks.get(result.name)
        if mark is None:
            raise ControlUnmarked(profile, result.name)
        said.setdefault(mark.rule, []).append(result)
        known = marked.setdefault(mark.rule, mark)
        if mark.severity.rank > known.severity.rank:
            marked[mark.rule] = mark
    return tuple(_of_tests(marked[rule], tests) for rule, tests in sorted(said.items()))


def _of_tests(mark: ControlMark, tests: Sequence[TestResult]) -> ControlResult:
    outcome = min((_OF_TEST[test.outcome] for test in tests), key=_WORST_OF_TESTS.index)
    told = [f"{t.name}: {t.detail}" for t in tests if t.detail and _OF_TEST[t.outcome] is outcome]
    return ControlResult(
        rule=mark.rule,
        outcome=outcome,
        severity=mark.severity,
        title=mark.title,
        evidence="\n".join(told)[:_LONGEST_EVIDENCE],
    )


def assessment_document(assessment: Assessment) -> Canonical:
    """Give what a scan said as one stage of a run writes it down for the next."""
    return {
        "profile": assessment.profile,
        "benchmark": assessment.benchmark,
        "stage": assessment.stage,
        "engine": assessment.engine,
        "content": assessment.content,
        "content_digest": str(assessment.content_digest),
        "tailoring": _text(assessment.tailoring),
        "scanned_at": assessment.scanned_at.isoformat(),
        "seconds": assessment.seconds,
        "report": _text(assessment.report),
        "raw": _text(assessment.raw),
        # There are hundreds of them, and their fields are always these.
        "results": [
            [r.rule, r.outcome, r.severity, r.title, list(r.controls), r.evidence]
            for r in assessment.results
        ],
    }


def assessment_of(fields: Mapping[str, Any]) -> Assessment:
    """Give what was written down as that. Raises: ValueError, KeyError, TypeError: it is not."""
    return Assessment(
        profile=fields["profile"],
        benchmark=fields["benchmark"],
        stage=Stage(fields["stage"]),
        engine=fields["engine"],
        content=fields["content"],
        content_digest=Digest.parse(fields["content_digest"]),
        tailoring=_digest(fields["tailoring"]),
        scanned_at=datetime.fromisoformat(fields["scanned_at"]),
        seconds=fields["seconds"],
        results=tuple(map(_result_of, fields["results"])),
        report=_digest(fields["report"]),
        raw=_digest(fields["raw"]),
    )


def _result_of(fields: Sequence[Any]) -> ControlResult:
    rule, outcome, severity, title, controls, evidence = fields
    return ControlResult(
        rule=rule,
        outcome=ControlOutcome(outcome),
        severity=Severity(severity),
        title=title,
        controls=tuple(controls),
        evidence=evidence,
    )


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def _digest(text: str | None) -> Digest | None:
    return None if text is None else Digest.parse(text)


class ControlUnmarked(StepFailed):
    """A test among controls of one's own says nothing of which it looks at."""

    code = "control-unmarked"

    def __init__(self, profile: str, test: str) -> None:
        """Name the test."""
        super().__init__(
            f"The test {test} among the controls of {profile} is marked with none.",
            context="What a test says is the word of the control that it is marked with.",
            hint='Write @pytest.mark.control("ACME-SSH-01", severity="high") above it, or move it '
            "to the recipe's tests.",
        )


class AssessmentFailed(StepFailed):
    """What a scan found is so bad that no version is recorded."""

    code = "assessment-failed"

    def __init__(
        self, image: str, assessment: Assessment, fail_on: Severity, findings: Sequence[Finding]
    ) -> None:
        """Say how many rules stand against the image, and which are the worst of them."""
        first = findings[0]
        lines = [
            f"{each.id}: {_ended(each)} ({each.severity})"
            + (f", {each.title}" if each.title else "")
            for each in findings[:_SHOWN]
        ]
        if len(findings) > _SHOWN:
            lines.append(f"And {len(findings) - _SHOWN} more.")
        super().__init__(
            f"{len(findings)} of {len(assessment.results)} rules of {assessment.profile} that are "
            f"{fail_on} or worse did not pass in {image}.",
            context="\n".join(lines),
            hint="Mend them in the recipe, leave out of the policy what is none of it (unselect), "
            f"or accept each for a while: imagebuilder waiver add {quote(first.id)} --benchmark "
            f"{quote(first.scope.partition('@')[0])} --image {quote(image)} --expires 30d "
            "--reason TEXT --ticket ID --owner NAME",
        )


def _ended(finding: Finding) -> str:
    return "could not be judged" if finding.is_undecided else "did not pass"


class ScanFailed(StepFailed):
    """An engine did not come to the end of its scan."""

    code = "scan-failed"

    def __init__(self, profile: str, reason: str, output: str) -> None:
        """Say what was scanned for, what went wrong, and what the engine said last."""
        super().__init__(
            f"The scan for {profile} was not finished: {reason}.",
            context=output,
            hint="Nothing is known of its controls, which is no pass; build it again, or try other "
            "content.",
        )
