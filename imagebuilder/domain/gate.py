"""Gate: what must hold of a version's findings before it may pass.

Only the rule is here, as documents and channels carry it; what it decides is `verdict`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.units import span_text


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceGate:
    """What must hold of what is known of a version.

    `fail_on` stops findings at least that bad, of vulnerabilities only those with a fix if
    `is_only_fixable`. `stops_known_exploited` stops what is exploited already, whatever its
    severity. `profile` must have been scanned, with at least `min_coverage` of its controls judged
    (0 to 1). Advisories older than `max_data_age_seconds` know nothing: that is never a pass.
    """

    fail_on: Severity | None = None
    is_only_fixable: bool = False
    stops_known_exploited: bool = False
    profile: str | None = None
    min_coverage: float | None = None
    max_data_age_seconds: int | None = None
    tests: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What it asks for, as people read it."""
        told = []
        if self.fail_on is not None:
            fixable = ", vulnerabilities with a fix only" if self.is_only_fixable else ""
            told.append(f"nothing {self.fail_on} or worse{fixable}")
        if self.stops_known_exploited:
            told.append("nothing known to be exploited")
        if self.profile is not None:
            told.append(f"scanned for {self.profile}")
        if self.min_coverage is not None:
            told.append(f"{self.min_coverage:.0%} of its controls judged")
        if self.max_data_age_seconds is not None:
            told.append(f"advisories no older than {span_text(self.max_data_age_seconds)}")
        if self.tests:
            told.append(f"passed {', '.join(self.tests)}")
        return tuple(told)


def gate_document(gate: AssuranceGate | None) -> Canonical:
    """Give the one plain value that is kept and compared of a gate."""
    if gate is None:
        return None
    return {
        "fail_on": None if gate.fail_on is None else gate.fail_on.value,
        "is_only_fixable": gate.is_only_fixable,
        "stops_known_exploited": gate.stops_known_exploited,
        "profile": gate.profile,
        "min_coverage": gate.min_coverage,
        "max_data_age_seconds": gate.max_data_age_seconds,
        "tests": list(gate.tests),
    }


def gate_of(fields: Mapping[str, Any] | None) -> AssuranceGate | None:
    """Give the gate that a plain value tells of. Raises: KeyError; ValueError: it is damaged."""
    if fields is None:
        return None
    return AssuranceGate(
        fail_on=None if fields["fail_on"] is None else Severity(fields["fail_on"]),
        is_only_fixable=fields["is_only_fixable"],
        stops_known_exploited=fields["stops_known_exploited"],
        profile=fields["profile"],
        min_coverage=fields["min_coverage"],
        max_data_age_seconds=fields["max_data_age_seconds"],
        tests=tuple(fields["tests"]),
    )
