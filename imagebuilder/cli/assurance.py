"""The assurance card: what is known for and against a version, in a few lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagebuilder.cli.compliance_shown import counted
from imagebuilder.cli.image_attest import signed_text
from imagebuilder.cli.image_shape import counted_outcomes
from imagebuilder.cli.output import Json, moment_text
from imagebuilder.domain.attestation import Attestation
from imagebuilder.domain.evidence import Outcome
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import DEFAULT_DATA_AGE_SECONDS, Objection
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.verdict import FindingState, Known, Verdict

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """What is known of a version now. `trouble` is why its vulnerabilities are unknown, or None."""

    version: ImageVersion
    known: Known
    verdict: Verdict
    trouble: Objection | None
    signed: Sequence[Attestation]

    @property
    def severities(self) -> dict[Severity, tuple[int, int]]:
        """Give how many findings there are of a severity, and how many of those are waived."""
        judged = self.verdict.judged
        all_ = Counter(each.finding.severity for each in judged)
        waived = Counter(
            each.finding.severity for each in judged if each.state is FindingState.WAIVED
        )
        return {s: (all_[s], waived[s]) for s in Severity if all_[s]}

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Give how many tests of all stages ended how."""
        counts: Counter[Outcome] = Counter()
        for report in self.version.reports:
            counts.update(counted_outcomes(report))
        return {outcome: counts[outcome] for outcome in Outcome}


def assurance_of(application: "Application", version: ImageVersion) -> Assurance:
    """Give what is known of a version now."""
    gating = application.gating
    known, verdict = gating.known(version), gating.verdict(version, None)
    return Assurance(
        version=version,
        known=known,
        verdict=verdict,
        trouble=known.advisories.trouble(verdict.at, DEFAULT_DATA_AGE_SECONDS),
        signed=application.attesting.of(version.id),
    )


def assurance_facts(found: Assurance) -> Iterator[tuple[str, str]]:
    """Give the card as facts, a line each."""
    yield "bill", bill_text(found.version)
    yield "tests", tests_text(found)
    yield "findings", findings_text(found)
    for scan in found.version.assessments:
        yield "scan", f"{scan.profile}: {counted(scan)} ({moment_text(scan.scanned_at)})"
    yield "data", data_text(found)
    yield "signed", signed_text(found.signed)


def assurance_json(found: Assurance) -> dict[str, Json]:
    """Give the card in the lasting shape that docs/cli.md tells."""
    bill, data_at = found.version.bill, found.known.advisories.data_at
    return {
        "bill": None if bill is None else {"release": bill.release, "digest": str(bill.document)},
        "tests": {outcome.value: count for outcome, count in found.outcomes.items()},
        "findings": {
            severity.value: {"count": count, "waived": waived}
            for severity, (count, waived) in found.severities.items()
        },
        "scans": [
            {
                "profile": scan.profile,
                "benchmark": scan.benchmark,
                "coverage": scan.coverage,
                "scanned_at": scan.scanned_at.isoformat(),
                "findings": len(scan.findings),
            }
            for scan in found.known.scans
        ],
        "advisories": {
            "data_at": None if data_at is None else data_at.isoformat(),
            "unknown": None if found.trouble is None else found.trouble.reason,
        },
        "keys": sorted({each.key_id.hex for each in found.signed}),
    }


def bill_text(version: ImageVersion) -> str:
    """Say what is known of what is in a version."""
    count = f"{len(version.packages)} packages"
    return f"{count} of {version.bill.release}" if version.bill else f"none; {count} are listed"


def tests_text(found: Assurance) -> str:
    """Say how the tests ended."""
    counts = [f"{count} {outcome}" for outcome, count in found.outcomes.items() if count]
    return ", ".join(counts) or "none"


def findings_text(found: Assurance) -> str:
    """Say how many findings there are, how bad, and what is waived."""
    texts = [
        f"{count} {severity}" + (f" ({waived} waived)" if waived else "")
        for severity, (count, waived) in found.severities.items()
    ]
    return ", ".join(texts) or "none"


def data_text(found: Assurance) -> str:
    """Say how old the advisories are that it was matched with, and whether they still count."""
    if found.trouble is not None:
        return found.trouble.reason
    return f"advisories of {moment_text(found.known.advisories.data_at)}"
