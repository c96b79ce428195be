"""RecordedProgress: what the person watching sees is also what the run's record keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import StepRun, StepState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunFiles, RunStore


class RecordedProgress:
    """Passes everything on to a watcher, and keeps steps and logs."""

    def __init__(
        self, run_id: RunId, watcher: Progress, runs: RunStore, files: RunFiles, clock: Clock
    ) -> None:
        """Keep the steps of one run, behind those that other processes kept of it."""
        self._run_id = run_id
        self._watcher = watcher
        self._runs = runs
        self._files = files
        self._clock = clock
        self._step: StepRun | None = None
        self._count: int | None = None
        self._started = 0.0

    def step_started(self, name: str) -> None:
        """A step began; it is kept as running, so that a killed run shows where it was."""
        if self._count is None:
            self._count = self._ended_before()
        self._count += 1
        self._started = self._clock.monotonic()
        self._step = StepRun(
            number=self._count, name=name, state=StepState.RUNNING, started_at=self._clock.now()
        )
        self._runs.save_step(self._run_id, self._step)
        self._watcher.step_started(name)

    def line(self, text: str) -> None:
        """The running step printed a line."""
        if self._step is not None:
            self._files.append(self._run_id, self._step.number, self._step.name, text)
        self._watcher.line(text)

    def detailed(self, name: str, document: Canonical) -> None:
        """A component did something; its document is kept beside the log of the step."""
        if self._step is not None:
            number = self._step.number
            self._files.keep_details(self._run_id, number, name, canonical_json(document))
        self._watcher.detailed(name, document)

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """The running step came to its end."""
        if self._step is None:
            return
        seconds = self._clock.monotonic() - self._started
        self._runs.save_step(
            self._run_id, replace(self._step, state=state, seconds=seconds, detail=detail)
        )
        self._step = None
        self._watcher.step_ended(state, detail)

    def fail_open_step(self, reason: str) -> None:
        """End the step that an error came out of."""
        self.step_ended(StepState.FAILED, reason)

    def _ended_before(self) -> int:
        """Give the highest number of the run's steps; one that was killed is said to have ended."""
        earlier = self._runs.steps(self._run_id)
        for step in earlier:
            if step.state is StepState.RUNNING:
                lost = replace(step, state=StepState.FAILED, detail="its process ended")
                self._runs.save_step(self._run_id, lost)
        return max((step.number for step in earlier), default=0)


@contextmanager
def failing_step(progress: RecordedProgress) -> Iterator[None]:
    """See that the step an error came out of is shown and kept as failed."""
    try:
        yield
    except ImageBuilderError as error:
        progress.fail_open_step(error.message)
        raise
    except BaseException:
        progress.fail_open_step("interrupted")
        raise
