"""Following: what the steps of a run print is given while they print it, until the run is over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import Run, RunState, StepRun
from imagebuilder.ports.runs import RunFiles, RunStore

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a step printed since it was last looked at: whole lines; none when it just began."""

    step: StepRun
    text: str = ""


class Following:
    """Follows runs."""

    def __init__(
        self,
        runs: RunStore,
        files: RunFiles,
        *,
        pause: Callable[[float], None],
        tidy: Callable[[], object],
    ) -> None:
        """Look at runs and their files; pause between looks.

        `tidy` is called before each: it says so of a run whose process is gone.
        """
        self._runs = runs
        self._files = files
        self._pause = pause
        self._tidy = tidy

    def follow(self, run_id: RunId, number: int | None = None) -> Iterator[Printed]:
        """Give what a run's steps print, or one of them, as it comes.

        It ends when the run is over, or waits for a person: that may take days.
        """
        offsets: dict[int, int] = {}
        while True:
            self._tidy()
            # The run first: what it printed before its end is there when its end is.
            is_over = _is_over(self._runs.get(run_id))
            steps = self._runs.steps(run_id)
            for step in steps:
                if number in (None, step.number):
                    yield from self._printed(run_id, step, offsets)
            if is_over:
                return
            self._pause(_POLL_SECONDS)

    def _printed(self, run_id: RunId, step: StepRun, offsets: dict[int, int]) -> Iterator[Printed]:
        if step.number not in offsets:
            offsets[step.number] = 0
            yield Printed(step=step)
        while True:
            before = offsets[step.number]
            text, offsets[step.number] = self._files.log_after(run_id, step.number, before)
            if not text:
                return
            yield Printed(step=step, text=text)


def _is_over(run: Run) -> bool:
    return run.state.is_final or run.state is RunState.AWAITING_APPROVAL
