"""DbosRoom: an engine at work in this process, which others take over from when it dies.

Source: DBOS finds its own runs again only under the name of the process that had them; which
processes are dead is for us to know, by leases.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbos import DBOS
from dbos import error as dbos_error
from sqlalchemy.exc import DBAPIError

from imagebuilder.adapters.dbos.heart import Heart, HeartRate
from imagebuilder.adapters.dbos.intake import Intake
from imagebuilder.adapters.dbos.internals import rest
from imagebuilder.adapters.dbos.system_database import (
    APPLICATION,
    is_server,
    opened_database,
    quieten,
)
from imagebuilder.adapters.dbos.workflows import ENGINE_VERSION, RUNS_QUEUE, Hands, Workflows
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.lease import LeaseLost
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import Begin, Duty, EngineOrder, Presence, RunEngine, RunWork
from imagebuilder.ports.leases import LeaseStore
from imagebuilder.ports.locks import Locks

_THREADS_BEFORE = 4
"""So many runs are decided on at once: more would only wait for the two or four cores there are."""
_ALONE = "local"
_LOOK_SECONDS = 0.2


class EngineUnavailable(Unavailable):
    """What keeps runs durable cannot be started."""

    code = "engine-unavailable"

    def __init__(self, reason: str) -> None:
        """Say what it said."""
        super().__init__(
            "The engine that does runs cannot be started.",
            context=reason,
            hint="Check the database; a worker needs `imagebuilder serve` to have been there once.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """This process; `on_loss` is called when others were told that it is dead."""

    presence: Presence
    on_loss: Callable[[LeaseLost], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """Where an engine keeps its books, and how it shows that it lives.

    `poll_seconds` is how often what is due is looked for, a pool's work half as often;
    `drain_seconds` how long stages under way may go on when the process is to leave.
    """

    catalogue_url: str
    file: Path
    worker: str
    rate: HeartRate
    poll_seconds: float = 2.0
    drain_seconds: float = 600.0


class DbosRoom:
    """Starts and stops DBOS."""

    def __init__(
        self,
        plan: RoomPlan,
        leases: LeaseStore,
        locks: Locks,
        clock: Clock,
        process: Process,
    ) -> None:
        """Work as planned, for as long as `process` says."""
        self._plan = plan
        self._leases = leases
        self._locks = locks
        self._clock = clock
        self._process = process

    @contextmanager
    def running(self, duty: Duty, work: RunWork) -> Iterator[RunEngine]:
        """Give the engine at work; when the context ends nothing of this process is.

        Raises: EngineUnavailable; InProgress: another process works with this engine's file.
        """
        if is_server(self._plan.catalogue_url):
            with self._launched(duty, work, self._plan.worker, recovers=True) as engine:
                yield engine
            return
        # One file, one process: it is known by one name, and finds again what it had by itself.
        with (
            self._locks.hold("engine", f"process {os.getpid()}"),
            self._launched(duty, work, _ALONE, recovers=False) as engine,
        ):
            yield engine

    @contextmanager
    def _launched(
        self, duty: Duty, work: RunWork, executor: str, *, recovers: bool
    ) -> Iterator["_Engine"]:
        quieten()
        slots = sum(duty.pools.values())
        threads = ThreadPoolExecutor(
            (_THREADS_BEFORE if duty.controls else 0) + slots, thread_name_prefix="stage"
        )
        heart = Heart(self._leases, self._clock, self._plan.rate, on_loss=self._process.on_loss)
        with opened_database(self._plan.catalogue_url, self._plan.file) as database:
            config = {**_config(duty, executor), **database.settings}
            intake = Intake(database.ours)
            rest(DBOS(config=config))  # type: ignore[arg-type]  # settings that are put together
            try:
                hands = Hands(
                    work=work,
                    threads=threads,
                    worker=self._plan.worker,
                    presence=self._process.presence,
                )
                engine = _Engine(duty, hands, intake, self._plan.poll_seconds)
                with heart.beating(self._plan.worker, duty, recovers=recovers):
                    with _translated():
                        DBOS.launch()
                        engine.open_queues()
                    yield engine
                    engine.drain(self._clock, self._plan.drain_seconds)
            finally:
                DBOS.destroy(destroy_registry=True)
                intake.close()
                threads.shutdown(wait=True, cancel_futures=True)


def _config(duty: Duty, executor: str) -> dict[str, Any]:
    return {
        "name": APPLICATION,
        "executor_id": executor,
        "application_version": ENGINE_VERSION,
        "log_level": "ERROR",
        "use_listen_notify": False,
        "run_migrations": duty.controls,
        "scheduler_polling_interval_sec": 3600.0,
        "notification_listener_polling_interval_sec": 2.0,
    }


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our words that the engine's own database cannot be used."""
    try:
        yield
    except (dbos_error.DBOSException, DBAPIError) as error:
        raise EngineUnavailable(str(error).splitlines()[0]) from error


class _Engine:
    """A RunEngine on DBOS."""

    def __init__(self, duty: Duty, hands: Hands, intake: Intake, poll_seconds: float) -> None:
        self._duty = duty
        self._intake = intake
        self._poll_seconds = poll_seconds
        self._known: set[str] = set()
        self._presence = hands.presence
        self._workflows = Workflows(hands, self._know)
        DBOS.listen_queues([*([RUNS_QUEUE] if duty.controls else []), *duty.pools])

    def open_queues(self) -> None:
        """Let this process's queues be worked on."""
        if self._duty.controls:
            DBOS.register_queue(
                RUNS_QUEUE, partition_concurrency=1, polling_interval_sec=self._poll_seconds
            )
        for pool, slots in self._duty.pools.items():
            DBOS.register_queue(
                pool, worker_concurrency=slots, polling_interval_sec=2 * self._poll_seconds
            )
            self._known.add(pool)

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done; of one that was handed over before nothing happens."""
        self._intake.take(orders)

    def drop(self, begins: Sequence[Begin]) -> None:
        """Do nothing more of what was handed over."""
        self._intake.drop(begins)

    def drain(self, clock: Clock, limit_seconds: float) -> None:
        """Wait for the stages that are under way here, so long or until it is to end at once."""
        until = clock.monotonic() + limit_seconds
        while self._workflows.busy and self._presence.is_here and clock.monotonic() < until:
            self._presence.wait(_LOOK_SECONDS)

    def _know(self, pool: str) -> None:
        """See that a pool has a queue, though none of its workers has come yet."""
        if pool not in self._known:
            DBOS.register_queue(pool, worker_concurrency=1, on_conflict="never_update")
            self._known.add(pool)
