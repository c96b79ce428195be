"""ApschedulerClock: APScheduler waits for the slots of our own schedules, and we are called then.

Of APScheduler 3, a job never learns the moment that it is due, a misfire is told from a late start
only by some executors, and its triggers have rules of their own for clock changes. So what is due
is collected where it is handed out, by a trigger that knows our slots, and told of all at once.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_SUBMITTED
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.schedule import newest_slot, next_slots
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.scheduling import DueSlot, Fire, Timetable

_SETTINGS = {
    "coalesce": True,  # of several slots that passed, one run
    "misfire_grace_time": None,  # however late it is
    "max_instances": 1000,  # whether runs may overlap is not for the clock to say
}


class ApschedulerClock:
    """A Scheduler. It calls from a thread of its own, one call after the other."""

    def __init__(self, clock: Clock) -> None:
        """Take from clock what has passed when a timetable comes; APScheduler asks the machine."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[PipelineName, Timetable] = {}
        self._scheduler: BackgroundScheduler | None = None

    def start(self, fire: Fire) -> None:
        """Call from now on; it begins without timetables."""
        executor = _Collector(fire)
        self._kept = {}
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": executor},
            job_defaults=_SETTINGS,
            timezone=UTC,
        )
        self._scheduler.add_listener(executor.tell, EVENT_JOB_SUBMITTED)
        self._scheduler.start()

    def keep(self, timetables: Sequence[Timetable]) -> None:
        """Go by these timetables and no others; who had the same before stays where it is."""
        wanted = {timetable.pipeline: timetable for timetable in timetables}
        scheduler = self._started()
        # Else each of thousands would wake the thread that waits for the next.
        scheduler.pause()
        try:
            self._change(wanted)
        finally:
            scheduler.resume()

    def _change(self, wanted: dict[PipelineName, Timetable]) -> None:
        with self._lock:
            for name in self._kept.keys() - wanted.keys():
                self._drop(name)
            for name, timetable in wanted.items():
                before = self._kept.get(name)
                if before is None or not _is_same(before, timetable):
                    self._put(timetable)
            self._kept = wanted

    def reset(self) -> None:
        """Forget all timetables, so that the next ones count from what they say."""
        with self._lock:
            self._started().remove_all_jobs()
            self._kept = {}

    def look(self) -> None:
        """See at once whether something is due: the clock may have been set."""
        self._started().wakeup()

    def stop(self) -> None:
        """Call no more; when it returns, no call is under way."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown()

    def _started(self) -> BackgroundScheduler:
        if self._scheduler is None:
            raise RuntimeError("the clock was not started")
        return self._scheduler

    def _put(self, timetable: Timetable) -> None:
        trigger = _Slots(timetable)
        first_at = trigger.get_next_fire_time(timetable.after, self._clock.now())
        if first_at is None:
            self._drop(timetable.pipeline)
            return
        self._started().add_job(
            _nothing,
            trigger,
            id=timetable.pipeline,
            name=timetable.pipeline,
            next_run_time=first_at,
            replace_existing=True,
        )

    def _drop(self, name: PipelineName) -> None:
        scheduler = self._started()
        if scheduler.get_job(name) is not None:
            scheduler.remove_job(name)


class _Slots(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """A trigger that is due at the slots of our arithmetic, given in UTC."""

    __slots__ = ("_timetable",)

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable

    def get_next_fire_time(self, previous_fire_time: datetime, now: datetime) -> datetime | None:
        """Give the slot after a moment; of those that are there by now, the last."""
        schedule, anchor = self._timetable.schedule, self._timetable.anchor
        first_at = next(iter(next_slots(schedule, previous_fire_time, 1, anchor=anchor)), None)
        if first_at is None or first_at > now:
            return first_at
        # Else a clock that stood for a month would walk through each minute of it.
        return newest_slot(schedule, previous_fire_time, now, anchor=anchor)


class _Collector(BaseExecutor):  # type: ignore[misc]  # the library has no types
    """An executor that runs nothing: it is where a job and the moment it is due are known."""

    def __init__(self, fire: Fire) -> None:
        super().__init__()
        self._fire = fire
        self._due: list[DueSlot] = []

    def _do_submit_job(self, job: Job, run_times: Sequence[datetime]) -> None:
        self._due.append(DueSlot(pipeline=PipelineName(job.id), slot_at=run_times[-1]))
        self._run_job_success(job.id, [])

    def tell(self, _event: object) -> None:
        """Tell of all that was collected; the first of many events finds it, the others nothing."""
        due, self._due = self._due, []
        if due:
            self._fire(due)


def _is_same(one: Timetable, other: Timetable) -> bool:
    """Whether two timetables have the same slots."""
    return one.schedule == other.schedule and one.anchor == other.anchor


def _nothing() -> None:
    """Be what a job runs, which is not run."""
