"""Run: one execution of a build, from claimed to finished, and the steps it took."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName, RunId, VersionId
from imagebuilder.domain.pipeline import StartCondition, Trigger


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting-approval"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to such a run by itself."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.AWAITING_APPROVAL)


class RunStage(StrEnum):
    """What a run of a pipeline goes through, in this order; each is done once and kept.

    It is distributed only when its pipeline has distributions.
    """

    RESOLVE = "resolve"
    BUILD = "build"
    VALIDATE = "validate"
    RECORD = "record"
    PROMOTE = "promote"
    DISTRIBUTE = "distribute"


class StepState(StrEnum):
    """Where a step of a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One step of a run: what the live display showed, kept."""

    number: int
    name: str
    state: StepState
    started_at: datetime
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """One stage of a run, as it went the last time it was tried.

    Invariant: `result` is there exactly when it succeeded; it is small and holds no secret.
    """

    stage: RunStage
    state: StepState
    started_at: datetime
    attempt: int = 1
    worker: str = ""
    ended_at: datetime | None = None
    result: Canonical = None
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """What a pipeline asked of a run when it was due; later changes of the pipeline do not matter.

    Shape: `overrides` maps component.parameter to a value. `slot_at` is the moment it was due by
    its schedule: there is one run for each of them and each variant.
    """

    pipeline: PipelineName
    recipe_path: str
    trigger: Trigger
    why: str = ""
    variant: str = ""
    slot_at: datetime | None = None
    not_before_at: datetime | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    starts: StartCondition = StartCondition.UPDATES_AVAILABLE
    is_security_only: bool = False
    is_forced: bool = False
    max_age_seconds: int | None = None
    priority: int = 0
    pool: str = ""
    channel: ChannelName | None = None
    needs_approval: bool = False
    gates: AssuranceGate | None = None
    distributions: tuple[str, ...] = ()
    time_limit_seconds: int | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a recipe, by a person or, when it has an order, for a pipeline.

    `attempt` counts how often it was begun: a run that is retried goes on where it failed. `place`
    is where the process of one without an order holds its locks: nobody else can see if it lives.
    Invariant: `ended_at` is None exactly while its state is not final; `error_code` is set when it
    failed.
    """

    id: RunId
    image: ImageName
    state: RunState
    started_at: datetime
    ended_at: datetime | None = None
    version_id: VersionId | None = None
    error_code: str = ""
    error: str = ""
    order: RunOrder | None = None
    queued_at: datetime | None = None
    attempt: int = 1
    cancelled_by: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs are asked for; what is None or empty does not matter. The newest come first."""

    pipeline: PipelineName | None = None
    variant: str | None = None
    image: ImageName | None = None
    states: frozenset[RunState] = frozenset()
    since_at: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRun:
    """What of a run that is not over tells what is to be done with it."""

    id: RunId
    state: RunState
    attempt: int
    is_cancelled: bool = False


class Verdict(StrEnum):
    """What a person said of a run that waited for it."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's word on a run that waited for it."""

    run_id: RunId
    verdict: Verdict
    at: datetime
    actor: str
    why: str = ""


UNFINISHED = frozenset(state for state in RunState if not state.is_final)
WAITING = frozenset({RunState.QUEUED, RunState.AWAITING_APPROVAL})
"""Where a run that nobody works at stands: its turn, or a person's word, is to come."""


class RunOver(WrongState):
    """What was asked of a run cannot be done any more, or not yet."""

    code = "run-over"

    def __init__(self, run: Run, wanted: str) -> None:
        """Say what was wanted and how the run stands."""
        super().__init__(
            f"Run {run.id} cannot be {wanted}: it is {run.state}.",
            context=run.error,
            hint=f"See how it went: imagebuilder run show {run.id}",
        )


class RunByHand(WrongState):
    """Only runs of pipelines can be told to do that, and this is a build that somebody began."""

    code = "run-by-hand"

    def __init__(self, run: Run, wanted: str) -> None:
        """Say what was wanted, and what to do instead."""
        hint = "Build again, from the layers that are made: imagebuilder build RECIPE"
        if not run.state.is_final:
            hint = "End it where it was begun, with Ctrl-C."
        super().__init__(
            f"Run {run.id} cannot be {wanted}: it is of no pipeline.",
            context=f"It is a build of {run.image} that somebody began, and it is {run.state}.",
            hint=hint,
        )


class CancelAsked(WrongState):
    """Somebody wants the run to end already."""

    code = "cancel-asked"

    def __init__(self, run: Run) -> None:
        """Say who."""
        super().__init__(
            f"Run {run.id} is being cancelled already.",
            context=f"{run.cancelled_by} asked for it; the run is {run.state}.",
            hint=f"Wait for its end: imagebuilder run logs {run.id} --follow",
        )


class ApprovalGiven(WrongState):
    """Somebody said already what becomes of the run."""

    code = "approval-given"

    def __init__(self, approval: Approval) -> None:
        """Say who, when and what."""
        super().__init__(
            f"Run {approval.run_id} was {approval.verdict} already.",
            context=f"By {approval.actor}, at {approval.at:%Y-%m-%d %H:%M:%SZ}.",
            hint=f"See how it stands: imagebuilder run show {approval.run_id}",
        )


class ApproverUnknown(InvalidInput):
    """Nobody is named who gives their word."""

    code = "approver-unknown"

    def __init__(self, what: str, actor: str) -> None:
        """Say that a name is missing."""
        super().__init__(
            f"Nobody is named who speaks for {what}.",
            context=f"Who is at work is known only as {actor!r}.",
            hint="Set IMAGEBUILDER_ACTOR to who it is.",
        )


class RunInterrupted(BaseException):
    """The run was told to stop: not an error, and no `except Exception` may swallow it."""
