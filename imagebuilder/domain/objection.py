"""Objection: why a version may not pass, and when what advisories say of it is one.

Data that is missing or old knows nothing, and nothing known is never a pass.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from imagebuilder.domain.units import span_text

DEFAULT_DATA_AGE_SECONDS = 7 * 86400
"""Advisories older than that know nothing, unless a gate says otherwise."""
_RENEW = "Import newer data with: imagebuilder advisory update"
_EXPLOITED = "Which of its vulnerabilities are exploited already is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A reason why a version may not pass, and what would clear it."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisoryStanding:
    """How much is known of the vulnerabilities of a version.

    `data_at` is of when the advisories are that it was matched with, None when with none yet;
    `exploited_at` of when the list of what is exploited is, None when there was none.
    `problem` says why nothing can be known: no bill, a release that the advisories do not tell of.
    `is_outmoded` when newer advisories were imported that it was not matched with.
    """

    data_at: datetime | None = None
    exploited_at: datetime | None = None
    is_outmoded: bool = False
    problem: str = ""

    def carried(self, span: timedelta) -> "AdvisoryStanding":
        """Give the same a while later, if advisories are renewed as they were."""
        data_at, exploited_at = (at and at + span for at in (self.data_at, self.exploited_at))
        return replace(self, data_at=data_at, exploited_at=exploited_at)

    def trouble(self, at: datetime, max_age_seconds: int) -> Objection | None:
        """Give why vulnerabilities are unknown at a moment, or None if they are known."""
        if self.problem:
            return _unknown(self.problem, "Build it again, or import advisories of its release")
        if self.data_at is None:
            told = "no advisories were imported."
            return _unknown(told, "Import some with: imagebuilder advisory update --from DIR")
        if self.is_outmoded:
            remedy = "Match it with them: imagebuilder advisory rescan"
            return _unknown("it was not matched with the newest advisories.", remedy)
        old = _too_old(self.data_at, at, max_age_seconds)
        return _unknown(f"the advisories are {old}", f"{_RENEW} --from DIR") if old else None

    def exploitation_trouble(self, at: datetime, max_age_seconds: int) -> Objection | None:
        """Give why nobody knows which vulnerabilities are exploited, or None if that is known.

        It has nothing to add where not even vulnerabilities are known.
        """
        if self.problem or self.is_outmoded or self.data_at is None:
            return None
        if self.exploited_at is None:
            told = "no list of what is exploited (KEV) was imported."
            remedy = "Import one with: imagebuilder advisory update --rescan --from FILE"
            return _unknown(told, remedy, _EXPLOITED)
        old = _too_old(self.exploited_at, at, max_age_seconds)
        told = f"the list of what is exploited (KEV) is {old}"
        return _unknown(told, f"{_RENEW} --rescan --from FILE", _EXPLOITED) if old else None


def _unknown(reason: str, remedy: str, what: str = "Its vulnerabilities are unknown") -> Objection:
    return Objection(reason=f"{what}, which is no pass: {reason}", remedy=remedy)


def _too_old(data_at: datetime, at: datetime, max_age_seconds: int) -> str:
    """Say how old data is that is older than it may be, and nothing of other."""
    age = at - data_at
    if age <= timedelta(seconds=max_age_seconds):
        return ""
    return (
        f"{age.total_seconds() / 86400:.1f} days old, and {span_text(max_age_seconds)} is allowed."
    )
