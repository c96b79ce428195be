"""Our own predicate of what is known for and against a version, as docs/assurance.md tells it."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.verdict import Judged, Known, Scan, Verdict


def assurance_predicate(known: Known, verdict: Verdict) -> Mapping[str, Canonical] | None:
    """Give what scans and advisories said, None when there were none of either.

    Accepted findings stand with their waivers; that nothing is known is no good word of it.
    """
    advisories = known.advisories
    if not (known.scans or known.vulnerabilities or advisories.data_at is not None):
        return None
    states = Counter(judged.state.value for judged in verdict.judged)
    return {
        "evaluatedOn": _moment(verdict.at),
        "advisories": {
            "dataOn": _moment(advisories.data_at),
            "exploitedDataOn": _moment(advisories.exploited_at),
            "isOutmoded": advisories.is_outmoded,
            "problem": advisories.problem,
        },
        "scans": [_scan(scan) for scan in known.scans],
        "findings": [_finding(judged) for judged in verdict.judged],
        "counts": dict(sorted(states.items())),
    }


def _scan(scan: Scan) -> Canonical:
    return {
        "profile": scan.profile,
        "benchmark": scan.benchmark,
        "coverage": round(scan.coverage, 4),
        "scannedOn": _moment(scan.scanned_at),
        "notPassed": len(scan.findings),
    }


def _finding(judged: Judged) -> Canonical:
    finding = judged.finding
    return {
        "kind": finding.kind,
        "id": finding.id,
        "in": finding.scope,
        "severity": finding.severity,
        "state": judged.state,
        "fixedVersion": finding.fixed_version,
        "isKnownExploited": finding.is_known_exploited,
        "waiver": judged.waiver.id if judged.waiver else None,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
