"""SARIF: findings as code scanners tell them, so that their viewers show them.

Source: SARIF 2.1.0, sections 3.13 (log), 3.27 (result), 3.35 (suppression), 3.49 (reporting
descriptor).
"""

from collections.abc import Iterable, Sequence

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.finding import Finding
from imagebuilder.domain.finding_search import FoundIn
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.waiver import Waiver, moment_text

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
    # What nobody judged may be the worst.
    Severity.UNKNOWN: "warning",
}


def sarif(found: Sequence[FoundIn], *, version: str) -> Canonical:
    """Give the log of findings; what is waived is there as suppressed. `version` is ours."""
    rules = {_rule_id(each.judged.finding): each.judged.finding for each in found}
    order = {name: number for number, name in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "imagebuilder",
                        "version": version,
                        "rules": [_rule(name, finding) for name, finding in rules.items()],
                    }
                },
                "results": _results(found, order),
            }
        ],
    }


def _rule_id(finding: Finding) -> str:
    return f"{finding.kind}/{finding.id}"


def _rule(name: str, finding: Finding) -> Canonical:
    return {
        "id": name,
        "shortDescription": {"text": finding.title or finding.id},
        "properties": {"kind": finding.kind.value, "aliases": list(finding.aliases)},
    }


def _results(found: Iterable[FoundIn], order: dict[str, int]) -> list[Canonical]:
    results: list[Canonical] = []
    for each in found:
        finding, waiver = each.judged.finding, each.judged.waiver
        name = _rule_id(finding)
        where = f"{each.reference}:{finding.scope}"
        suppressions: list[Canonical] = [] if waiver is None else [_suppression(waiver)]
        results.append(
            {
                "ruleId": name,
                "ruleIndex": order[name],
                "level": _LEVELS[finding.severity],
                "message": {"text": _text(finding, each.reference)},
                "locations": [
                    {
                        "physicalLocation": {"artifactLocation": {"uri": _uri(each.reference)}},
                        "logicalLocations": [{"fullyQualifiedName": where}],
                    }
                ],
                "partialFingerprints": {
                    "finding/v1": Digest.of_bytes(f"{where}:{name}".encode()).hex
                },
                "suppressions": suppressions,
                "properties": {
                    "state": each.judged.state.value,
                    "severity": finding.severity.value,
                    "installedVersion": finding.installed_version,
                    "fixedVersion": finding.fixed_version,
                    "isKnownExploited": finding.is_known_exploited,
                },
            }
        )
    return results


def _uri(reference: str) -> str:
    """Give a version's reference as a relative address, which an @ is allowed in."""
    return reference.replace("/", "-")


def _text(finding: Finding, reference: str) -> str:
    told = f"{finding.id} in {finding.scope} {finding.installed_version}".rstrip()
    fix = f", fixed in {finding.fixed_version}" if finding.is_fixable else ""
    return f"{reference}: {told} ({finding.severity}{fix})."


def _suppression(waiver: Waiver) -> Canonical:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": f"{waiver.reason} ({waiver.id}, by {waiver.approver}, until "
        f"{moment_text(waiver.expires_at)})",
    }
