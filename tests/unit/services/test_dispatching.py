from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.domain.run import Run, RunOrder, RunStage, RunState, StageRun, StepState
from imagebuilder.services.dispatching import DispatchDesk, Dispatching
from tests.build import SOME_DAY, a_run
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeRunEngine
from tests.fakes.leases import FakeLeaseStore
from tests.fakes.notices import FakeTeller
from tests.fakes.runs import FakeRunStore
from tests.fakes.transactions import FakeTransactions


class CountingRuns(FakeRunStore):
    """Runs that know how often they were read in full."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def those(self, ids: Any) -> Any:
        self.reads += 1
        return super().those(ids)


class Depot:
    """Dispatching on fakes."""

    def __init__(self) -> None:
        self.runs, self.clock, self.engine = CountingRuns(), FakeClock(SOME_DAY), FakeRunEngine()
        self.teller = FakeTeller()
        self.leases = FakeLeaseStore(self.clock)
        desk = DispatchDesk(
            runs=self.runs,
            leases=self.leases,
            transactions=FakeTransactions(),
            clock=self.clock,
            teller=self.teller,
        )
        self.dispatching = Dispatching(desk, self.engine)

    def add(self, run_id: str, state: RunState = RunState.QUEUED, **more: Any) -> Run:
        order = RunOrder(
            **{
                "pipeline": PipelineName("nightly"),
                "recipe_path": "web.yaml",
                "trigger": Trigger.PERSON,
                "pool": "build.amd64",
            }
            | more
        )
        run = a_run(run_id, state=state, order=order, queued_at=self.clock.now())
        assert self.runs.add(run)
        return run

    def handed(self) -> list[str]:
        """Give what a tick hands over."""
        before = len(self.engine.orders)
        self.dispatching.tick()
        return [order.run_id for order in self.engine.orders[before:]]


@pytest.fixture
def depot() -> Depot:
    return Depot()


def test_tick_when_runs_wait_then_they_are_handed_over_once(depot: Depot) -> None:
    depot.add("run-1", variant="arm64", pool="build.arm64", priority=10)
    depot.add("run-2", RunState.AWAITING_APPROVAL)

    assert depot.handed() == ["run-1"]
    assert depot.handed() == []
    [order] = depot.engine.orders
    assert (order.attempt, order.pool, order.priority) == (1, "build.arm64", 91)
    assert order.exclusion == "nightly/arm64"


def test_tick_when_nothing_waits_then_asks_no_more_than_once(depot: Depot) -> None:
    depot.add("run-1", RunState.AWAITING_APPROVAL)
    depot.handed()

    assert depot.runs.reads == 0
    assert depot.engine.calls == []


def test_tick_when_priorities_differ_then_the_higher_goes_first_and_then_the_older(
    depot: Depot,
) -> None:
    depot.add("run-b", priority=0)
    depot.clock.advance(1)
    depot.add("run-a", priority=0)
    depot.add("run-c", priority=100)
    depot.add("run-d", priority=-100)

    assert depot.handed() == ["run-c", "run-b", "run-a", "run-d"]
    assert [order.priority for order in depot.engine.orders] == [1, 101, 101, 201]


def test_tick_when_its_moment_has_not_come_then_the_run_waits_and_is_not_read_again(
    depot: Depot,
) -> None:
    depot.add("run-1", not_before_at=SOME_DAY + timedelta(seconds=90))

    assert [depot.handed(), depot.handed()] == [[], []]
    assert depot.runs.reads == 1
    depot.clock.advance(90)
    assert depot.handed() == ["run-1"]


def test_tick_when_a_run_still_waits_after_a_while_then_it_is_handed_over_again(
    depot: Depot,
) -> None:
    depot.add("run-1")
    depot.handed()

    depot.clock.advance(59)
    assert depot.handed() == []
    depot.clock.advance(1)
    assert depot.handed() == ["run-1"]


def test_tick_when_a_run_begins_again_then_its_next_attempt_is_handed_over(depot: Depot) -> None:
    run = depot.add("run-1")
    depot.handed()
    depot.runs.save(replace(run, state=RunState.RUNNING))
    depot.handed()
    depot.runs.save(replace(run, attempt=2))

    assert depot.handed() == ["run-1"]
    assert [order.attempt for order in depot.engine.orders] == [1, 2]


def test_tick_when_the_engine_is_away_then_what_it_did_not_get_goes_next_time(
    depot: Depot,
) -> None:
    depot.add("run-1")
    depot.engine.trouble = Unavailable("The engine is away.")

    with pytest.raises(Unavailable):
        depot.dispatching.tick()

    depot.engine.trouble = None
    assert depot.handed() == ["run-1"]


def test_tick_when_many_wait_then_they_go_in_batches(depot: Depot) -> None:
    for number in range(250):
        depot.add(f"run-{number:03d}")

    assert len(depot.handed()) == 250
    assert [len(call) for call in depot.engine.calls] == [100, 100, 50]


def test_forget_then_all_that_waits_is_handed_over_again(depot: Depot) -> None:
    depot.add("run-1")
    depot.handed()

    depot.dispatching.forget()

    assert depot.handed() == ["run-1"]


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.AWAITING_APPROVAL], ids=str)
def test_tick_when_a_run_that_waits_was_cancelled_then_it_is_over(
    depot: Depot, state: RunState
) -> None:
    depot.add("run-1", state)
    depot.runs.cancel(RunId("run-1"), "eva")

    assert depot.handed() == []
    run = depot.runs.get("run-1")
    assert (run.state, run.ended_at) == (RunState.CANCELLED, SOME_DAY)
    assert (run.error, run.cancelled_by) == ("Cancelled by eva.", "eva")
    assert depot.teller.told == [("run-1", RunState.CANCELLED)]


def test_tick_when_a_run_is_recorded_as_running_then_an_engine_that_lost_it_has_it_again(
    depot: Depot,
) -> None:
    depot.add("run-1", RunState.RUNNING)

    assert [depot.handed(), depot.handed()] == [["run-1"], []]


def a_stage(state: StepState, worker: str = "worker-1") -> StageRun:
    return StageRun(stage=RunStage.BUILD, state=state, started_at=SOME_DAY, worker=worker)


def test_tick_when_a_run_at_work_was_cancelled_then_it_is_left_to_who_works_on_it(
    depot: Depot,
) -> None:
    depot.add("run-1", RunState.RUNNING)
    depot.runs.save_stage(RunId("run-1"), a_stage(StepState.RUNNING))
    depot.leases.take("executor/worker-1", "worker-1", 10.0, {})
    depot.runs.cancel(RunId("run-1"), "eva")

    assert depot.handed() == []
    assert depot.runs.get("run-1").state is RunState.RUNNING
    assert (depot.teller.told, depot.engine.dropped) == ([], [])


@pytest.mark.parametrize(
    ("state", "worker"),
    [
        pytest.param(StepState.SUCCEEDED, "worker-1", id="waits for a slot"),
        pytest.param(StepState.FAILED, "worker-1", id="waits for its next try"),
        pytest.param(StepState.RUNNING, "worker-9", id="whoever did it is dead"),
    ],
)
def test_tick_when_no_stage_of_a_cancelled_run_is_at_work_then_it_is_over(
    depot: Depot, state: StepState, worker: str
) -> None:
    depot.add("run-1", RunState.RUNNING)
    depot.runs.save_stage(RunId("run-1"), a_stage(state, worker))
    depot.leases.take("executor/worker-1", "worker-1", 10.0, {})
    depot.runs.cancel(RunId("run-1"), "eva")

    assert depot.handed() == []
    assert depot.runs.get("run-1").state is RunState.CANCELLED
    assert depot.teller.told == [("run-1", RunState.CANCELLED)]
    assert depot.engine.dropped == [("run-1", 1)]
