"""Numbers of a catalogue, the same in SQLite and in PostgreSQL as by counting."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.measures import SqlMeasures
from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.run import RunStage, StageRun, StepState
from imagebuilder.ports.pipelines import KeptDecision
from tests.build import SOME_DAY, a_run, a_step, a_version
from tests.databases import DATABASES, FreshLocation

WEB, DB = ImageName("web"), ImageName("db")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Database]:
    with open_database(fresh_location(request.param)) as opened:
        yield opened


def test_newest_versions_then_are_those_recorded_last(database: Database) -> None:
    versions, measures = SqlVersionStore(database), SqlMeasures(database)
    for reference in ("web@2.0.0/1", "db@1.0.0/1", "web@1.0.0/1", "other@1.0.0/1"):
        versions.add(a_version(reference))

    newest = measures.newest_versions({WEB, DB, ImageName("none")})

    assert {image: seen.id for image, seen in newest.items()} == {
        WEB: "version-web-1.0.0-1",
        DB: "version-db-1.0.0-1",
    }
    assert newest[WEB].created_at == SOME_DAY
    before = measures.version_before(WEB, newest[WEB])
    assert before is not None
    assert before.id == "version-web-2.0.0-1"
    assert measures.version_before(WEB, before) is None
    assert measures.newest_versions(()) == {}


def test_last_moves_then_are_of_stages_and_steps(database: Database) -> None:
    runs, measures = SqlRunStore(database), SqlMeasures(database)
    for run_id in ("run-1", "run-2", "run-3", "run-4"):
        runs.save(a_run(run_id))
    later = [SOME_DAY + timedelta(seconds=seconds) for seconds in range(4)]
    runs.save_step(RunId("run-1"), a_step(1, started_at=later[2]))
    runs.save_step(RunId("run-1"), a_step(2, started_at=later[1]))
    built = StageRun(
        stage=RunStage.BUILD, state=StepState.SUCCEEDED, started_at=later[0], ended_at=later[3]
    )
    runs.save_stage(RunId("run-1"), built)
    begun = StageRun(stage=RunStage.BUILD, state=StepState.RUNNING, started_at=later[1])
    runs.save_stage(RunId("run-2"), begun)
    runs.save_step(RunId("run-4"), a_step())

    moves = measures.last_moves([RunId("run-1"), RunId("run-2"), RunId("run-3")])

    assert moves == {"run-1": later[3], "run-2": later[1]}


def test_step_states_then_are_counted_over_the_runs(database: Database) -> None:
    runs, measures = SqlRunStore(database), SqlMeasures(database)
    for run_id in ("run-1", "run-2", "run-3"):
        runs.save(a_run(run_id))
        runs.save_step(RunId(run_id), a_step(1, state=StepState.CACHED))
    runs.save_step(RunId("run-1"), a_step(2, state=StepState.FAILED))

    states = measures.step_states([RunId("run-1"), RunId("run-2")])

    assert states == {StepState.CACHED: 2, StepState.FAILED: 1}
    assert measures.step_states([]) == {}


def test_decisions_after_then_counts_those_kept_since(database: Database) -> None:
    pipelines, measures = SqlPipelineStore(database), SqlMeasures(database)

    def decide(run_id: str, verdict: str) -> None:
        pipelines.add_decision(
            KeptDecision(
                pipeline=PipelineName("web"),
                variant="",
                at=SOME_DAY,
                slot_at=None,
                run_id=RunId(run_id),
                verdict=verdict,
                document={},
            )
        )

    assert measures.last_decision() == 0
    assert measures.decisions_after(0) == ({}, 0)
    decide("run-1", "skip")
    last = measures.last_decision()
    for run_id, verdict in (("run-2", "skip"), ("run-3", "build"), ("run-4", "skip")):
        decide(run_id, verdict)

    counts, newest = measures.decisions_after(last)

    assert counts == {"skip": 2, "build": 1}
    assert newest == measures.last_decision() > last
    assert measures.decisions_after(newest) == ({}, newest)
