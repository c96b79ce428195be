"""RunStore and StepLog: what happened in each run, kept as it happens."""

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import (
    Approval,
    Run,
    RunQuery,
    RunStage,
    RunState,
    StageRun,
    StepRun,
    UnfinishedRun,
)


class RunStore(Protocol):
    """Keeps runs and their steps. Durable: a save survives a crash once it returned."""

    def add(self, run: Run) -> bool:
        """Keep a new run; False, and nothing kept, when its slot has a run already.

        A slot is that of its order: the pipeline, the variant and the moment it was due. However
        many ask at once, one of them is told that it is there now.
        """
        ...

    def add_all(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Keep new runs as `add` does, and give those that are kept now."""
        ...

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id.

        Who asked to cancel it stays as it was kept: see `cancel`.
        """
        ...

    def move(self, run: Run, given: Collection[RunState]) -> bool:
        """Save the run if what is kept of it is in one of the states; else False and nothing done.

        Of several that do so at once, one is told that it did.
        """
        ...

    def cancel(self, run_id: RunId, actor: str) -> bool:
        """Keep who wants a run to end; False when it is over already, or asked to by another."""
        ...

    def requeue(self, run: Run, given: Collection[RunState]) -> bool:
        """As `move`, for a run that begins again: who asked to cancel it before is forgotten."""
        ...

    def save_step(self, run_id: RunId, step: StepRun) -> None:
        """Keep a step as it stands now, replacing what was kept under its number.

        Raises: RunNotFound: no such run was saved.
        """
        ...

    def get(self, run_id: str) -> Run:
        """Give the run whose id is, or uniquely starts with, run_id. Raises: RunNotFound."""
        ...

    def steps(self, run_id: RunId) -> Sequence[StepRun]:
        """Give a run's steps in their order."""
        ...

    def save_stage(self, run_id: RunId, stage: StageRun) -> StageRun:
        """Keep a stage as it stands now, and give what is kept: one that succeeded stays as it is.

        Raises: RunNotFound: no such run was saved.
        """
        ...

    def forget_stages(self, run_id: RunId, stages: Collection[RunStage]) -> None:
        """See that some stages of a run count as never begun, also those that succeeded."""
        ...

    def stages(self, run_id: RunId) -> Sequence[StageRun]:
        """Give the stages that a run began, in the order of stages."""
        ...

    def settle(self, approval: Approval) -> bool:
        """Keep a person's word on a run; False when there is one already."""
        ...

    def approval(self, run_id: RunId) -> Approval | None:
        """Give a person's word on a run."""
        ...

    def find(self, query: RunQuery) -> Sequence[Run]:
        """Give the runs that are asked for, those started last first."""
        ...

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """Give the runs of pipelines that are not over: cheaply."""
        ...

    def those(self, ids: Collection[RunId]) -> Sequence[Run]:
        """Give the runs of some ids, by id; one that is not there is left out."""
        ...

    def newest(self, limit: int, image: ImageName | None = None) -> Sequence[Run]:
        """Give the newest runs first, of one image when it is named."""
        ...

    def running(self) -> Sequence[Run]:
        """Give the runs without an order that are recorded as running, oldest first.

        The process of such a run may be gone.
        """
        ...


class RunNotFound(WrongState):
    """No run, or more than one, has such an id."""

    code = "run-not-found"

    def __init__(self, run_id: str, matching: Sequence[str]) -> None:
        """Say whether there is none or too many."""
        self.matching = tuple(matching)
        super().__init__(
            f"{'Several runs match' if matching else 'There is no run'} {run_id}.",
            context=", ".join(matching[:5]),
            hint="List them with: imagebuilder run list",
        )


class RunFiles(Protocol):
    """What a run leaves for people: a log for each step, and what was kept of a failure."""

    def append(self, run_id: RunId, number: int, step: str, text: str) -> None:
        """Add a line to a step's log."""
        ...

    def log(self, run_id: RunId, number: int) -> str:
        """Give a step's log; empty when it said nothing."""
        ...

    def log_after(self, run_id: RunId, number: int, offset: int) -> tuple[str, int]:
        """Give whole lines that a step's log has behind an offset, and the offset behind them.

        At most a MiB at a time, but always a line, however long. Units: bytes.
        """
        ...

    def keep_details(self, run_id: RunId, number: int, component: str, document: bytes) -> None:
        """Keep what a component did within a step, replacing what was kept before it."""
        ...

    def details(self, run_id: RunId, number: int) -> Sequence[PurePath]:
        """Give the files of what components did within a step."""
        ...

    def folder(self, run_id: RunId) -> PurePath:
        """Give the run's own folder, made when it is not there."""
        ...
