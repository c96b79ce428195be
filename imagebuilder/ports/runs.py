"""RunStore and StepLog: what happened in each run, kept as it happens."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import Run, StepRun


class RunStore(Protocol):
    """Keeps runs and their steps. Durable: a save survives a crash once it returned."""

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id."""
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

    def newest(self, limit: int, image: ImageName | None = None) -> Sequence[Run]:
        """Give the newest runs first, of one image when it is named."""
        ...

    def running(self) -> Sequence[Run]:
        """Give the runs that are recorded as running, oldest first.

        The process of such a run may be gone.
        """
        ...


class RunNotFound(WrongState):
    """No run, or more than one, has such an id."""

    code = "run-not-found"

    def __init__(self, run_id: str, matching: Sequence[str]) -> None:
        """Say whether there is none or too many."""
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

    def keep_details(self, run_id: RunId, number: int, component: str, document: bytes) -> None:
        """Keep what a component did within a step, replacing what was kept before it."""
        ...

    def details(self, run_id: RunId, number: int) -> Sequence[PurePath]:
        """Give the files of what components did within a step."""
        ...

    def folder(self, run_id: RunId) -> PurePath:
        """Give the run's own folder, made when it is not there."""
        ...
