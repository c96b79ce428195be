"""in-toto: statements as their standard writes them, and the predicates that go into them.

All of it is canonical JSON: the same statement has the same bytes.

Source: in-toto attestation framework, statement v1 and resource descriptor v1; SLSA 1.0,
provenance v1; in-toto test-result v0.1.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagebuilder.domain.attestation import (
    Material,
    PredicateType,
    PromotionDecision,
    Provenance,
    Statement,
    Subject,
    subjects_of,
)
from imagebuilder.domain.control import Assessment, ControlOutcome
from imagebuilder.domain.digest import Canonical, Digest, canonical_json
from imagebuilder.domain.evidence import Outcome
from imagebuilder.domain.image import ImageVersion

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
BUILD_TYPE = "urn:imagebuilder:build:v1"
"""What externalParameters of ours mean: docs/assurance.md."""


def statement_bytes(statement: Statement) -> bytes:
    """Give a statement as it is signed."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_subject(subject) for subject in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def statement_of(payload: bytes) -> Statement:
    """Give the statement that somebody signed. Raises: ValueError: it is none."""
    try:
        read = json.loads(payload)
        if read["_type"] != STATEMENT_TYPE:
            raise ValueError(f"it is a {str(read['_type'])[:80]!r}, not a {STATEMENT_TYPE}")
        if not isinstance(read["predicateType"], str) or not isinstance(read["predicate"], dict):
            raise ValueError("its predicate is none")  # noqa: TRY004 - a stranger's text
        return Statement(
            subjects=tuple(_subject_of(subject) for subject in read["subject"]),
            predicate_type=read["predicateType"],
            predicate=read["predicate"],
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no in-toto statement: {error!r}") from error


def provenance_statement(provenance: Provenance) -> Statement:
    """State how a version was built, with every input, by digest where that is known."""
    version = provenance.version
    run: dict[str, Canonical] = {
        "invocationId": version.run_id,
        "finishedOn": _moment(version.created_at),
    }
    if provenance.started_at is not None:
        run["startedOn"] = _moment(provenance.started_at)
    recipe = next((d for d in version.documents if d.kind == "recipe"), None)
    predicate: dict[str, Canonical] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "image": version.image,
                "version": str(version.version),
                "reference": version.reference,
                "recipe": None
                if recipe is None
                else {"name": recipe.name, "digest": {"sha256": recipe.digest.hex}},
                "parent": version.parent.asked,
                "parameters": dict(provenance.parameters),
                "artifacts": [artifact.format.value for artifact in version.artifacts],
            },
            "internalParameters": {
                "plan": version.plan_digest.hex,
                "definition": version.definition_digest.hex,
            },
            "resolvedDependencies": [_material(each) for each in provenance.materials],
        },
        "runDetails": {
            "builder": {
                "id": provenance.builder.id,
                "version": {"imagebuilder": provenance.builder.version},
            },
            "metadata": run,
            "byproducts": [
                {"name": f"{report.stage} test report", "digest": {"sha256": report.evidence.hex}}
                for report in version.reports
                if report.evidence is not None
            ],
        },
    }
    return _of(version, PredicateType.PROVENANCE, predicate)


def tests_statement(version: ImageVersion) -> Statement:
    """State which tests passed and failed, each named with its stage.

    What was skipped is warned of, and what passed on a retry only.
    """
    by_outcome: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for report in version.reports:
        for result in report.results:
            outcome = Outcome.SKIPPED if result.is_shaky else result.outcome
            by_outcome[outcome].append(f"{report.stage}: {result.name}")
    has_failed = any(not report.has_passed for report in version.reports)
    has_warned = bool(by_outcome[Outcome.SKIPPED])
    predicate: dict[str, Canonical] = {
        "result": "FAILED" if has_failed else "WARNED" if has_warned else "PASSED",
        "configuration": [
            {"name": f"{d.kind} {d.name}", "digest": {"sha256": d.digest.hex}}
            for d in version.documents
            if d.kind == "recipe"
        ],
        "passedTests": by_outcome[Outcome.PASSED],
        "warnedTests": by_outcome[Outcome.SKIPPED],
        "failedTests": [*by_outcome[Outcome.FAILED], *by_outcome[Outcome.ERROR]],
    }
    return _of(version, PredicateType.TESTS, predicate)


