"""Finding search: which findings of which versions are asked for."""

from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.verdict import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIn:
    """A finding of a version, as a gate sees it. Shape: `release` as in debian:bookworm."""

    reference: str
    release: str
    judged: Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingQuery:
    """Which findings are asked for: those that fit all that is said; what is None asks for all.

    `severity` is the least that is meant. `expires_by` asks for those whose waiver ends by then.
    """

    kind: FindingKind | None = None
    severity: Severity | None = None
    is_only_fixable: bool = False
    is_waived: bool | None = None
    expires_by: datetime | None = None
    name: str = ""

    def asks_for(self, judged: Judged) -> bool:
        """Whether a finding is meant."""
        finding, waiver = judged.finding, judged.waiver
        ends = None if waiver is None else waiver.expires_at
        return (
            self.kind in (None, finding.kind)
            and (self.severity is None or finding.severity.reaches(self.severity))
            and (finding.is_fixable or not self.is_only_fixable)
            and self.is_waived in (None, waiver is not None)
            and (self.expires_by is None or (ends is not None and ends <= self.expires_by))
            and (not self.name or self.name in (finding.id, *finding.aliases))
        )
