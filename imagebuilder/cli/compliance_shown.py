"""`imagebuilder compliance show` and `trend`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument, image_names
from imagebuilder.cli.output import moment_text, print_json, print_lines, print_table, told_errors
from imagebuilder.domain.control import ControlOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.cli.output import Json
    from imagebuilder.domain.compliance_trend import TrendPoint
    from imagebuilder.domain.control import Assessment, ControlResult
    from imagebuilder.domain.verdict import Verdict
    from imagebuilder.domain.waiver import Waiver

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="PROFILE", help="Of this profile only.", show_default=False),
]

_AGAINST = (ControlOutcome.FAIL, ControlOutcome.ERROR, ControlOutcome.UNKNOWN)
_ORDER = (*_AGAINST, *(each for each in ControlOutcome if each not in _AGAINST))
_PASSED = (ControlOutcome.PASS, ControlOutcome.FIXED)


def show(
    reference: ReferenceArgument,
    *,
    profile: ProfileOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only rules that did not pass, or that nobody judged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what scans said of a version, rule by rule; what is waived is marked."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.compliance_trend import NotScanned, profiles_of

        application = Application()
        version = application.cataloguing.show(reference)
        found = [each for each in version.assessments if profile in (None, each.profile)]
        if not found:
            raise NotScanned(version.reference, profile, profiles_of([version]))
        verdict = application.gating.verdict(version, None)
        if as_json:
            scans = [_assessment_json(each, verdict, only_failed=failed) for each in found]
            print_json({"reference": version.reference, "scans": scans})
            return
        for number, each in enumerate(found):
            print_lines(*([""] if number else []))
            _print_assessment(version.reference, each, verdict, only_failed=failed)


def trend(
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="The image's name.", autocompletion=image_names),
    ],
    *,
    profile: ProfileOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="So many of the newest versions are looked at.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what each version's scan said, and what newly fails or was mended; newest first."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.compliance_trend import NotScanned, profiles_of
        from imagebuilder.domain.compliance_trend import trend as trend_of

        application = Application()
        newest = application.cataloguing.list(image)[:limit]
        versions = [application.versions.get(each.id) for each in reversed(newest)]
        known = profiles_of(versions)
        asked = known if profile is None else (profile,)
        found = {name: trend_of(versions, name)[::-1] for name in asked}
        if not any(found.values()):
            raise NotScanned(image, profile, known)
        if as_json:
            print_json([_point_json(p) for points in found.values() for p in points])
            return
        print_table(
            ("VERSION", "PROFILE", "PASS", "FAIL", "UNKNOWN", "JUDGED", "CHANGES"),
            [_point_row(point) for points in found.values() for point in points],
        )


def counted(assessment: "Assessment") -> str:
    """Say how many rules ended how, and how many were judged."""
    counts = assessment.counts
    words = {
        "passed": _PASSED,
        "failed": (ControlOutcome.FAIL,),
        "could not be judged": (ControlOutcome.ERROR, ControlOutcome.UNKNOWN),
        "not applicable": (ControlOutcome.NOT_APPLICABLE,),
        "not checked": (ControlOutcome.NOT_CHECKED,),
        "informational": (ControlOutcome.INFORMATIONAL,),
    }
    sums = {word: sum(counts.get(o, 0) for o in outcomes) for word, outcomes in words.items()}
    always = ("passed", "failed")
    told = ", ".join(f"{n} {word}" for word, n in sums.items() if n or word in always)
    return f"{told}; {assessment.coverage:.0%} of {len(assessment.results)} judged"


def shown_results(assessment: "Assessment", *, only_failed: bool) -> "Sequence[ControlResult]":
    """Give what rules said, what speaks against the version first, and of that the worst."""
    found = [r for r in assessment.results if not only_failed or r.outcome in _AGAINST]
    return sorted(found, key=lambda r: (_ORDER.index(r.outcome), -r.severity.rank, r.rule))


def _print_assessment(
    reference: str, assessment: "Assessment", verdict: "Verdict", *, only_failed: bool
) -> None:
    waivers = _waivers(assessment, verdict)
    waived = f" ({len(waivers)} of them waived)" if waivers else ""
    print_lines(
        f"{reference}, scanned for {assessment.profile}",
        f"benchmark  {assessment.benchmark}, by {assessment.content} and {assessment.engine}",
        f"scanned    {moment_text(assessment.scanned_at)}, {assessment.stage}, in "
        f"{assessment.seconds:.1f} s",
        f"rules      {counted(assessment)}{waived}",
        "",
    )
    print_table(
        ("OUTCOME", "SEVERITY", "RULE", "CONTROLS", "WAIVED UNTIL"),
        [
            (
                result.outcome.value,
                result.severity.value,
                result.rule,
                ", ".join(result.controls),
                moment_text(waivers[result.rule].expires_at) if result.rule in waivers else "",
            )
            for result in shown_results(assessment, only_failed=only_failed)
        ],
    )


def _waivers(assessment: "Assessment", verdict: "Verdict") -> "dict[str, Waiver]":
    """Give what accepts rules of a scan now. Shape: rule -> its waiver."""
    return {
        each.finding.id: each.waiver
        for each in verdict.judged
        if each.waiver is not None and each.finding.scope == assessment.benchmark
    }


def _assessment_json(
    assessment: "Assessment", verdict: "Verdict", *, only_failed: bool
) -> "dict[str, Json]":
    waivers = _waivers(assessment, verdict)
    return {
        **_summary_json(assessment),
        "rules": [
            {
                "rule": result.rule,
                "outcome": result.outcome.value,
                "severity": result.severity.value,
                "title": result.title,
                "controls": list(result.controls),
                "evidence": result.evidence,
                "waiver": waivers[result.rule].id if result.rule in waivers else None,
            }
            for result in shown_results(assessment, only_failed=only_failed)
        ],
    }


def _summary_json(assessment: "Assessment") -> "dict[str, Json]":
    counts = assessment.counts
    return {
        "profile": assessment.profile,
        "benchmark": assessment.benchmark,
        "stage": assessment.stage.value,
        "engine": assessment.engine,
        "content": assessment.content,
        "content_digest": str(assessment.content_digest),
        "tailoring": None if assessment.tailoring is None else str(assessment.tailoring),
        "scanned_at": assessment.scanned_at.isoformat(),
        "seconds": assessment.seconds,
        "coverage": assessment.coverage,
        "counts": {outcome.value: counts.get(outcome, 0) for outcome in ControlOutcome},
        "report": None if assessment.report is None else str(assessment.report),
        "raw": None if assessment.raw is None else str(assessment.raw),
    }


def _point_row(point: "TrendPoint") -> tuple[str, ...]:
    counts = point.assessment.counts
    unknown = counts.get(ControlOutcome.ERROR, 0) + counts.get(ControlOutcome.UNKNOWN, 0)
    changes = [
        *(f"fails {rule}" for rule in point.newly_failing),
        *(f"mended {rule}" for rule in point.mended),
        *(f"lost {rule}" for rule in point.lost),
    ]
    return (
        point.reference,
        point.assessment.profile,
        str(sum(counts.get(outcome, 0) for outcome in _PASSED)),
        str(counts.get(ControlOutcome.FAIL, 0)),
        str(unknown),
        f"{point.assessment.coverage:.0%}",
        "\n".join(changes),
    )


def _point_json(point: "TrendPoint") -> "dict[str, Json]":
    return {
        "reference": point.reference,
        "created_at": point.created_at.isoformat(),
        **_summary_json(point.assessment),
        "newly_failing": list(point.newly_failing),
        "mended": list(point.mended),
        "lost": list(point.lost),
    }
