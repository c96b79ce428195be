"""A Scheduler that looks at its clock only when it is told to."""

from collections.abc import Sequence
from dataclasses import replace

from imagebuilder.domain.schedule import newest_slot
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.scheduling import DueSlot, Fire, Timetable


class FakeScheduler:
    """Goes by timetables, and by what it told of already."""

    def __init__(self, clock: Clock) -> None:
        """Look at clock."""
        self._clock = clock
        self._fire: Fire | None = None
        self.timetables: dict[str, Timetable] = {}
        self.kept = 0

    @property
    def is_started(self) -> bool:
        return self._fire is not None

    def start(self, fire: Fire) -> None:
        self._fire = fire
        self.timetables = {}

    def keep(self, timetables: Sequence[Timetable]) -> None:
        self.kept += 1
        before = self.timetables
        self.timetables = {}
        for wanted in timetables:
            known = before.get(wanted.pipeline)
            is_same = known and (known.schedule, known.anchor) == (wanted.schedule, wanted.anchor)
            self.timetables[wanted.pipeline] = known if known and is_same else wanted

    def reset(self) -> None:
        self.timetables = {}

    def look(self) -> None:
        now, due = self._clock.now(), []
        for name, known in self.timetables.items():
            slot_at = newest_slot(known.schedule, known.after, now, anchor=known.anchor)
            if slot_at is not None:
                due.append(DueSlot(pipeline=known.pipeline, slot_at=slot_at))
                self.timetables[name] = replace(known, after=slot_at)
        if due and self._fire is not None:
            self._fire(due)

    def stop(self) -> None:
        self._fire = None
