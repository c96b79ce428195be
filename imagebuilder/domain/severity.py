"""Severity: how bad it is, in the words that all findings share."""

from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is; `unknown` is what nobody has judged yet."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Higher is worse; what nobody has judged ranks below all that was."""
        return _RANKS[self]

    def reaches(self, threshold: "Severity") -> bool:
        """Whether this is at least as bad as a threshold."""
        return self.rank >= threshold.rank


_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}
