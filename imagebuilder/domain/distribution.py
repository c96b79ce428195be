"""Distribution: one version on its way to many targets. Placement: that it is at one of them.

What is asked of a target is `target`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import (
    ImageBuilderError,
    InvalidInput,
    Refused,
    StepFailed,
    WrongState,
)
from imagebuilder.domain.ids import DistributionId, DistributionName, VersionId
from imagebuilder.domain.objection import Objection

_LONGEST = 512
_LISTED = 20
"""So many targets are listed in a message."""


class PlacementState(StrEnum):
    """How a version stands at a target."""

    PLACED = "placed"
    HALF_DONE = "half-done"
    WITHDRAWN = "withdrawn"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a version was put: the account and region, the registry, the host.

    `external_id` is what it is called there (ami-0abc...). Invariant: unique with its target.
    `launched_at` is when it was last seen in use; `withdrawn` is set once nobody can use it there
    any more, and `is_deleted` once nothing of it is left that we brought there. `is_half_done` says
    that it was made there and the step that brings it is not done. What we were only told of has
    no `distribution_id`.
    Shape: `traits` maps what else the target's carrier made or set there, such as a snapshot or a
    parameter, to its id or value.
    """

    version_id: VersionId
    target: str
    external_id: str
    placed: Act
    launched_at: datetime | None = None
    withdrawn: Act | None = None
    traits: Mapping[str, str] = field(default_factory=dict)
    is_deleted: bool = False
    is_half_done: bool = False
    distribution_id: DistributionId | None = None

    @property
    def subject(self) -> str:
        """How people name it: aws:123456789012/eu-central-1 ami-0abc."""
        return f"{self.target} {self.external_id}"

    @property
    def state(self) -> PlacementState:
        """How it stands there."""
        if self.withdrawn is None:
            return PlacementState.HALF_DONE if self.is_half_done else PlacementState.PLACED
        return PlacementState.DELETED if self.is_deleted else PlacementState.WITHDRAWN


