"""Runs by DBOS, in a file and on a server: each stage once, in order, one of a kind at a time."""

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagebuilder.adapters.dbos.heart import HeartRate
from imagebuilder.adapters.dbos.room import DbosRoom, Process, RoomPlan
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.locks import FileLocks
from imagebuilder.adapters.system.presence import ProcessPresence
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunInterrupted, RunStage
from imagebuilder.ports.engine import Duty, EngineOrder, GoOn, RunEngine, StageEnd
from imagebuilder.ports.locks import InProgress
from tests.databases import DATABASES, FreshLocation
from tests.fakes.engine import FakeRunWork
from tests.fakes.leases import FakeLeaseStore
from tests.roots import wait_until

# A process that ends leaves coroutines that nobody waits for; here it goes on as the next one.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

Log = list[tuple[str, RunStage]]
ALL = list(RunStage)[:-1]


class FakeWork(FakeRunWork):
    """Work whose end a test can wait for."""

    def wait_for(self, *runs: str) -> None:
        wait_until(lambda: all(ALL[-1] in self.of(run) for run in runs), f"the end of {runs}")


@dataclass
class House:
    """Where an engine runs, as often as a test wants it to."""

    url: str
    folder: Path
    presence: ProcessPresence = field(default_factory=ProcessPresence)
    leases: FakeLeaseStore = field(default_factory=lambda: FakeLeaseStore(SystemClock()))

    def running(
        self, work: FakeWork, duty: Duty | None = None, worker: str = "worker-1"
    ) -> AbstractContextManager[RunEngine]:
        self.presence = ProcessPresence()
        plan = RoomPlan(
            catalogue_url=self.url,
            file=self.folder / "engine.db",
            worker=worker,
            rate=HeartRate(ttl_seconds=1.0, beat_seconds=0.2),
            poll_seconds=0.1,
        )
        process = Process(presence=self.presence, on_loss=self.presence.lose)
        locks = FileLocks(self.folder / "locks")
        room = DbosRoom(plan, self.leases, locks, SystemClock(), process)
        return room.running(duty or Duty(controls=True, pools={"build.amd64": 2}), work)


@pytest.fixture(params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path: Path, fresh_location: FreshLocation) -> House:
    return House(url=str(fresh_location(request.param)), folder=tmp_path)


def an_order(run: str, **more: object) -> EngineOrder:
    values: dict[str, object] = {
        "run_id": RunId(run),
        "attempt": 1,
        "pool": "build.amd64",
        "priority": 1,
        "exclusion": run,
    }
    return EngineOrder(**(values | more))  # type: ignore[arg-type]


def test_run_when_handed_over_then_its_stages_are_done_in_order(house: House) -> None:
    work = FakeWork()

    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        work.wait_for("run-1")

    assert work.of("run-1") == ALL


def test_run_when_handed_over_twice_then_it_is_done_once(house: House) -> None:
    work = FakeWork()

    with house.running(work) as engine:
        engine.hand_over([an_order("run-1"), an_order("run-1")])
        engine.hand_over([an_order("run-1"), an_order("run-2")])
        work.wait_for("run-1", "run-2")

    assert work.of("run-1") == ALL


def test_run_when_its_next_attempt_is_handed_over_then_it_is_asked_for_again(house: House) -> None:
    work = FakeWork()

    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        work.wait_for("run-1")
        engine.hand_over([an_order("run-1", attempt=2)])
        wait_until(lambda: work.of("run-1") == ALL * 2, "the second attempt")


def test_run_when_a_stage_ends_it_then_the_others_are_not_done(house: House) -> None:
    work = FakeWork(
        act=lambda run, stage: (
            StageEnd(go_on=GoOn.OVER) if (run, stage) == ("run-1", RunStage.RESOLVE) else None
        )
    )

    with house.running(work) as engine:
        engine.hand_over([an_order("run-1"), an_order("run-2")])
        work.wait_for("run-2")

    assert work.of("run-1") == [RunStage.RESOLVE]


def test_run_when_it_is_to_be_distributed_then_that_is_the_last_stage(house: House) -> None:
    def act(_run: str, stage: RunStage) -> StageEnd | None:
        return StageEnd(go_on=GoOn.NEXT) if stage is RunStage.PROMOTE else None

    work = FakeWork(act=act)
    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        wait_until(lambda: work.of("run-1") == list(RunStage), "all stages")


def test_stage_when_it_is_to_be_done_again_then_it_is_after_a_wait(house: House) -> None:
    tries: list[RunStage] = []

    def act(_run: str, stage: RunStage) -> StageEnd | None:
        tries.append(stage)
        if stage is RunStage.BUILD and tries.count(stage) < 3:
            return StageEnd(go_on=GoOn.AGAIN, wait_seconds=0.01)
        return None

    work = FakeWork(act=act)
    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        work.wait_for("run-1")

    assert work.of("run-1").count(RunStage.BUILD) == 3


