"""Retirement: a plan of what retention does, made once, looked at, and done just so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imagebuilder.domain.audit import Act
from imagebuilder.domain.built import Needs
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Refused, WrongState
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import DocumentText
from imagebuilder.domain.retention import STEPS, Decision, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """Every decision of one moment, the documents it was made by, and what it would free.

    A plan for a moment to come is not kept, and has no id.
    Shape: `frees_bytes` maps a version that is to be deleted to what goes with it alone;
    `freed_bytes` is what goes when all of them are, what they share counted once.
    """

    id: str
    made: Act
    at: datetime
    documents: tuple[DocumentText, ...]
    decisions: tuple[Decision, ...]
    image: str = ""
    frees_bytes: Mapping[VersionId, int] = field(default_factory=dict)
    freed_bytes: int = 0
    applied_at: datetime | None = None

    @property
    def steps(self) -> tuple[Decision, ...]:
        """What changes a version, children before their parents."""
        return tuple(decision for decision in self.decisions if decision.verdict in STEPS)

    @property
    def deletes(self) -> bool:
        """Whether any version is to be deleted."""
        return any(decision.verdict is Verdict.DELETE for decision in self.decisions)

    def count(self, verdict: Verdict) -> int:
        """Give how many versions are decided so."""
        return sum(decision.verdict is verdict for decision in self.decisions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """What the versions that are not deleted, and the runs that are to record one, are made of.

    Shape: digest of a blob, content of a layer -> how many of them need it. `disks` are theirs.
    """

    blobs: Mapping[Digest, int]
    layers: Mapping[Digest, int]
    disks: frozenset[Digest] = frozenset()

    def with_need(self, needs: Needs) -> "Users":
        """Give these and one more, which needs this."""
        return Users(
            blobs={**self.blobs, **{one: self.blobs.get(one, 0) + 1 for one in needs.blobs}},
            layers={**self.layers, **{one: self.layers.get(one, 0) + 1 for one in needs.layers}},
            disks=self.disks | needs.disks,
        )


class RetentionPlanNotFound(WrongState):
    """No plan, or more than one, has such an id."""

    code = "retention-plan-not-found"

    def __init__(self, asked: str, matching: tuple[str, ...]) -> None:
        """Say whether there is none or too many."""
        super().__init__(
            f"{'Several retention plans match' if matching else 'There is no retention plan'} "
            f"{asked}.",
            context=", ".join(matching[:5]),
            hint="List them with: imagebuilder retention list",
        )


class RetentionPlanApplied(WrongState):
    """A plan is done only once."""

    code = "retention-plan-applied"

    def __init__(self, plan: RetentionPlan) -> None:
        """Say when it was."""
        super().__init__(
            f"Retention plan {plan.id} was applied already.",
            context=f"That was at {plan.applied_at:%Y-%m-%d %H:%M:%SZ}.",
            hint="Make a new one with: imagebuilder retention plan",
        )


class RetentionPlanStale(Refused):
    """A plan is too old to be done without another look."""

    code = "retention-plan-stale"

    def __init__(self, plan: RetentionPlan, hours: int) -> None:
        """Say how old it may be."""
        super().__init__(
            f"Retention plan {plan.id} is older than {hours} hours.",
            context=f"It was made at {plan.made.at:%Y-%m-%d %H:%M:%SZ}.",
            hint="Make a new one with: imagebuilder retention plan, or allow more with --max-age.",
        )


class StoreInUse(WrongState):
    """Nothing is taken from the store while others work with it."""

    code = "store-in-use"

    def __init__(self, who: str) -> None:
        """Say who does."""
        super().__init__(
            "Nothing was deleted or freed: the store is in use.",
            context=f"By {who}." if who else "",
            hint="Try again when it has ended; see what runs with: imagebuilder run list",
        )


class NotReactivated(WrongState):
    """A version that is deleted, or active, cannot be made active again."""

    code = "not-reactivated"

    def __init__(self, reference: str, lifecycle: str, hint: str) -> None:
        """Say how it stands."""
        super().__init__(f"{reference} is {lifecycle} and cannot be reactivated.", hint=hint)


class VersionDeleted(WrongState):
    """The files of a version are gone."""

    code = "version-deleted"

    def __init__(self, reference: str, how: Act | None, recipe: str) -> None:
        """Say when and by what it was deleted, and how to have the like again."""
        when = f"It was deleted at {how.at:%Y-%m-%d %H:%M:%SZ} by {how.actor}: " if how else ""
        super().__init__(
            f"{reference} was deleted; only its record is left.",
            context=f"{when}{how.why}." if how else "",
            hint="Build it again from its recipe, which the record holds: "
            f"imagebuilder image show {reference} --json; then imagebuilder build {recipe}.",
        )
