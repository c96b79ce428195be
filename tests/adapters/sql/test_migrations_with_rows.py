"""Revisions up and down on each kind of database, with rows in it."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from imagebuilder.adapters.sql import migrations, soundness
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.distributions import SqlDistributionStore
from imagebuilder.adapters.sql.placements import SqlPlacementStore
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION, metadata
from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.ids import RunId, VersionId
from tests.build import (
    a_control,
    a_digest,
    a_placement,
    a_run,
    a_step,
    a_version,
    an_assessment,
)
from tests.distributions import a_distribution

_CHILD = "version-web-1.0.0-1"


def _filled(database: Database) -> None:
    versions, runs = SqlVersionStore(database), SqlRunStore(database)
    seen = a_control("mode", ControlOutcome.FAIL, evidence="it is 0777", controls=("5.1",))
    versions.add(a_version(assessments=(an_assessment(seen, tailoring=a_digest("own")),)))
    versions.add(a_version("web@1.0.0/1"))
    runs.save(a_run())
    runs.save_step(RunId("run-1"), a_step())
    distribution = a_distribution(_CHILD, "aws:1/eu")
    SqlDistributionStore(database).add(distribution)
    brought = a_placement(_CHILD, traits={"snapshot": "snap-1"}, distribution_id=distribution.id)
    SqlPlacementStore(database).add(brought)


def _tables(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_metadata_when_compared_with_the_migrated_schema_then_has_not_drifted(
    database: Database,
) -> None:
    with database.reading() as connection:
        # Alembic cannot compare indexes of expressions.
        opts = {"include_name": lambda name, kind, _: kind != "index" or "_bytes" not in name}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("revision", sorted(migrations.known_revisions() - {SCHEMA_REVISION}))
def test_downgrade_when_there_are_rows_then_upgrade_finds_them_again(
    location: str | Path, database: Database, revision: str
) -> None:
    _filled(database)
    before = SqlVersionStore(database).get(VersionId(_CHILD))

    with database.migrating() as connection:
        migrations.downgrade(connection, revision)

    with open_database(location) as again:
        assert SqlVersionStore(again).get(VersionId(_CHILD)) == before
        assert len(SqlRunStore(again).steps(RunId("run-1"))) == 1
        assert _tables(again) == metadata.tables.keys()
        with again.reading() as connection:
            assert list(soundness.faults(connection, lambda *_: None)) == []


def test_downgrade_when_it_goes_to_the_beginning_then_leaves_nothing_and_can_begin_again(
    location: str | Path, database: Database
) -> None:
    _filled(database)

    with database.migrating() as connection:
        migrations.downgrade(connection, "base")

    assert _tables(database) == set()
    with open_database(location) as again:
        _filled(again)
        assert len(SqlVersionStore(again).summaries()) == 2


def test_downgrade_when_it_breaks_off_then_nothing_of_it_stays(database: Database) -> None:
    _filled(database)

    with pytest.raises(KeyboardInterrupt):
        _break_off(database)

    assert _tables(database) == metadata.tables.keys()
    assert len(SqlVersionStore(database).summaries()) == 2


def _break_off(database: Database) -> None:
    with database.migrating() as connection:
        migrations.downgrade(connection, "base")
        raise KeyboardInterrupt