def compliance_statement(version: ImageVersion) -> Statement:
    """State what scans said of a version, each rule as its engine told it, waived or not.

    What could not be judged is warned of: it is no pass.
    """
    scans = [_scan(assessment) for assessment in version.assessments]
    outcomes = {r.outcome for each in version.assessments for r in each.results}
    has_failed = ControlOutcome.FAIL in outcomes
    has_warned = bool(outcomes & {ControlOutcome.ERROR, ControlOutcome.UNKNOWN})
    predicate: dict[str, Canonical] = {
        "result": "FAILED" if has_failed else "WARNED" if has_warned else "PASSED",
        "scans": scans,
    }
    return _of(version, PredicateType.COMPLIANCE, predicate)


def _scan(assessment: Assessment) -> Canonical:
    rules: dict[str, Canonical] = {
        outcome.value: sorted(r.rule for r in assessment.results if r.outcome is outcome)
        for outcome in ControlOutcome
    }
    files = {
        "report": assessment.report,
        "result": assessment.raw,
        "tailoring": assessment.tailoring,
    }
    return {
        "profile": assessment.profile,
        "benchmark": assessment.benchmark,
        "stage": assessment.stage.value,
        "engine": assessment.engine,
        "content": {
            "name": assessment.content,
            "digest": {"sha256": assessment.content_digest.hex},
        },
        **{
            name: {"digest": {"sha256": digest.hex}}
            for name, digest in files.items()
            if digest is not None
        },
        "scannedOn": _moment(assessment.scanned_at),
        "coverage": round(assessment.coverage, 4),
        "rules": rules,
    }


def bill_statement(version: ImageVersion, bill: bytes) -> Statement:
    """State what a version is made of, by a CycloneDX document. Raises: ValueError: it is none."""
    predicate = json.loads(bill)
    if not isinstance(predicate, dict):
        raise ValueError("a bill is a JSON object")  # noqa: TRY004 - a damaged file
    return _of(version, PredicateType.BILL, predicate)


def assurance_statement(version: ImageVersion, summary: Mapping[str, Canonical]) -> Statement:
    """State what scans and advisories said of a version when this was signed."""
    return _of(version, PredicateType.ASSURANCE, summary)


def promotion_statement(version: ImageVersion, decision: PromotionDecision) -> Statement:
    """State that a channel was let mean a version, and who did."""
    predicate: dict[str, Canonical] = {
        "channel": decision.channel,
        "reference": decision.reference,
        "versionId": decision.version_id,
        "before": decision.before,
        "how": decision.how,
        "decidedBy": decision.act.actor,
        "decidedOn": _moment(decision.act.at),
        "reason": decision.act.why,
        "verdict": "ALLOWED",
    }
    return _of(version, PredicateType.PROMOTION, predicate)


def _of(
    version: ImageVersion, predicate_type: PredicateType, predicate: Mapping[str, Canonical]
) -> Statement:
    return Statement(
        subjects=subjects_of(version), predicate_type=predicate_type.value, predicate=predicate
    )


def _subject(subject: Subject) -> dict[str, Canonical]:
    written: dict[str, Canonical] = {
        "name": subject.name,
        "digest": {"sha256": subject.digest.hex},
    }
    if subject.size_bytes is not None:
        written["annotations"] = {"sizeBytes": subject.size_bytes}
    return written


def _subject_of(written: Mapping[str, Any]) -> Subject:
    size = (written.get("annotations") or {}).get("sizeBytes")
    return Subject(
        name=str(written.get("name", "")),
        digest=Digest(written["digest"]["sha256"]),
        size_bytes=size if isinstance(size, int) else None,
    )


def _material(material: Material) -> dict[str, Canonical]:
    written: dict[str, Canonical] = {
        "name": material.name,
        "uri": material.uri,
        "annotations": {"kind": material.kind},
    }
    if material.digest is not None:
        written["digest"] = {"sha256": material.digest.hex}
    else:
        written["annotations"] = {"kind": material.kind, "digestUnknown": material.unknown}
    return written


def _moment(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC, to the second, as the standard's timestamps are."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
