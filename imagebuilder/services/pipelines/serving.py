"""Serving: a process that stays, does runs, and leads the others when nobody else does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.ports.engine import Duty, EngineRoom, Presence, RunEngine, RunWork
from imagebuilder.services.leading import Leading

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOrder:
    """What a person wants of a process that stays; pools as in `Duty`.

    `listen` is where hooks are taken and metrics given; `watched` are folders of documents.
    """

    controls: bool
    pools: Mapping[str, int]
    drain_seconds: float
    listen: str | None = None
    watched: tuple[PurePath, ...] = ()

    @property
    def duty(self) -> Duty:
        """What of it is the engine's."""
        return Duty(controls=self.controls, pools=self.pools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who is at work in a process that stays.

    `leading` gives what a leader does with the engine; `began` is called once all is at work.
    """

    room: EngineRoom
    work: RunWork
    presence: Presence
    leading: Callable[[RunEngine], Leading]
    began: Callable[[], object]


class Serving:
    """Lets a crew work until the process is to leave."""

    def __init__(self, crew: Crew) -> None:
        """Let `crew` work."""
        self._crew = crew

    def serve(self, duty: Duty) -> None:
        """Do a duty until the process is to leave; what is under way then comes to its end first.

        Raises: Unavailable: the engine's database does not answer; InProgress: another process does
        this already where only one may.
        """
        crew = self._crew
        with crew.room.running(duty, crew.work) as engine:
            crew.began()
            if duty.controls:
                crew.leading(engine).attend()
                return
            while crew.presence.is_staying:
                crew.presence.wait(_LOOK_SECONDS)
