"""Runs that cannot be put on the queue of DBOS: it is told at once, and none of them is there."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from imagebuilder.adapters.dbos.intake import Intake, QueueUnavailable
from imagebuilder.adapters.dbos.system_database import own_engine
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.engine import EngineOrder

ORDER = EngineOrder(
    run_id=RunId("run-1"), attempt=1, pool="build.amd64", priority=1, exclusion="nightly/"
)


def test_take_when_the_server_is_away_then_says_so_without_waiting_for_it(tmp_path: Path) -> None:
    intake = Intake(own_engine(f"postgresql://someone@/x?host={tmp_path}", {}))

    with pytest.raises(QueueUnavailable) as caught:
        intake.take([ORDER])

    intake.close()
    assert "No such file or directory" in caught.value.context


def test_take_when_the_tables_are_not_there_then_says_so(tmp_path: Path) -> None:
    intake = Intake(create_engine(f"sqlite:///{tmp_path}/engine.db"))

    with pytest.raises(QueueUnavailable) as caught:
        intake.take([ORDER])

    intake.close()
    assert "no such table" in caught.value.context
