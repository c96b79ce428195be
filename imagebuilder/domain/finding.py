"""Finding: one fact that speaks against a version, whoever found it.

A finding never changes by being accepted: that is a `waiver`'s, and counts when a gate asks.
"""

from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.severity import Severity


class FindingKind(StrEnum):
    """What kind of fact it is."""

    VULNERABILITY = "vulnerability"
    CONTROL = "control"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact that speaks against a version.

    `id` is what it is told by: the CVE, the rule of the benchmark, the name of the test. `scope` is
    where that is said: the source package, the benchmark, the stage. `aliases` are other names of
    it: advisories, the numbers of controls. `is_undecided` when nobody could judge it (a scan's
    error, advisories that are too old): it is never a pass.
    """

    kind: FindingKind
    id: str
    scope: str
    severity: Severity
    title: str = ""
    aliases: tuple[str, ...] = ()
    installed_version: str = ""
    fixed_version: str = ""
    is_known_exploited: bool = False
    epss: float | None = None
    is_undecided: bool = False
    detail: str = ""

    @property
    def is_fixable(self) -> bool:
        """Whether a version without it is published."""
        return bool(self.fixed_version)
