"""OpenRun: a run's record is kept true, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.run import Run, RunInterrupted, RunState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.runs import RunStore
from imagebuilder.services.pipelines.desk import Desk
from imagebuilder.services.sweeping import run_lock


@contextmanager
def opened_run(desk: Desk, image: ImageName, process: str) -> Iterator["OpenRun"]:
    """Begin a run of an image; it is recorded how it ended, also when an error ends it."""
    run = Run(
        id=RunId(desk.ids.new("run")),
        image=image,
        state=RunState.RUNNING,
        started_at=desk.clock.now(),
        place=desk.sweeping.place,
    )
    with desk.locks.hold(run_lock(run.id), process):
        desk.runs.save(run)
        opened = OpenRun(run, desk.runs, desk.clock)
        try:
            yield opened
        except ImageBuilderError as error:
            opened.end(RunState.FAILED, error_code=error.code, error=error.message)
            raise
        except (KeyboardInterrupt, RunInterrupted):
            opened.end(RunState.CANCELLED, error="It was cancelled.")
            raise
        except BaseException as error:
            opened.end(RunState.FAILED, error_code="unexpected", error=repr(error))
            raise


class OpenRun:
    """A run that is not over yet."""

    def __init__(self, run: Run, runs: RunStore, clock: Clock) -> None:
        """Keep the record of run in runs."""
        self.run = run
        self._runs = runs
        self._clock = clock

    def succeeded(self, version_id: VersionId | None, *, is_unchanged: bool = False) -> None:
        """Record that it ended well, and with which version."""
        self.run = replace(self.run, version_id=version_id)
        self.end(RunState.UNCHANGED if is_unchanged else RunState.SUCCEEDED)

    def end(self, state: RunState, *, error_code: str = "", error: str = "") -> None:
        """Record how it ended."""
        self.run = replace(
            self.run, state=state, ended_at=self._clock.now(), error_code=error_code, error=error
        )
        self._runs.save(self.run)
