"""What every RunStore keeps of runs that pipelines ordered: in memory, in SQLite, in PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ChannelName, PipelineName, RunId
from imagebuilder.domain.pipeline import StartCondition, Trigger
from imagebuilder.domain.run import (
    Approval,
    Run,
    RunOrder,
    RunState,
    UnfinishedRun,
    Verdict,
)
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.runs import RunStore
from tests.build import SOME_DAY, a_run
from tests.databases import DATABASES, FreshLocation
from tests.fakes.runs import FakeRunStore

ASKING = 4
SLOTS = 20


@pytest.fixture(params=["fake", *DATABASES])
def runs(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[RunStore]:
    if request.param == "fake":
        yield FakeRunStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlRunStore(database)


def ordered(run_id: str = "run-1", **more: Any) -> Run:
    """Give a queued run of the pipeline nightly, due on some day."""
    values: dict[str, Any] = {
        "pipeline": PipelineName("nightly"),
        "recipe_path": "web.yaml",
        "trigger": Trigger.SCHEDULE,
        "slot_at": SOME_DAY,
    }
    order = RunOrder(**values | {name: more.pop(name) for name in list(more) if name in ORDER})
    return a_run(run_id, **{"state": RunState.QUEUED, "order": order, "queued_at": SOME_DAY} | more)


ORDER = frozenset(RunOrder.__dataclass_fields__)


def an_approval(run_id: str = "run-1", verdict: Verdict = Verdict.APPROVED) -> Approval:
    return Approval(run_id=RunId(run_id), verdict=verdict, at=SOME_DAY, actor="eva", why="fine")


def test_run_when_ordered_then_comes_back_with_its_order(runs: RunStore) -> None:
    run = ordered(
        why="due. ü",
        variant="arm64",
        not_before_at=SOME_DAY + timedelta(seconds=7),
        overrides={"nginx.port": "80"},
        starts=StartCondition.ALWAYS,
        is_security_only=True,
        is_forced=True,
        max_age_seconds=86_400,
        priority=3,
        pool="build.arm64",
        channel=ChannelName("candidate"),
        needs_approval=True,
        gates=AssuranceGate(fail_on=Severity.HIGH, min_coverage=0.6, tests=("booted",)),
        time_limit_seconds=600,
        attempts=2,
    )

    assert runs.add(run)
    assert runs.get("run-1") == run


def test_add_when_its_slot_has_a_run_then_keeps_nothing(runs: RunStore) -> None:
    first = ordered("run-1")
    runs.add(first)

    assert not runs.add(ordered("run-2"))
    assert not runs.add(replace(ordered("run-1"), attempt=7))
    assert runs.newest(10) == [first]


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "arm64"},
        {"pipeline": PipelineName("weekly")},
        {"slot_at": SOME_DAY + timedelta(microseconds=1)},
        {"slot_at": None},
    ],
    ids=["variant", "pipeline", "moment", "no slot"],
)
def test_add_when_it_is_of_another_slot_then_keeps_it(
    runs: RunStore, other: dict[str, Any]
) -> None:
    runs.add(ordered("run-1"))

    assert runs.add(ordered("run-2", **other))
    assert runs.add(ordered("run-3", slot_at=None))


def test_add_all_when_some_slots_have_runs_then_gives_those_that_are_kept_now(
    runs: RunStore,
) -> None:
    runs.add(ordered("run-2", slot_at=SOME_DAY + timedelta(hours=2)))
    wanted = [ordered(f"new-{n}", slot_at=SOME_DAY + timedelta(hours=n)) for n in range(1, 4)]

    kept = runs.add_all(wanted)

    assert [run.id for run in kept] == ["new-1", "new-3"]
    assert sorted(run.id for run in runs.newest(10)) == ["new-1", "new-3", "run-2"]
    assert runs.add_all([]) == []


def test_move_when_it_is_in_another_state_then_nothing_is_done(runs: RunStore) -> None:
    runs.add(ordered())
    running = ordered(state=RunState.RUNNING)

    assert runs.move(running, {RunState.QUEUED})
    assert not runs.move(ordered(state=RunState.CANCELLED, ended_at=SOME_DAY), {RunState.QUEUED})
    assert runs.get("run-1") == running


def test_cancel_when_asked_by_two_then_the_first_stays_and_saving_does_not_undo_it(
    runs: RunStore,
) -> None:
    runs.add(ordered())

    assert runs.cancel(RunId("run-1"), "eva")
    assert not runs.cancel(RunId("run-1"), "ann")
    runs.save(ordered(state=RunState.RUNNING))
    assert runs.get("run-1").cancelled_by == "eva"


def test_cancel_when_it_is_over_then_is_refused(runs: RunStore) -> None:
    runs.add(ordered(state=RunState.FAILED, ended_at=SOME_DAY))

    assert not runs.cancel(RunId("run-1"), "eva")
    assert not runs.cancel(RunId("run-2"), "eva")


def test_settle_when_somebody_did_then_the_first_word_stays(runs: RunStore) -> None:
    runs.add(ordered())

    assert runs.settle(an_approval())
    assert not runs.settle(an_approval(verdict=Verdict.REJECTED))
    assert runs.approval(RunId("run-1")) == an_approval()


def test_unfinished_then_gives_runs_of_pipelines_that_are_not_over(runs: RunStore) -> None:
    runs.save(a_run("of-nobody", state=RunState.QUEUED))
    for number, state in enumerate(RunState):
        hour = SOME_DAY + timedelta(hours=number)
        ended_at = SOME_DAY if state.is_final else None
        runs.add(ordered(state.value, state=state, slot_at=hour, ended_at=ended_at))
    runs.cancel(RunId(RunState.QUEUED), "eva")

    found = sorted(runs.unfinished(), key=lambda run: run.id)

    assert found == [
        UnfinishedRun(id=RunId("awaiting-approval"), state=RunState.AWAITING_APPROVAL, attempt=1),
        UnfinishedRun(id=RunId("queued"), state=RunState.QUEUED, attempt=1, is_cancelled=True),
        UnfinishedRun(id=RunId("running"), state=RunState.RUNNING, attempt=1),
    ]


def test_those_when_some_are_not_there_then_gives_the_others_by_id(runs: RunStore) -> None:
    for run_id in ("run-2", "run-1", "run-3"):
        runs.save(a_run(run_id))

    found = runs.those([RunId("run-3"), RunId("run-9"), RunId("run-1")])

    assert [run.id for run in found] == ["run-1", "run-3"]
    assert runs.those([]) == []


@pytest.mark.parametrize("kind", DATABASES)
def test_add_all_when_many_do_at_once_then_each_slot_has_one_run(
    kind: str, fresh_location: FreshLocation
) -> None:
    location, barrier = fresh_location(kind), Barrier(ASKING)
    with ExitStack() as opened:
        stores = [SqlRunStore(opened.enter_context(open_database(location))) for _ in range(ASKING)]

        def add(number: int) -> list[object]:
            wanted = [
                ordered(f"run-{number}-{slot}", slot_at=SOME_DAY + timedelta(minutes=slot))
                for slot in range(SLOTS)
            ]
            barrier.wait(timeout=30)
            return [run.order and run.order.slot_at for run in stores[number].add_all(wanted)]

        with ThreadPoolExecutor(ASKING) as threads:
            told = [slot for slots in threads.map(add, range(ASKING)) for slot in slots]

        assert len(told) == len(set(told)) == SLOTS
        assert len(stores[0].newest(1000)) == SLOTS
