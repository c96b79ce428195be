"""Sweeping: runs whose process is gone are said to be interrupted, and their work is taken away."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import Run, RunState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.locks import Locks
from imagebuilder.ports.runs import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Where locks are held that this process can see; `clear` takes dead work away there."""

    place: str
    clear: Callable[[], None]


def run_lock(run_id: RunId) -> str:
    """Give the name of the lock that a run holds as long as its process lives."""
    return f"run-{run_id}"


class Sweeping:
    """Puts records right after a process was killed."""

    def __init__(self, runs: RunStore, locks: Locks, clock: Clock, here: Here) -> None:
        """Look at runs and at who still holds their locks."""
        self._runs = runs
        self._locks = locks
        self._clock = clock
        self._here = here

    @property
    def place(self) -> str:
        """Where this process holds its locks, which goes into the runs that it begins."""
        return self._here.place

    def sweep(self) -> tuple[Run, ...]:
        """Mark every run that nobody works on any more as interrupted, and give them."""
        ended = []
        for run in self._runs.running():
            if run.place not in ("", self._here.place):
                continue
            # Read again once nobody holds it: it may have ended, and said so, in the meantime.
            if self._locks.is_held(run_lock(run.id)) or not self._is_running(run.id):
                continue
            lost = replace(
                run,
                state=RunState.INTERRUPTED,
                ended_at=self._clock.now(),
                error="The process ended in the middle of the run.",
            )
            self._runs.save(lost)
            ended.append(lost)
        # Also with no run to mend: one killed after it was recorded had not yet put its work away.
        # It is last, since what a run made elsewhere stays until that is over.
        self._here.clear()
        return tuple(ended)

    def _is_running(self, run_id: RunId) -> bool:
        return self._runs.get(run_id).state is RunState.RUNNING
