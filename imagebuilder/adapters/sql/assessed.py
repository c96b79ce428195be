"""Rows from assessments, and assessments from rows; no queries."""

import json
from collections.abc import Iterable

from sqlalchemy import RowMapping

from imagebuilder.adapters.sql.mapping import Values, digest_or_none, hex_or_none, storable
from imagebuilder.domain.control import Assessment, ControlOutcome, ControlResult
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.severity import Severity


def assessment_values(number: int, assessments: Iterable[Assessment]) -> list[Values]:
    """Give the rows of a version's assessments, without what their rules said."""
    return [
        {
            "version_number": number,
            "position": position,
            "profile": each.profile,
            "benchmark": each.benchmark,
            "stage": each.stage.value,
            "engine": each.engine,
            "content_name": each.content,
            "content_digest": each.content_digest.hex,
            "tailoring_digest": hex_or_none(each.tailoring),
            "scanned_at": each.scanned_at,
            "seconds": each.seconds,
            "report_digest": hex_or_none(each.report),
            "raw_digest": hex_or_none(each.raw),
        }
        for position, each in enumerate(assessments)
    ]


def control_values(number: int, assessments: Iterable[Assessment]) -> list[Values]:
    """Give the rows of all that rules said in a version's assessments."""
    return [
        {
            "version_number": number,
            "scan_position": scan_position,
            "position": position,
            "rule": storable(result.rule),
            "outcome": result.outcome.value,
            "severity": result.severity.value,
            "title": storable(result.title),
            "controls": json.dumps([storable(control) for control in result.controls]),
            "seen": storable(result.evidence),
        }
        for scan_position, each in enumerate(assessments)
        for position, result in enumerate(each.results)
    ]


def assessments(
    rows: Iterable[RowMapping], control_rows: Iterable[RowMapping]
) -> tuple[Assessment, ...]:
    """Give a version's assessments with what their rules said; both kinds of rows come in order."""
    results: dict[int, list[ControlResult]] = {}
    for row in control_rows:
        results.setdefault(row["scan_position"], []).append(_result(row))
    return tuple(
        Assessment(
            profile=row["profile"],
            benchmark=row["benchmark"],
            stage=Stage(row["stage"]),
            engine=row["engine"],
            content=row["content_name"],
            content_digest=Digest(row["content_digest"]),
            tailoring=digest_or_none(row["tailoring_digest"]),
            scanned_at=row["scanned_at"],
            seconds=row["seconds"],
            results=tuple(results.get(row["position"], ())),
            report=digest_or_none(row["report_digest"]),
            raw=digest_or_none(row["raw_digest"]),
        )
        for row in rows
    )


def _result(row: RowMapping) -> ControlResult:
    return ControlResult(
        rule=row["rule"],
        outcome=ControlOutcome(row["outcome"]),
        severity=Severity(row["severity"]),
        title=row["title"],
        controls=tuple(json.loads(row["controls"])),
        evidence=row["seen"],
    )
