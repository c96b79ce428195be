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
from imagebuilder.domain.ids import ImageName, PipelineName
from imagebuilder.domain.pipeline import Pipeline, Timing
from imagebuilder.domain.run import RunQuery
from imagebuilder.domain.schedule import cron_schedule, rate_schedule, zone_of
from imagebuilder.ports.pipelines import AppliedPipeline
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.services.timekeeping import Timekeeping, Watchmaker
from imagebuilder.settings import read_settings
from tests.postgres import running_server

PIPELINES = 10_000
DUE = 500
LOADS = 3
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
AHEAD_SECONDS = 3
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
    """Fires as the clock does, and writes down how late each run was kept."""

    application: Application
    slot_at: datetime | None = None
    late_ms: list[float] = field(default_factory=list)
    is_done: threading.Event = field(default_factory=threading.Event)

    def fire(self, due: Sequence[DueSlot]) -> object:
        """Make runs."""
        kept = self.application.triggering.fire(due)
        now = datetime.now(UTC)
        slots = [run.order.slot_at for run in kept if run.order]
        # Others of the ten thousand may have been due before the clock was made.
        late = [now - slot_at for slot_at in slots if slot_at and slot_at == self.slot_at]
        self.late_ms += [one.total_seconds() * 1000 for one in late]
        if len(self.late_ms) >= DUE:
            self.is_done.set()
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


def fired(application: Application, rounds: int, ahead_seconds: int) -> Sequence[Sequence[float]]:
    """Give how late runs are kept when five hundred are due in one moment, for some moments."""
    late = []
    for _ in range(rounds):
        # So that the clock has been made and waits when the moment comes.
        slot_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead_seconds)
        names = make_due(application, slot_at)
        watch = Watch(application, slot_at)
        keep_time(application, watch, slot_at)
        verify(application, names, slot_at)
        late.append(watch.late_ms)
    return late


def keep_time(application: Application, watch: Watch, slot_at: datetime) -> None:
    """Let the clock go until all that is due at a moment has been seen to."""
    keeping = timekeeping(application, watch)
    keeping.begin()
    try:
        keeping.tick()
        if datetime.now(UTC) >= slot_at:
            raise SystemExit("the clock was not made before the moment came")
        if not watch.is_done.wait(60):
            raise SystemExit(f"{len(watch.late_ms)} of {DUE} runs were kept")
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
            late = fired(application, rounds, AHEAD_SECONDS + 2 * math.ceil(of_postgresql))
    for number, each in enumerate(late, start=1):
        say(f"slot {number}: the last run was kept after {max(each):.0f} ms")
    return {
        "load_10000_seconds": max(of_sqlite, of_postgresql),
        "enqueue_500_seconds": max(map(max, late)) / 1000,
        "fire_p99_ms": max(map(p99, late)),
    }