class DeliveryState(StrEnum):
    """How far a version came at one target."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a delivery came to nothing, as its error said."""

    code: str
    message: str
    context: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: ImageBuilderError) -> Self:
        """Give what an error says."""
        return cls(code=error.code, message=error.message, context=error.context, hint=error.hint)

    def __str__(self) -> str:
        """What went wrong and why, in a line."""
        return " ".join(part for part in (self.message, self.context) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStep:
    """One version at one target of a distribution: its own step, with its own state.

    `entry` is the name of the document's entry that `target` comes of, and `where` tells its
    carrier the rest, so that years later it still finds the place. `external_id` is what it is
    called there once it is done. Invariant: a failed step has its failure, a done one its id;
    what is done is never done again, and what was withdrawn comes back by another distribution.
    """

    target: str
    entry: str
    where: Mapping[str, str] = field(default_factory=dict)
    after: str | None = None
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    external_id: str = ""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A version's way to all targets of a document, as far as it came.

    `path` and `text` are the document's as it was then: a retry goes by them.
    """

    id: DistributionId
    version_id: VersionId
    name: DistributionName
    begun: Act
    path: str
    text: str
    steps: tuple[DeliveryStep, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the version is at every target."""
        return all(step.state is DeliveryState.DONE for step in self.steps)


def audit_entry(
    action: AuditAction, act: Act, before: Placement | None, after: Placement
) -> AuditEntry:
    """Give what the audit keeps of a placement that was made or changed."""
    return AuditEntry(
        act=act,
        action=action,
        subject=after.subject,
        before=None if before is None else _told(before),
        after=_told(after),
    )


def _told(placement: Placement) -> Canonical:
    launched, withdrawn = placement.launched_at, placement.withdrawn
    return {
        "version": placement.version_id,
        "launched_at": None if launched is None else launched.isoformat(),
        "withdrawn_at": None if withdrawn is None else withdrawn.at.isoformat(),
        **({"is_deleted": True} if placement.is_deleted else {}),
    }


def check_place(target: str, external_id: str) -> None:
    """Let a target and an id pass that can be written and typed again.

    Raises: PlaceMalformed: one of them is empty, too long, or holds spaces or what is no text.
    """
    for what, text in (("target", target), ("id", external_id)):
        if not text or len(text) > _LONGEST or not text.isprintable() or " " in text:
            raise PlaceMalformed(what, text)


class DistributionNotFound(WrongState):
    """Nothing was distributed that way."""

    code = "distribution-not-found"

    def __init__(self, what: str) -> None:
        """Name what was asked for."""
        super().__init__(
            f"There is no distribution of {what}.",
            hint="Begin one with: imagebuilder distribute REF --to FILE",
        )


class TargetTwice(InvalidInput):
    """Two entries of a distribution stand for the same target."""

    code = "target-twice"

    def __init__(self, target: str, entries: Sequence[str]) -> None:
        """Name the target and the entries."""
        super().__init__(
            f"{' and '.join(entries)} both stand for {target}.",
            context="A version is put there in one way only.",
            hint="Leave it out of one of them.",
        )


class DeliveryHindered(Refused):
    """Something keeps a version from targets, and was found before anything was begun."""

    code = "delivery-hindered"

    def __init__(self, reference: str, hindrances: Mapping[str, Sequence[Objection]]) -> None:
        """List what is in the way at each target, and what would clear it."""
        listed = list(hindrances.items())
        reasons = [_of_target(t, " ".join(o.reason for o in os)) for t, os in listed[:_LISTED]]
        remedies = dict.fromkeys(f"{o.remedy.removesuffix('.')}." for _, os in listed for o in os)
        super().__init__(
            f"{reference} cannot be put at {_counted(len(listed))}; nothing was begun.",
            context="\n".join((*reasons, *_more(len(listed)))),
            hint="\n".join(
                (*list(remedies)[:_LISTED], f"Or leave it out with --without {listed[0][0]}.")
            ),
        )


class DistributionIncomplete(StepFailed):
    """A version is not at all of its targets; where it is, is on record."""

    code = "distribution-incomplete"

    def __init__(self, reference: str, steps: Sequence[DeliveryStep], count: int) -> None:
        """List which of so many targets failed, with the reason, and count those not begun."""
        failed = [step for step in steps if step.state is DeliveryState.FAILED]
        waiting = len(steps) - len(failed)
        reasons = [_of_target(step.target, str(step.failure or "")) for step in failed[:_LISTED]]
        rest = [f"{_counted(waiting)} not begun."] if waiting else []
        hints = dict.fromkeys(s.failure.hint for s in failed if s.failure and s.failure.hint)
        super().__init__(
            f"{reference} did not come to {_counted(len(steps))} of {count}.",
            context="\n".join((*reasons, *_more(len(failed)), *rest)),
            hint="\n".join(
                (*list(hints)[:3], f"Go on with: imagebuilder distribute {reference} --retry")
            ),
        )


class PlacementsInUse(WrongState):
    """Something that is to be deleted is in use."""

    code = "placements-in-use"

    def __init__(self, uses: Mapping[str, Sequence[str]]) -> None:
        """List what uses each placement."""
        listed = [f"{subject}: {', '.join(by)}" for subject, by in uses.items()]
        super().__init__(
            f"{_counted(len(uses), 'placement')} cannot be deleted while in use; nothing was done.",
            context="\n".join((*listed[:_LISTED], *_more(len(listed)))),
            hint="End what uses them, or withdraw without --delete: nobody can use them anew then.",
        )


class WithdrawalIncomplete(StepFailed):
    """A version could not be withdrawn from all of its targets."""

    code = "withdrawal-incomplete"

    def __init__(self, failures: Mapping[str, Failure]) -> None:
        """List where it failed, and why."""
        reasons = [_of_target(subject, str(failure)) for subject, failure in failures.items()]
        super().__init__(
            f"{_counted(len(failures), 'placement')} could not be withdrawn.",
            context="\n".join((*reasons[:_LISTED], *_more(len(reasons)))),
            hint="It is on record; do it again later: imagebuilder distribute withdraw --retry",
        )


def _of_target(named: str, said: str) -> str:
    """Say what is wrong where, and that once: most reasons name their target themselves."""
    return said if named.split(" ", maxsplit=1)[0] in said else f"{named}: {said}"


def _counted(count: int, what: str = "target") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _more(count: int) -> Sequence[str]:
    return [f"and {count - _LISTED} more"] if count > _LISTED else []


class PlaceMalformed(InvalidInput):
    """What should name a target, or the id of a version there, cannot be one."""

    code = "place-malformed"

    def __init__(self, what: str, text: str) -> None:
        """Quote it."""
        super().__init__(
            f"{text[:80]!r} is not the {what} of a placement.",
            context=f"It is one word of up to {_LONGEST} printable characters.",
            hint="Write a target such as aws:123456789012/eu-central-1, and an id as it has there.",
        )


class PlacementExists(WrongState):
    """Something of that id is known at that target already."""

    code = "placement-exists"

    def __init__(self, there: Placement, reference: str) -> None:
        """Say which version it is and since when."""
        since = f"{reference} was placed there at {there.placed.at:%Y-%m-%d %H:%M:%SZ}"
        gone = ""
        if there.withdrawn is not None:
            gone = f" and withdrawn at {there.withdrawn.at:%Y-%m-%d %H:%M:%SZ}"
        super().__init__(
            f"{there.external_id} at {there.target} is a placement already.",
            context=f"{since} by {there.placed.actor}{gone}.",
            hint=f"See it with: imagebuilder image whatis {there.external_id}",
        )


class PlacementNotFound(WrongState):
    """Nothing was placed under an id at a target."""

    code = "placement-not-found"

    def __init__(self, target: str, external_id: str, elsewhere: tuple[str, ...]) -> None:
        """Name the targets where that id is."""
        there = f"At {', '.join(elsewhere)} there is." if elsewhere else "Nor at any other target."
        super().__init__(
            f"There is no placement {external_id} at {target}.",
            context=there,
            hint="List them with: imagebuilder placement list",
        )


class PlacementWithdrawn(WrongState):
    """A placement is gone from its target."""

    code = "placement-withdrawn"

    def __init__(self, placement: Placement, withdrawn: Act) -> None:
        """Say since when and by whom."""
        super().__init__(
            f"{placement.external_id} was withdrawn from {placement.target}.",
            context=f"{withdrawn.actor} did it at {withdrawn.at:%Y-%m-%d %H:%M:%SZ}.",
            hint="What is withdrawn stays so: add what was placed since under its own id.",
        )


class LaunchMisdated(InvalidInput):
    """A launch is told of a moment that is still to come."""

    code = "launch-misdated"

    def __init__(self, placement: Placement, at: datetime, reason: str) -> None:
        """Name the moment."""
        super().__init__(
            f"{placement.external_id} cannot have been launched at {at:%Y-%m-%d %H:%M:%SZ}.",
            context=reason,
            hint="Give the moment when it was last seen in use.",
        )
