"""Plants: a catalogue, a state folder, and real processes that do runs of a pipeline there."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from imagebuilder.adapters.dbos.system_database import SCHEMA
from imagebuilder.bootstrap import Application
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName, RunId
from imagebuilder.domain.lease import EXECUTOR_PREFIX, SCHEDULER_LEASE
from imagebuilder.domain.pipeline import Pipeline, Timing, Trigger
from imagebuilder.domain.run import Run, RunStage, RunState, StageRun, StepState
from imagebuilder.services.triggering import StartOrder
from imagebuilder.settings import read_settings
from tests.build import a_pipeline, an_applied
from tests.databases import DATABASES
from tests.postgres import Server
from tests.roots import Workbench, left_behind, traces, wait_until

LEASE_SECONDS = 2.0
WORK_SECONDS = 2
CANDIDATE = ChannelName("candidate")
TINY = ImageName("tiny")
NIGHTLY = PipelineName("nightly")
POOL = "build.amd64"
_LOOK_SECONDS = 0.1
_WRITTEN = {
    RunStage.RESOLVE: "decisions",
    RunStage.RECORD: "versions",
    RunStage.PROMOTE: "channel_moves",
}
"""The tables that stages write to before they are done."""


@dataclass
class Plant:
    """Where runs of one pipeline are done; `url` is that of the catalogue."""

    bench: Workbench
    url: str
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.bench.home

    @property
    def is_server(self) -> bool:
        return self.url.startswith("postgresql")

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is given: nothing of the settings of who runs the tests."""
        self.bench.environment = {
            "IMAGEBUILDER_CATALOGUE_URL": self.url,
            "IMAGEBUILDER_LEASE_SECONDS": str(LEASE_SECONDS),
            "IMAGEBUILDER_ACTOR": "ada",
            **self.more,
        }
        return self.bench._environment()

    @cached_property
    def application(self) -> Application:
        return Application(read_settings(self.environment))

    def apply(self, *, work_seconds: int = WORK_SECONDS, **more: Any) -> Pipeline:
        """Let a pipeline be in force whose image has a layer and a test that take their time.

        Its variants may differ in the parameter own.flavour.
        """
        self.bench.component("first", "echo first > /etc/first")
        work = f"echo made slow; echo slow > /etc/slow; {self.sleep(work_seconds)}"
        self.bench.component("slow", work)
        flavour = {"flavour": {"type": "string", "default": "plain"}}
        self.bench.component("own", "echo {{ flavour }} > /etc/own", parameters=[flavour])
        recipe = self.bench.recipe("first", "own", "slow", tests=["test_tiny.py"])
        recipe.with_name("test_tiny.py").write_text(
            "def test_tiny(host):\n"
            f"    done = host.run('{self.sleep(WORK_SECONDS)}; cat /etc/slow')\n"
            "    assert done.stdout == 'slow\\n'\n"
        )
        values: dict[str, Any] = {
            "recipe": "tiny",
            "recipe_path": str(recipe),
            "image": TINY,
            "parent": "",
            "path": "",
            "timing": Timing(),
            "channel": CANDIDATE,
        }
        pipeline = a_pipeline(**({"name": NIGHTLY} | values | more))
        now = self.application.clock.now()
        moments = {"first_applied_at": now, "applied_at": now, "cursor_at": now}
        self.application.pipelines.put(an_applied(pipeline, **moments))
        return pipeline

    def sleep(self, seconds: int) -> str:
        """Give a command that takes so long, and is known from all others on this machine."""
        return f"sleep {seconds}.{self._mark}"

    @property
    def _mark(self) -> str:
        return f"000{os.getpid()}"

    def start(self, pipeline: str = NIGHTLY) -> RunId:
        """Let a run of the pipeline be wanted."""
        (run,) = self.start_all(pipeline)
        return run

    def start_all(self, pipeline: str = NIGHTLY) -> list[RunId]:
        """Let a run of each variant of the pipeline be wanted."""
        order = StartOrder(pipeline=pipeline, trigger=Trigger.PERSON, by="ada")
        return [run.id for run in self.application.triggering.start(order)]

    def begin(
        self,
        name: str,
        *arguments: str,
        prefix: tuple[str, ...] = (),
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Let a process stay, under a name by which it is killed or asked to leave."""
        argv = [*prefix, sys.executable, "-m", "imagebuilder", *arguments]
        with (self.bench.folder / f"{name}.said").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**self.environment, **more},
                cwd=self.bench.folder,
                start_new_session=True,
            )

    def serve(self) -> None:
        """Let a process hand out runs; on a server, workers do them."""
        self.begin("control", "serve", *(["--control-only"] if self.is_server else []))

    def work(self, name: str = "worker", pool: str = POOL) -> None:
        self.begin(name, "worker", "--pool", pool)

    def is_leading(self) -> bool:
        """Whether the process hands out runs that is to; then its engine has its books, too."""
        mark = f"-{self.processes['control'].pid}-"
        return any(
            mark in lease.holder for lease in self.application.leases.leases(SCHEDULER_LEASE)
        )

    def is_staying(self, name: str) -> bool:
        """Whether a process has come so far that it does runs."""
        mark = f"-{self.processes[name].pid}-"
        return any(mark in lease.name for lease in self.application.leases.leases(EXECUTOR_PREFIX))

    def kill(self, *names: str) -> None:
        for name in names:
            self.processes[name].kill()
        for name in names:
            self.processes.pop(name).wait()

    def ended(self, name: str, seconds: float = 60.0) -> int:
        """Wait for a process to end and give its exit status."""
        try:
            status = self.processes[name].wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name} did not end in {seconds} s: {self.said(name)}")
        del self.processes[name]
        return status

    def said(self, name: str) -> str:
        return (self.bench.folder / f"{name}.said").read_text(errors="replace")[-4000:]

    def leave(self) -> None:
        """Let all processes end what they do and leave."""
        for name in self.processes:
            # One that is told earlier, while it begins, ends as any program does.
            wait_until(partial(self.is_staying, name), f"{name} to be there")
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for name in list(self.processes):
            assert self.ended(name) == 0, self.said(name)

    def end(self) -> None:
        """End whatever is there."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.application._database.close()

    def run(self, run_id: RunId) -> Run:
        return self.application.runs.get(run_id)

    def worker_of(self, run_id: RunId, stage: RunStage) -> str:
        """Give the name of the process that is, or was, at a stage."""
        of = self.stages(run_id)[stage].worker
        return next(name for name, process in self.processes.items() if f"-{process.pid}-" in of)

    def stages(self, run_id: RunId) -> dict[RunStage, StageRun]:
        return {stage.stage: stage for stage in self.application.runs.stages(run_id)}

    def succeeded(self, run_id: RunId) -> dict[RunStage, StageRun]:
        """Give the stages of a run that are done."""
        stages = self.stages(run_id).items()
        return {stage: row for stage, row in stages if row.state is StepState.SUCCEEDED}

    def is_begun(self, run_id: RunId, stage: RunStage) -> bool:
        found = self.stages(run_id).get(stage)
        return found is not None and found.state is StepState.RUNNING

    def wait_for(self, run_id: RunId, state: RunState, seconds: float = 90.0) -> Run:
        """Wait until a run stands so, and give it."""
        self.wait(lambda: self.run(run_id).state is state, f"{run_id} {state}", run_id, seconds)
        return self.run(run_id)

    def wait(
        self, is_so: Callable[[], bool], what: str, run_id: RunId, seconds: float = 60.0
    ) -> None:
        pause = threading.Event()
        for _ in range(round(seconds / _LOOK_SECONDS)):
            if is_so():
                return
            pause.wait(_LOOK_SECONDS)
        said = {name: self.said(name) for name in self.processes}
        rows = "\n".join(map(repr, self.stages(run_id).values()))
        pytest.fail(f"{what} did not come true:\n{self.run(run_id)}\n{rows}\n{said}")

    def wait_for_work(self, run_id: RunId, stage: RunStage) -> None:
        """Wait until a stage of a run is really at work, building or testing."""
        self.wait(
            lambda: self.is_begun(run_id, stage) and self.workings() != [],
            f"{stage} at work",
            run_id,
            60.0,
        )

    def workings(self) -> list[int]:
        """Give the processes of this plant that take their time inside of an image."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:1] == [b"sleep"] and words[1].endswith(f".{self._mark}".encode()):
                found.append(int(folder.name))
        return found

    def children(self) -> list[int]:
        """Give the processes that do stages."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if b"run-step" in words and str(self.home).encode() in environment:
                found.append(int(folder.name))
        return found

    @contextmanager
    def held(self, stage: RunStage) -> Iterator[Callable[[], bool]]:
        """Hold a stage in the middle of its writing; give what tells whether it is there yet.

        On a server, its table is locked by us. In a file, a trigger is in its way that has much to
        count, and meanwhile nobody else can write.
        """
        table = _WRITTEN[stage]
        with _locked(self.url, table) if self.is_server else _slowed(self.home, table) as is_there:
            yield is_there

    def forget_engine(self) -> None:
        """Take away what the engine kept on a server."""
        with psycopg.connect(_plain(self.url), autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())

    def is_at_rest(self) -> bool:
        """Whether nothing of a stage runs, is mounted or lies about, once runs were listed."""
        return (
            self.bench.run("run", "list").returncode == 0
            and traces(str(self.home)) == []
            and left_behind(self.home) == []
            and not any(str(self.home) in backing for backing in _loops())
        )

    def is_as_if_nothing_happened(self, run_id: RunId, **tries: int) -> None:
        """Let the processes go, and look at all that a run leaves when it goes well.

        Shape: `tries` maps a stage to how often it was tried when that was not once.
        """
        self.leave()
        wait_until(self.is_at_rest, "a clean machine", seconds=30)
        run, now = self.run(run_id), self.application.clock.now()
        assert run.order is not None
        assert {name: (row.state, row.attempt) for name, row in self.stages(run_id).items()} == {
            stage: (StepState.SUCCEEDED, tries.get(stage, 1))
            for stage in RunStage
            if stage is not RunStage.DISTRIBUTE
        }
        (version,) = self.application.versions.summaries()
        assert run.version_id == version.id
        moves = self.application.channels.moves(TINY, CANDIDATE, now)
        assert [move.new for move in moves] == ([version.id] if run.order.channel else [])
        decisions = self.application.pipelines.decisions(NIGHTLY, 10, run_id)
        assert len(decisions) == 1
        checked = self.bench.run("catalogue", "check", "--json")
        assert checked.returncode == 0, checked.stdout + checked.stderr


@dataclass(frozen=True)
class Worksite:
    """A plant, and a server that is its own."""

    plant: Plant
    server: Server


def _plain(url: str) -> str:
    """Give an address as the driver itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def _locked(url: str, table: str) -> Iterator[Callable[[], bool]]:
    plain = _plain(url)
    question = "SELECT count(*) > 0 FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
    with psycopg.connect(plain, autocommit=True) as other:

        def is_there() -> bool:
            (found,) = other.execute(question, [table]).fetchone() or (False,)
            return bool(found)

        with psycopg.connect(plain) as holder:
            holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            yield is_there


@contextmanager
def _slowed(home: Path, table: str) -> Iterator[Callable[[], bool]]:
    count = ", ".join(f"sqlite_schema AS s{n}" for n in range(6))
    body = f"SELECT count(*) FROM {count} WHERE s0.name > s1.name;"
    with closing(sqlite3.connect(home / "catalogue.db", timeout=60, isolation_level=None)) as own:
        own.execute(f"CREATE TRIGGER slow BEFORE INSERT ON {table} BEGIN {body} END")
        own.execute("PRAGMA busy_timeout = 500")

        def is_there() -> bool:
            """Whether somebody writes for so long as nothing but the trigger takes."""
            try:
                own.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            own.execute("ROLLBACK")
            return False

        yield is_there
        own.execute("PRAGMA busy_timeout = 60000")
        own.execute("DROP TRIGGER slow")


def _loops() -> list[str]:
    """Give the files behind this machine's loop devices."""
    return [path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")]


ON_FILE = pytest.mark.parametrize("plant", DATABASES[:1], indirect=True)
ON_SERVER = pytest.mark.parametrize("plant", DATABASES[1:], indirect=True)
ON_BOTH = pytest.mark.parametrize("plant", DATABASES, indirect=True)
"""What a test's plant is on."""
