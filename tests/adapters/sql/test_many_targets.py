"""Two hundred targets are distributed to in a catalogue without waiting long for the books."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.sql.audit import SqlAuditLog
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.distributions import SqlDistributionStore
from imagebuilder.adapters.sql.placements import SqlPlacementStore
from imagebuilder.adapters.sql.standings import SqlStandingStore
from imagebuilder.domain.ids import VersionId
from imagebuilder.services.distributing.distributing import Choice, Distributing
from imagebuilder.services.distributing.withdrawing import Withdrawing
from tests.carried import PATH, Port

_LIMIT_SECONDS = 30.0
"""Of the processor's time: it takes three, and others may be at work on the machine."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "catalogue.db") as database:
        yield database


def test_two_hundred_targets_when_distributed_and_withdrawn_then_all_is_kept(
    tmp_path: Path, database: Database
) -> None:
    port = Port(tmp_path)
    port.carrier.regions = {
        "home": None,
        **{f"fake:{number:03}": "home" for number in range(199)},
    }
    version = port.record()
    SqlVersionStore(database).add(version)
    books = replace(
        port.desk.books,
        versions=SqlVersionStore(database),
        standings=SqlStandingStore(database),
        placements=SqlPlacementStore(database),
        distributions=SqlDistributionStore(database),
        audit=SqlAuditLog(database),
        transactions=database,
    )
    desk = replace(port.desk, books=books)

    began = time.process_time()
    done = Distributing(desk).distribute("web", PATH, Choice(), port.progress)
    withdrawing = Withdrawing(desk)
    gone = withdrawing.withdraw(withdrawing.reach("web"), delete=True)

    assert time.process_time() - began < _LIMIT_SECONDS
    assert done.distribution.is_whole
    placements = SqlPlacementStore(database).of([VersionId(version.id)])
    assert len(placements) == len(gone) == 200
    assert all(placement.is_deleted for placement in placements)
