"""Run: one execution of a build, from claimed to finished, and the steps it took."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.ids import ImageName, RunId, VersionId


class RunState(StrEnum):
    """Where a run stands; only `running` is not final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


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
class Run:
    """One execution of a recipe.

    Invariant: `ended_at` is None exactly while it is running; `error_code` is set when it failed.
    """

    id: RunId
    image: ImageName
    state: RunState
    started_at: datetime
    ended_at: datetime | None = None
    version_id: VersionId | None = None
    error_code: str = ""
    error: str = ""


class RunInterrupted(BaseException):
    """The run was told to stop: not an error, and no `except Exception` may swallow it."""
