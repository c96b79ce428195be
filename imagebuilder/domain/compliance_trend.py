"""Compliance trend: how versions of an image came to comply, or ceased to.

Only what one scan says and the next one says otherwise is told: a rule that nobody could judge any
more was not mended.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.control import Assessment, ControlOutcome
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.image import ImageVersion

_PASSED = (ControlOutcome.PASS, ControlOutcome.FIXED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """What a version's scan for a profile said, and what changed since the scan before it.

    `newly_failing` did not fail before, `mended` failed and pass now, and `lost` failed and could
    not be judged now. The first scan has nothing to be held against. Shape: rules, sorted.
    """

    reference: str
    created_at: datetime
    assessment: Assessment
    newly_failing: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def trend(versions: Iterable[ImageVersion], profile: str) -> tuple[TrendPoint, ...]:
    """Give the scans for a profile in the order in which versions come; others are left out."""
    points: list[TrendPoint] = []
    before: Assessment | None = None
    for version in versions:
        found = next((each for each in version.assessments if each.profile == profile), None)
        if found is not None:
            points.append(_point(version, found, before))
            before = found
    return tuple(points)


def chosen(version: ImageVersion, profile: str | None) -> Assessment:
    """Give a version's scan for a profile, or the only one there is.

    Raises: NotScanned: there is none; ProfileUnclear: there are several.
    """
    found = [each for each in version.assessments if profile in (None, each.profile)]
    if not found:
        raise NotScanned(version.reference, profile, profiles_of([version]))
    if len(found) > 1 and profile is None:
        raise ProfileUnclear(version.reference, profiles_of([version]))
    return found[0]


def profiles_of(versions: Iterable[ImageVersion]) -> tuple[str, ...]:
    """Give the profiles that versions were scanned for, each once."""
    found = (each.profile for version in versions for each in version.assessments)
    return tuple(dict.fromkeys(found))


def _point(version: ImageVersion, now: Assessment, before: Assessment | None) -> TrendPoint:
    point = TrendPoint(reference=version.reference, created_at=version.created_at, assessment=now)
    if before is None:
        return point
    failed, fails = _rules(before, ControlOutcome.FAIL), _rules(now, ControlOutcome.FAIL)
    mended = failed & _rules(now, *_PASSED)
    return TrendPoint(
        reference=point.reference,
        created_at=point.created_at,
        assessment=now,
        newly_failing=tuple(sorted(fails - failed)),
        mended=tuple(sorted(mended)),
        lost=tuple(sorted(failed - fails - mended)),
    )


def _rules(assessment: Assessment, *outcomes: ControlOutcome) -> frozenset[str]:
    return frozenset(each.rule for each in assessment.results if each.outcome in outcomes)


class NotScanned(WrongState):
    """A version was not scanned, or not for that profile."""

    code = "not-scanned"

    def __init__(self, what: str, profile: str | None, known: tuple[str, ...]) -> None:
        """Say what it was scanned for instead."""
        super().__init__(
            f"{what} was never scanned for {profile or 'any profile'}.",
            context=f"It was scanned for {', '.join(known)}." if known else "",
            hint=f"Put compliance: {{profile: {profile or 'NAME'}}} into its recipe, and build it "
            "again.",
        )


class ProfileUnclear(InvalidInput):
    """A version was scanned for several profiles, and it is not said which is meant."""

    code = "profile-unclear"

    def __init__(self, what: str, known: tuple[str, ...]) -> None:
        """Name them."""
        super().__init__(
            f"{what} was scanned for several profiles.",
            context=f"They are {', '.join(known)}.",
            hint="Say which is meant: --profile NAME",
        )
