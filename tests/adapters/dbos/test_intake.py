"""Runs that cannot be put on the queue of DBOS: it is told at once, and none of them is there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.dbos.intake import Intake, QueueUnavailable
from imagebuilder.adapters.dbos.system_database import opened_database
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.engine import EngineOrder

ORDER = EngineOrder(
    run_id=RunId("run-1"), attempt=1, pool="build.amd64", priority=1, exclusion="nightly/"
)
ASKED: dict[str, Callable[[Intake], None]] = {
    "take": lambda intake: intake.take([ORDER]),
    "drop": lambda intake: intake.drop([(ORDER.run_id, ORDER.attempt)]),
}


@pytest.fixture
def intake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Intake]:
    """Give one whose server is away, or whose file holds nothing."""
    is_away = request.param == "away"
    url = f"postgresql://someone@/x?host={tmp_path}" if is_away else "sqlite:///x"
    with opened_database(url, tmp_path / "engine.db") as database:
        intake = Intake(database.ours)
        yield intake
        intake.close()


@pytest.mark.parametrize("intake", ["away"], indirect=True)
@pytest.mark.parametrize("asked", ASKED)
def test_queue_when_the_server_is_away_then_says_so_without_waiting_for_it(
    intake: Intake, asked: str
) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        ASKED[asked](intake)

    assert "No such file or directory" in caught.value.context


@pytest.mark.parametrize("intake", ["empty"], indirect=True)
@pytest.mark.parametrize("asked", ASKED)
def test_queue_when_the_tables_are_not_there_then_says_so(intake: Intake, asked: str) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        ASKED[asked](intake)

    assert "no such table" in caught.value.context
