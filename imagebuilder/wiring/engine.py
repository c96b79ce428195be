"""Settings become the engine that does runs, and what the leader of its processes does."""

import os
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.domain.lease import SCHEDULER_LEASE
from imagebuilder.wiring.triggers import TriggerWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.adapters.dbos.room import DbosRoom
    from imagebuilder.adapters.system.presence import ProcessPresence
    from imagebuilder.domain.errors import ImageBuilderError
    from imagebuilder.ports.engine import RunEngine
    from imagebuilder.services.leading import Chore, Leading
    from imagebuilder.services.pipelines.serving import ServeOrder

_DISPATCH_SECONDS = 1.0
_CLOCK_SECONDS = 5.0
_DELIVERY_SECONDS = 5.0
_BEATS = 6.0
"""So many times a lease is renewed before it would run out."""


class EngineWiring(TriggerWiring):
    """The part of the services that lets this process stay and do runs."""

    @cached_property
    def presence(self) -> "ProcessPresence":
        """How long this process is to do anything."""
        from imagebuilder.adapters.system.presence import ProcessPresence

        return ProcessPresence()

    @property
    def usual_pools(self) -> "Sequence[str]":
        """The pools whose work this machine can do when nobody names others."""
        from imagebuilder.domain.pipeline import DEFAULT_POOL

        return (DEFAULT_POOL,)

    @property
    def is_served(self) -> bool:
        """Whether some process is there that hands out what waits."""
        return any(not lease.is_expired for lease in self.leases.leases(SCHEDULER_LEASE))

    @property
    def host(self) -> str:
        """This machine, with which the names of its workers begin."""
        return socket.gethostname()

    @cached_property
    def _process_name(self) -> str:
        """This process, unlike any other that was or will be."""
        return self._ids.new(f"{self.host}-{os.getpid()}")

    def _on_trouble(self, what: str, trouble: "ImageBuilderError") -> None:
        from logging import getLogger

        getLogger("imagebuilder.serve").warning("%s: %s", what, trouble.message)

    def _room(self, order: "ServeOrder") -> "DbosRoom":
        from imagebuilder.adapters.dbos.heart import HeartRate
        from imagebuilder.adapters.dbos.room import DbosRoom, Process, RoomPlan

        lease_seconds = self.settings.lease_seconds
        plan = RoomPlan(
            catalogue_url=self.settings.catalogue_url,
            file=self._home / "engine.db",
            worker=self._process_name,
            rate=HeartRate(ttl_seconds=lease_seconds, beat_seconds=lease_seconds / _BEATS),
            drain_seconds=order.drain_seconds,
        )
        process = Process(presence=self.presence, on_loss=self.presence.lose)
        return DbosRoom(plan, self.leases, self.locks, self.clock, process)

    def _leading(self, engine: "RunEngine") -> "Leading":
        from imagebuilder.services.leading import Leading, Watchword

        who = Watchword(
            holder=self._process_name,
            presence=self.presence,
            on_trouble=self._on_trouble,
            ttl_seconds=min(15.0, self.settings.lease_seconds),
        )
        return Leading(self.leases, self.clock, self._chores(engine), who)

    def _chores(self, engine: "RunEngine") -> "Sequence[Chore]":
        from imagebuilder.services.leading import Chore

        dispatching = self.dispatching(engine)
        time = self.timekeeping(lambda error: self._on_trouble("clock", error))
        return [
            Chore(
                name="clock",
                every_seconds=_CLOCK_SECONDS,
                do=time.tick,
                begin=time.begin,
                cease=time.cease,
            ),
            Chore(
                name="dispatch",
                every_seconds=_DISPATCH_SECONDS,
                do=dispatching.tick,
                begin=dispatching.forget,
            ),
            Chore(
                name="notices",
                every_seconds=_DELIVERY_SECONDS,
                do=self.deliver_notices,
                is_slow=True,
            ),
        ]
