"""PipelineStore: pipelines as they were applied, and what was decided for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.domain.spelling import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """That nothing of a pipeline starts by itself, since when, by whom, and why."""

    at: datetime
    actor: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPipeline:
    """A pipeline that is in force.

    `first_applied_at` is what rates count from; `cursor_at` the slot that was seen to last, or the
    moment it was first applied; `failures` how many scheduled runs failed since one did not.
    """

    pipeline: Pipeline
    first_applied_at: datetime
    applied_at: datetime
    applied_by: str
    cursor_at: datetime
    failures: int = 0
    pause: Pause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """What was decided for a run of a pipeline; `document` is the decision with its reasons."""

    pipeline: PipelineName
    variant: str
    at: datetime
    slot_at: datetime | None
    run_id: RunId
    verdict: str
    document: Canonical


class PipelineStore(Protocol):
    """Keeps pipelines. Durable: each call is one transaction."""

    def put(self, applied: AppliedPipeline) -> None:
        """Keep a pipeline under its name, replacing what was kept; its cursor never goes back."""
        ...

    def remove(self, name: PipelineName) -> None:
        """Forget a pipeline; its runs and decisions stay. Raises: PipelineNotFound."""
        ...

    def get(self, name: str) -> AppliedPipeline:
        """Give a pipeline. Raises: PipelineNotFound: with names that are like it."""
        ...

    def all(self) -> Sequence[AppliedPipeline]:
        """Give all of them by name."""
        ...

    def named(self, names: Collection[PipelineName]) -> Sequence[AppliedPipeline]:
        """Give those of some names, by name; one that is not there is left out."""
        ...

    def following(self, image: ImageName) -> Sequence[AppliedPipeline]:
        """Give those whose recipe is built on versions of an image of ours, by name."""
        ...

    def stamp(self) -> str:
        """Give what changes when any pipeline is applied, removed, paused or resumed: cheaply."""
        ...

    def set_cursors(self, slots: Mapping[PipelineName, datetime]) -> None:
        """Keep which slots were seen to; an earlier one than is kept changes nothing.

        Shape: a pipeline's name -> its slot. The stamp stays.
        """
        ...

    def set_pause(self, name: PipelineName, pause: Pause | None) -> bool:
        """Pause or resume; False when it stood so already. Raises: PipelineNotFound."""
        ...

    def count_end(self, name: PipelineName, *, is_failure: bool) -> int:
        """Count a scheduled run's end, and give how many failed since one did not.

        Of a pipeline that was removed meanwhile nothing is counted.
        """
        ...

    def add_decision(self, decision: KeptDecision) -> None:
        """Keep what was decided for a run; a second word on the same run replaces the first."""
        ...

    def decisions(
        self, name: PipelineName | None, limit: int, run_id: RunId | None = None
    ) -> Sequence[KeptDecision]:
        """Give what was decided last, the newest first."""
        ...


class PipelineNotFound(WrongState):
    """No pipeline of that name is in force."""

    code = "pipeline-not-found"

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        """Say what is there instead, and which may be meant."""
        near = nearest(name, existing)
        question = f"Did you mean {near}? " if near else ""
        super().__init__(
            f"There is no pipeline {name}.",
            context=f"There are {', '.join(existing[:8])}." if existing else "There are none yet.",
            hint=f"{question}List them with: imagebuilder pipeline list",
        )


class PipelinePaused(WrongState):
    """Nothing of a pipeline starts but what a person starts."""

    code = "pipeline-paused"

    def __init__(self, name: PipelineName, pause: Pause) -> None:
        """Say since when, by whom and why."""
        why = f": {pause.why}" if pause.why else ""
        super().__init__(
            f"Pipeline {name} is paused.",
            context=f"Since {pause.at:%Y-%m-%d %H:%M:%SZ}, by {pause.actor}{why}.",
            hint=f"Let it go on with: imagebuilder pipeline resume {name}",
        )
