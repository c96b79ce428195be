"""The clock with ten thousand pipelines, five hundred of them due in the same second.

Databases are made for it, PostgreSQL's with everything written to the disk as on a server that
people rely on.
"""

import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagebuilder.bootstrap import Application
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.pipeline import Pipeline, Timing
from imagebuilder.domain.run import RunQuery, RunStage
from imagebuilder.domain.schedule import cron_schedule, rate_schedule, zone_of
from imagebuilder.ports.engine import EngineOrder, GoOn, RunEngine, StageEnd
from imagebuilder.ports.pipelines import AppliedPipeline
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.services.pipelines.serving import ServeOrder
from imagebuilder.services.timekeeping import Timekeeping, Watchmaker
from imagebuilder.settings import read_settings
from tests.postgres import running_server
from tests.roots import wait_until

PIPELINES = 10_000
DUE = 500
LOADS = 3
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
AHEAD_SECONDS = 3
DISPATCH_SECONDS = 1.0
SERVER = {
    # Unlike in tests: what is kept is to stay, as on a server that people rely on.
    **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on"),
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
}


def p99(times: Sequence[float]) -> float:
    """Give the time within which 99 of 100 ended."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def application_at(url: str, home: Path) -> Application:
    """Give the services on a catalogue."""
    named = {"HOME": str(home), "CATALOGUE_URL": url, "ACTOR": "bench"}
    return Application(
        read_settings({f"IMAGEBUILDER_{key}": value for key, value in named.items()})
    )


def a_pipeline(name: str, timing: Timing) -> Pipeline:
    """Give a pipeline of a name."""
    return Pipeline(
        name=PipelineName(name),
        recipe="debian-web",
        recipe_path="/srv/recipes/debian-web.yaml",
        image=ImageName("debian-web"),
        parent="image:debian-base@1.x",
        timing=timing,
        parameters={"nginx.worker_processes": "2"},
        text="kind: Pipeline\n" * 20,
        path=f"/srv/pipelines/{name}.yaml",
    )


@contextmanager
def filled(url: str, home: Path) -> Iterator[Application]:
    """Give the services on a catalogue with ten thousand pipelines."""
    application = application_at(url, home)
    apply_all(application)
    try:
        yield application
    finally:
        application._database.close()  # noqa: SLF001 - nothing is open when its folder goes


def apply_all(application: Application) -> None:
    """Keep ten thousand pipelines, which are due at many times of the day in several zones."""
    now = application.clock.now()
    with application._database.together():  # noqa: SLF001 - ten thousand applies are not what is timed
        for number in range(PIPELINES):
            zone = zone_of(ZONES[number % len(ZONES)])
            cron = cron_schedule(f"{number % 60} {number // 60 % 24} * * *", zone)
            application.pipelines.put(
                AppliedPipeline(
                    pipeline=a_pipeline(f"p{number:05d}", Timing(schedule=cron)),
                    first_applied_at=now,
                    applied_at=now,
                    applied_by="bench",
                    cursor_at=now,
                )
            )


def make_due(application: Application, slot_at: datetime) -> Sequence[PipelineName]:
    """Let five hundred of them be due at a moment, and every minute after it."""
    hurried = Timing(schedule=rate_schedule("1 minute", zone_of("UTC")))
    before = slot_at - timedelta(minutes=1)
    names = [PipelineName(f"p{number * 7:05d}") for number in range(DUE)]
    with application._database.together():  # noqa: SLF001 - see above
        for name in names:
            application.pipelines.remove(name)
            application.pipelines.put(
                AppliedPipeline(
                    pipeline=a_pipeline(name, hurried),
                    first_applied_at=before,
                    applied_at=application.clock.now(),
                    applied_by="bench",
                    cursor_at=before,
                )
            )
    return names


@dataclass(slots=True)
class Watch:
    """Fires as the clock does, and writes down how late each run of a slot was kept."""

    application: Application
    slot_at: datetime | None = None
    late_ms: list[float] = field(default_factory=list)
    ids: set[RunId] = field(default_factory=set)

    def fire(self, due: Sequence[DueSlot]) -> object:
        """Make runs."""
        kept = self.application.triggering.fire(due)
        now = datetime.now(UTC)
        # Others of the ten thousand may have been due before the clock was made.
        for run in kept:
            if self.slot_at is not None and run.order and run.order.slot_at == self.slot_at:
                self.late_ms.append((now - self.slot_at).total_seconds() * 1000)
                self.ids.add(run.id)
        return kept


def timekeeping(application: Application, watch: Watch) -> Timekeeping:
    """Give what looks at the clock, as serve has it, with a watch."""

    def fail(trouble: Exception) -> None:
        raise SystemExit(f"runs could not be kept: {trouble}")

    made = application.timekeeping(fail)
    of: Watchmaker = made._of  # noqa: SLF001 - all but who is called stays as it is
    return Timekeeping(
        Watchmaker(
            scheduler=of.scheduler,
            pipelines=of.pipelines,
            clock=of.clock,
            fire=watch.fire,
            on_trouble=fail,
        )
    )


def load_seconds(application: Application) -> float:
    """Give how long the clock takes to begin; the median of some."""
    taken = []
    for _ in range(LOADS):
        keeping = timekeeping(application, Watch(application))
        started = time.perf_counter()
        keeping.begin()
        keeping.tick()
        taken.append(time.perf_counter() - started)
        keeping.cease()
    return statistics.median(taken)


class Idle:
    """A RunWork for which there is nothing to do; it knows which runs it was asked for."""

    def __init__(self) -> None:
        """Begin with none."""
        self.done: set[RunId] = set()

    def do(self, run_id: RunId, stage: RunStage, worker: str) -> StageEnd:
        """End a run."""
        del stage, worker
        self.done.add(run_id)
        return StageEnd(go_on=GoOn.OVER)

    def give_up(self, run_id: RunId, reason: str) -> None:
        """Refuse: no process dies here."""
        raise SystemExit(f"{run_id} was given up: {reason}")


class Counter:
    """A RunEngine that passes on, and counts what was taken."""

    def __init__(self, engine: RunEngine) -> None:
        """Pass on to an engine."""
        self.engine = engine
        self.taken: set[RunId] = set()

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done."""
        self.engine.hand_over(orders)
        self.taken |= {order.run_id for order in orders}


