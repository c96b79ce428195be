"""Scheduler: pipelines have schedules, and somebody is called when they are due."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """When a pipeline is due: at the slots of a schedule behind a moment.

    `anchor` is what rates count from.
    """

    pipeline: PipelineName
    schedule: Schedule
    anchor: datetime
    after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlot:
    """That a pipeline is due; of several slots that passed meanwhile it is the last."""

    pipeline: PipelineName
    slot_at: datetime


Fire: TypeAlias = Callable[[Sequence[DueSlot]], None]
"""Told of all that is due in the same moment at once. It raises nothing."""


class Scheduler(Protocol):
    """Calls when pipelines are due, by the slots of `domain.schedule` and no other arithmetic.

    Each slot is told of once, when it is there and not before; of those that passed while nobody
    looked, only the last. It remembers nothing beyond the process.
    """

    def start(self, fire: Fire) -> None:
        """Call from now on; it begins without timetables."""
        ...

    def keep(self, timetables: Sequence[Timetable]) -> None:
        """Go by these timetables and no others; who had the same before stays where it is."""
        ...

    def reset(self) -> None:
        """Forget all timetables, so that the next ones count from what they say."""
        ...

    def look(self) -> None:
        """See at once whether something is due: the clock may have been set."""
        ...

    def stop(self) -> None:
        """Call no more; when it returns, no call is under way. What is stopped can be started."""
        ...
