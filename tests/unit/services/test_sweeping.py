"""Runs whose process is gone."""

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunState
from imagebuilder.services.sweeping import Here, Sweeping, run_lock
from tests.build import a_run
from tests.fakes.clock import FakeClock
from tests.fakes.locks import FakeLocks
from tests.fakes.runs import FakeRunStore

HERE = Here(place="here", clear=lambda: None)


def test_sweep_when_a_runs_process_is_gone_then_it_is_interrupted() -> None:
    runs, locks, clock = FakeRunStore(), FakeLocks(), FakeClock()
    runs.save(a_run("lost"))
    runs.save(a_run("alive"))
    with locks.hold(run_lock(RunId("alive")), "process 1"):
        swept = Sweeping(runs, locks, clock, HERE).sweep()
    assert [run.id for run in swept] == ["lost"]
    assert runs.get("lost") == swept[0]
    assert (swept[0].state, swept[0].ended_at) == (RunState.INTERRUPTED, clock.now())
    assert runs.get("alive").state is RunState.RUNNING


def test_sweep_when_runs_have_ended_then_they_stay_as_they_are() -> None:
    runs = FakeRunStore()
    for state in set(RunState) - {RunState.RUNNING}:
        runs.save(a_run(state, state=state))
    before = dict(runs.runs)
    assert Sweeping(runs, FakeLocks(), FakeClock(), HERE).sweep() == ()
    assert runs.runs == before


def test_sweep_when_a_run_ends_while_it_is_looked_at_then_its_end_is_kept() -> None:
    runs = FakeRunStore()
    runs.save(a_run("ending"))

    class EndingLocks(FakeLocks):
        def is_held(self, name: str) -> bool:
            runs.save(a_run("ending", state=RunState.SUCCEEDED))
            return False

    assert Sweeping(runs, EndingLocks(), FakeClock(), HERE).sweep() == ()
    assert runs.get("ending").state is RunState.SUCCEEDED


def test_sweep_when_no_run_is_to_be_mended_then_dead_work_is_taken_away_all_the_same() -> None:
    cleared: list[bool] = []
    sweeping = Sweeping(
        FakeRunStore(),
        FakeLocks(),
        FakeClock(),
        Here(place="here", clear=lambda: cleared.append(True)),
    )
    sweeping.sweep()
    assert cleared == [True]


def test_sweep_when_dead_work_is_taken_away_then_its_run_is_already_said_to_be_over() -> None:
    runs, seen = FakeRunStore(), []
    runs.save(a_run("lost"))
    here = Here(place="here", clear=lambda: seen.append(runs.get("lost").state))
    Sweeping(runs, FakeLocks(), FakeClock(), here).sweep()
    assert seen == [RunState.INTERRUPTED]


def test_sweep_when_a_run_is_of_another_place_then_it_is_left_to_those_who_see_its_locks() -> None:
    runs = FakeRunStore()
    for place in ("", "here", "there"):
        runs.save(a_run(f"run-{place}", place=place))

    swept = Sweeping(runs, FakeLocks(), FakeClock(), HERE).sweep()

    assert {run.id for run in swept} == {"run-", "run-here"}
    assert runs.get("run-there").state is RunState.RUNNING