@dataclass(frozen=True, slots=True)
class Round:
    """How long after a slot each of its runs was kept, and all of them were in the queue."""

    kept_ms: Sequence[float]
    queued_seconds: float


def fired(application: Application, rounds: int, ahead_seconds: int) -> Sequence[Round]:
    """Let five hundred be due in one moment, for some moments."""
    done = []
    order = ServeOrder(controls=True, pools={}, drain_seconds=1)
    room = application._room(order)  # noqa: SLF001 - the engine as serve has it
    work = Idle()
    with room.running(order.duty, work) as engine:
        for number in range(rounds):
            # So that the clock has been made and waits when the moment comes.
            slot_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead_seconds)
            names = make_due(application, slot_at)
            done.append(one_round(application, engine, slot_at))
            verify(application, names, slot_at)
            # The next round is not to wait for what the engine has to do yet.
            wait_until(lambda expected=(number + 1) * DUE: len(work.done) >= expected)
    return done


def one_round(application: Application, engine: RunEngine, slot_at: datetime) -> Round:
    """Let the clock and the dispatching go until all that is due at a moment is in the queue."""
    watch, counter = Watch(application, slot_at), Counter(engine)
    keeping, dispatching = timekeeping(application, watch), application.dispatching(counter)
    keeping.begin()
    try:
        keeping.tick()
        if datetime.now(UTC) >= slot_at:
            raise SystemExit("the clock was not made before the moment came")
        pause = threading.Event()
        while len(counter.taken & watch.ids) < DUE:
            if datetime.now(UTC) > slot_at + timedelta(seconds=60):
                raise SystemExit(f"{len(watch.ids)} of {DUE} runs were kept")
            pause.wait(DISPATCH_SECONDS)
            dispatching.tick()
        return Round(watch.late_ms, (datetime.now(UTC) - slot_at).total_seconds())
    finally:
        keeping.cease()


def verify(application: Application, names: Sequence[PipelineName], slot_at: datetime) -> None:
    """See that each pipeline has one run of the slot, and that its cursor stands there."""
    for name in names:
        runs = application.runs.find(RunQuery(pipeline=name))
        slots = [run.order.slot_at for run in runs if run.order]
        if slots.count(slot_at) != 1 or application.pipelines.get(name).cursor_at != slot_at:
            raise SystemExit(f"{name} has not the one run that it should have")


def clock_figures(rounds: int, say: Callable[[str], None]) -> dict[str, float]:
    """Give the figures of the clock, telling how far it is."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, running_server(SERVER) as server:
        folder = Path(name)
        say(f"{PIPELINES} pipelines on SQLite ...")
        with filled(str(folder / "catalogue.db"), folder) as application:
            of_sqlite = load_seconds(application)
        say("the same on PostgreSQL ...")
        with filled(server.url_of(server.new_database()), folder) as application:
            of_postgresql = load_seconds(application)
            say(f"loaded from SQLite in {of_sqlite:.2f} s, PostgreSQL in {of_postgresql:.2f} s")
            # What was just written is on the disk first: no sync of a run is to wait for it.
            server.run("CHECKPOINT")
            os.sync()
            done = fired(application, rounds, AHEAD_SECONDS + 2 * math.ceil(of_postgresql))
    for number, each in enumerate(done, start=1):
        say(
            f"slot {number}: the last run was kept after {max(each.kept_ms):.0f} ms, "
            f"in the queue after {each.queued_seconds:.2f} s"
        )
    return {
        "load_10000_seconds": max(of_sqlite, of_postgresql),
        "enqueue_500_seconds": max(each.queued_seconds for each in done),
        "fire_p99_ms": max(p99(each.kept_ms) for each in done),
    }
