"""What every RunStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from imagebuilder.ports.runs import RunNotFound, RunStore
from tests.build import SOME_DAY, a_run, a_step, an_order
from tests.databases import DATABASES, FreshLocation
from tests.fakes.runs import FakeRunStore


@pytest.fixture(params=["fake", *DATABASES])
def runs(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[RunStore]:
    if request.param == "fake":
        yield FakeRunStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlRunStore(database)


def test_run_when_saved_then_comes_back_as_it_was(runs: RunStore) -> None:
    run = a_run(
        state=RunState.FAILED,
        ended_at=SOME_DAY + timedelta(seconds=90),
        version_id=VersionId("version-1"),
        error_code="boot-failed",
        error="It did not come up. ü",
        place="builder:/srv/images",
    )

    runs.save(run)

    assert runs.get("run-1") == run


def test_run_when_saved_again_then_only_the_later_state_is_kept(runs: RunStore) -> None:
    first = a_run()
    runs.save(first)
    later = replace(first, state=RunState.SUCCEEDED, ended_at=SOME_DAY)

    runs.save(later)
    runs.save(later)

    assert runs.newest(10) == [later]


def test_save_when_steps_are_kept_then_they_stay(runs: RunStore) -> None:
    runs.save(a_run())
    runs.save_step(RunId("run-1"), a_step())

    runs.save(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY))

    assert runs.steps(RunId("run-1")) == [a_step()]


def test_step_when_saved_again_then_replaces_that_number_only(runs: RunStore) -> None:
    runs.save(a_run())
    runs.save(a_run("run-2"))
    done = a_step(10, state=StepState.SUCCEEDED, seconds=2.25, detail="3 packages")
    runs.save_step(RunId("run-1"), a_step(10))
    runs.save_step(RunId("run-1"), a_step(9))
    runs.save_step(RunId("run-2"), a_step(10))

    runs.save_step(RunId("run-1"), done)

    assert runs.steps(RunId("run-1")) == [a_step(9), done]
    assert runs.steps(RunId("run-2")) == [a_step(10)]


def test_save_step_when_run_is_unknown_then_is_refused(runs: RunStore) -> None:
    with pytest.raises(RunNotFound):
        runs.save_step(RunId("run-9"), a_step())

    assert runs.steps(RunId("run-9")) == []


def test_get_when_start_is_unique_then_gives_that_run(runs: RunStore) -> None:
    runs.save(a_run("run-aB1"))
    runs.save(a_run("run-ab2"))

    assert runs.get("run-aB").id == "run-aB1"


def test_get_when_whole_id_starts_others_then_gives_the_whole_one(runs: RunStore) -> None:
    for run_id in ("run-10", "run-1", "run-11"):
        runs.save(a_run(run_id))

    assert runs.get("run-1").id == "run-1"


def test_get_when_several_match_then_names_them(runs: RunStore) -> None:
    runs.save(a_run("run-1"))
    runs.save(a_run("run-2"))

    with pytest.raises(RunNotFound, match="Several") as caught:
        runs.get("run-")

    assert caught.value.context == "run-1, run-2"


@pytest.mark.parametrize("asked", ["run-2", "run-%", "run_1", "RUN-1"])
def test_get_when_none_matches_then_says_so(runs: RunStore, asked: str) -> None:
    runs.save(a_run("run-1"))

    with pytest.raises(RunNotFound, match="There is no run"):
        runs.get(asked)


def test_newest_when_there_are_more_then_gives_the_last_started_first(runs: RunStore) -> None:
    for number in (2, 3, 1):
        runs.save(a_run(f"run-{number}", started_at=SOME_DAY + timedelta(seconds=number)))
    runs.save(a_run("run-4", started_at=SOME_DAY + timedelta(seconds=3)))

    assert [run.id for run in runs.newest(3)] == ["run-4", "run-3", "run-2"]


def test_newest_when_image_is_named_then_gives_its_own(runs: RunStore) -> None:
    runs.save(a_run("run-1"))
    runs.save(a_run("run-2", image=ImageName("other")))

    assert [run.id for run in runs.newest(5, ImageName("other"))] == ["run-2"]


def test_running_when_some_have_ended_then_gives_the_others_oldest_first(runs: RunStore) -> None:
    runs.save(a_run("run-1", started_at=SOME_DAY + timedelta(hours=1)))
    runs.save(a_run("run-2", state=RunState.UNCHANGED, ended_at=SOME_DAY))
    runs.save(a_run("run-3", started_at=SOME_DAY))

    assert [run.id for run in runs.running()] == ["run-3", "run-1"]


def test_requeue_when_the_run_stands_as_given_then_its_canceller_is_forgotten(
    runs: RunStore,
) -> None:
    runs.save(a_run(order=an_order()))
    assert runs.cancel(RunId("run-1"), "eva")
    runs.save(a_run(state=RunState.CANCELLED, ended_at=SOME_DAY, order=an_order()))
    again = a_run(state=RunState.QUEUED, order=an_order(), attempt=2, queued_at=SOME_DAY)

    assert runs.requeue(again, [RunState.CANCELLED, RunState.FAILED])

    assert runs.get("run-1") == again
    assert runs.cancel(RunId("run-1"), "max")


def test_requeue_when_the_run_stands_otherwise_then_nothing_is_done(runs: RunStore) -> None:
    runs.save(a_run(order=an_order()))
    runs.cancel(RunId("run-1"), "eva")

    assert not runs.requeue(a_run(state=RunState.QUEUED), [RunState.CANCELLED])

    assert runs.get("run-1") == a_run(order=an_order(), cancelled_by="eva")
    assert not runs.requeue(a_run("run-2"), [RunState.CANCELLED])


def test_forget_stages_then_only_those_of_that_run_count_as_never_begun(runs: RunStore) -> None:
    done = [
        StageRun(stage=stage, state=StepState.SUCCEEDED, started_at=SOME_DAY, result={"is": 1})
        for stage in (RunStage.RESOLVE, RunStage.BUILD, RunStage.VALIDATE)
    ]
    for run_id in ("run-1", "run-2"):
        runs.save(a_run(run_id, order=an_order()))
        for stage in done:
            runs.save_stage(RunId(run_id), stage)

    runs.forget_stages(RunId("run-1"), (RunStage.BUILD, RunStage.VALIDATE, RunStage.RECORD))

    assert runs.stages(RunId("run-1")) == done[:1]
    assert runs.stages(RunId("run-2")) == done
    again = replace(done[1], state=StepState.RUNNING, result=None)
    assert runs.save_stage(RunId("run-1"), again) == again
