"""What is kept of runs is logged, with the ids that belong to it."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from tests.build import SOME_DAY, a_run, an_order
from tests.databases import FreshLocation

RUN = RunId("run-1")


@pytest.fixture
def runs(fresh_location: FreshLocation) -> Iterator[SqlRunStore]:
    with open_database(fresh_location("sqlite")) as database:
        yield SqlRunStore(database)


def told(caplog: pytest.LogCaptureFixture, *names: str) -> list[tuple[Any, ...]]:
    records = [record for record in caplog.records if record.name == "imagebuilder.runs"]
    return [tuple(getattr(record, name, None) for name in names) for record in records]


def test_run_when_it_moves_then_is_told_once_for_each_state(
    runs: SqlRunStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    queued = a_run(state=RunState.QUEUED, order=an_order(variant="small"))
    assert runs.add(queued)
    assert not runs.add(queued)
    running = a_run(order=an_order(variant="small"))
    assert runs.move(running, [RunState.QUEUED])
    assert not runs.move(running, [RunState.QUEUED])
    runs.cancel(RUN, "eva")
    failed = a_run(state=RunState.FAILED, error_code="boot-failed", order=an_order())
    runs.save(failed)
    runs.requeue(queued, [RunState.FAILED])

    assert told(caplog, "levelname", "run", "state", "variant", "error_code", "by") == [
        ("INFO", RUN, "queued", "small", None, None),
        ("INFO", RUN, "running", "small", None, None),
        ("INFO", RUN, None, None, None, "eva"),
        ("WARNING", RUN, "failed", None, "boot-failed", None),
        ("INFO", RUN, "queued", "small", None, None),
    ]


def test_stage_when_it_moves_then_is_told_with_its_run(
    runs: SqlRunStore, caplog: pytest.LogCaptureFixture
) -> None:
    runs.save(a_run())
    caplog.set_level(logging.INFO)
    begun = StageRun(
        stage=RunStage.BUILD, state=StepState.RUNNING, started_at=SOME_DAY, worker="w1"
    )
    done = StageRun(
        stage=RunStage.BUILD,
        state=StepState.SUCCEEDED,
        started_at=SOME_DAY,
        ended_at=SOME_DAY + timedelta(seconds=9),
    )
    for stage in (begun, done, begun):
        runs.save_stage(RUN, stage)

    assert told(caplog, "run", "stage", "state", "worker", "seconds") == [
        (RUN, "build", "running", "w1", None),
        (RUN, "build", "succeeded", None, 9.0),
    ]


def test_run_when_nobody_set_up_logs_then_nothing_is_printed(
    runs: SqlRunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.save(a_run(state=RunState.FAILED, ended_at=SOME_DAY))

    assert capsys.readouterr().err == ""
