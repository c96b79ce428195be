"""Timekeeping: the clock goes by the pipelines as they stand, whoever changes them and wherever.

The clock remembers nothing. Which slots were seen to stands in the cursors of pipelines, and each
slot's run is the only one however often it is asked for: so the clock may be set, the process may
sleep or die, and several may keep time at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.pipelines import AppliedPipeline, PipelineStore
from imagebuilder.ports.scheduling import DueSlot, Scheduler, Timetable

_JUMP_SECONDS = 2.0
"""So far a clock that is corrected while it runs, as it should be, never gets between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchmaker:
    """What keeping time needs: who looks at the clock, the pipelines, and who makes their runs.

    `on_trouble` is told when runs could not be made, as they are as soon as they can be.
    """

    scheduler: Scheduler
    pipelines: PipelineStore
    clock: Clock
    fire: Callable[[Sequence[DueSlot]], object]
    on_trouble: Callable[[ImageBuilderError], None]


class Timekeeping:
    """Keeps a scheduler by the pipelines that are in force."""

    def __init__(self, watchmaker: Watchmaker) -> None:
        """Keep what `watchmaker` has."""
        self._of = watchmaker
        self._stamp: str | None = None
        self._ahead_seconds: float | None = None
        self._has_failed = False

    def begin(self) -> None:
        """Begin to look at the clock; the first tick says what for."""
        self._stamp = None
        self._ahead_seconds = None
        self._of.scheduler.start(self._fire)

    def cease(self) -> None:
        """Look at the clock no more."""
        self._of.scheduler.stop()

    def tick(self) -> None:
        """Let the clock go by what changed since the last one. When nothing did, it is cheap.

        Raises: StoreUnavailable: the clock goes by what it knew.
        """
        stamp = self._of.pipelines.stamp()
        if self._is_off():
            self._of.scheduler.reset()
            self._stamp = None
        if stamp != self._stamp:
            self._of.scheduler.keep(self._timetables())
            self._stamp = stamp
        self._of.scheduler.look()

    def _is_off(self) -> bool:
        """Whether what the scheduler waits for may not be what comes next.

        So it is when the clock was set, when the machine slept, and when runs could not be made.
        """
        clock, before = self._of.clock, self._ahead_seconds
        self._ahead_seconds = clock.now().timestamp() - clock.monotonic()
        has_failed, self._has_failed = self._has_failed, False
        return has_failed or (
            before is not None and abs(self._ahead_seconds - before) > _JUMP_SECONDS
        )

    def _timetables(self) -> Sequence[Timetable]:
        return [
            timetable
            for applied in self._of.pipelines.all()
            if (timetable := self._timetable(applied)) is not None
        ]

    def _timetable(self, applied: AppliedPipeline) -> Timetable | None:
        schedule = applied.pipeline.timing.schedule
        if schedule is None:
            return None
        return Timetable(
            pipeline=applied.pipeline.name,
            schedule=schedule,
            anchor=applied.first_applied_at,
            # A cursor ahead of time was set while a clock was wrong: slots come before it yet.
            after=min(applied.cursor_at, self._of.clock.now()),
        )

    def _fire(self, due: Sequence[DueSlot]) -> None:
        """Make the runs that are due; if that fails, the next tick begins at the cursors again."""
        try:
            self._of.fire(due)
        except ImageBuilderError as trouble:
            self._has_failed = True
            self._of.on_trouble(trouble)