def test_runs_when_they_exclude_each_other_then_one_is_at_work_at_a_time(house: House) -> None:
    at_work: set[str] = set()
    most: list[int] = []

    def act(run: str, stage: RunStage) -> StageEnd | None:
        at_work.add(run)
        most.append(len(at_work))
        if stage is ALL[-1]:
            at_work.remove(run)
        return None

    work = FakeWork(act=act)
    with house.running(work) as engine:
        engine.hand_over([an_order(f"run-{n}", exclusion="nightly/") for n in range(3)])
        work.wait_for("run-0", "run-1", "run-2")

    assert max(most) == 1


def test_pool_when_its_slots_are_taken_then_others_wait(house: House) -> None:
    lock, at_work, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2, timeout=30)

    def act(_run: str, stage: RunStage) -> StageEnd | None:
        if stage is RunStage.BUILD:
            with lock:
                at_work[0] += 1
                most[0] = max(most[0], at_work[0])
            both.wait()
            with lock:
                at_work[0] -= 1
        return None

    work = FakeWork(act=act)
    with house.running(work) as engine:
        engine.hand_over([an_order(f"run-{n}") for n in range(4)])
        work.wait_for(*(f"run-{n}" for n in range(4)))

    assert most == [2]


def test_run_when_its_process_ends_in_a_stage_then_the_next_one_goes_on_there(
    house: House,
) -> None:
    begun, end = threading.Event(), threading.Event()

    def act(_run: str, stage: RunStage) -> StageEnd | None:
        if stage is RunStage.VALIDATE:
            begun.set()
            assert end.wait(30)
            raise RunInterrupted
        return None

    with house.running(FakeWork(act=act)) as engine:
        engine.hand_over([an_order("run-1")])
        assert begun.wait(30)
        house.presence.end()
        end.set()

    second = FakeWork()
    with house.running(second, worker="worker-2"):
        second.wait_for("run-1")

    assert second.of("run-1") == [RunStage.VALIDATE, RunStage.RECORD, RunStage.PROMOTE]


def test_process_when_it_leaves_then_the_stage_under_way_is_done_and_no_other_begun(
    house: House,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def act(_run: str, stage: RunStage) -> StageEnd | None:
        if stage is RunStage.BUILD:
            begun.set()
            assert go_on.wait(30)
        return None

    first = FakeWork(act=act)
    with house.running(first) as engine:
        engine.hand_over([an_order("run-1")])
        assert begun.wait(30)
        house.presence.leave()
        go_on.set()

    second = FakeWork()
    with house.running(second, worker="worker-2"):
        second.wait_for("run-1")

    assert first.of("run-1") == [RunStage.RESOLVE, RunStage.BUILD]
    assert second.of("run-1")[-1] is RunStage.PROMOTE
    assert RunStage.RESOLVE not in second.of("run-1")


def test_record_when_it_cannot_be_read_then_the_stage_is_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagebuilder.adapters.dbos.workflows._AWAY_SECONDS", 0.01)
    trouble = iter([True, True])

    def act(_run: str, _stage: RunStage) -> StageEnd | None:
        if next(trouble, False):
            raise Unavailable("The catalogue is away.")
        return None

    work = FakeWork(act=act)
    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        work.wait_for("run-1")

    assert work.of("run-1").count(RunStage.RESOLVE) == 3


def test_run_when_dropped_while_its_pool_has_nobody_then_the_next_of_its_kind_begins(
    house: House,
) -> None:
    work = FakeWork()

    with house.running(work) as engine:
        engine.hand_over([an_order("run-1", pool="build.none", exclusion="nightly/")])
        wait_until(lambda: RunStage.RESOLVE in work.of("run-1"), "the first")
        engine.hand_over([an_order("run-2", exclusion="nightly/")])
        engine.drop([(RunId("run-1"), 1)])
        work.wait_for("run-2")

    assert work.of("run-1") == [RunStage.RESOLVE]
    assert work.given_up == []


@pytest.mark.parametrize("stage", [RunStage.RESOLVE, RunStage.BUILD], ids=str)
def test_run_when_a_stage_cannot_even_be_recorded_then_it_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch, stage: RunStage
) -> None:
    monkeypatch.setattr("imagebuilder.adapters.dbos.workflows._AWAY_SECONDS", 0.01)

    def act(_run: str, asked: RunStage) -> StageEnd | None:
        if asked is stage:
            raise ValueError("The record is damaged.")
        return None

    work = FakeWork(act=act, away_when_given_up=2)
    with house.running(work) as engine:
        engine.hand_over([an_order("run-1")])
        wait_until(lambda: work.given_up == ["run-1"], "its being given up")

    assert work.of("run-1")[-1] is stage


def test_file_when_one_process_works_with_it_then_another_is_refused(tmp_path: Path) -> None:
    house = House(url=str(tmp_path / "catalogue.db"), folder=tmp_path)

    with (
        FileLocks(tmp_path / "locks").hold("engine", "process 1"),
        pytest.raises(InProgress),
        house.running(FakeWork()),
    ):
        pass
