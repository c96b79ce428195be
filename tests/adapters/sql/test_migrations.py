"""The revisions in `alembic/` and the tables say the same, both ways."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from imagebuilder.adapters.sql import database as opening
from imagebuilder.adapters.sql import migrations
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION, metadata
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.catalogue import StoreUnavailable
from tests.build import a_run, a_step, a_version


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "catalogue.db") as database:
        yield database


def _definitions(file: Path) -> dict[str, list[str]]:
    """Give what makes each table and index, its parts sorted: their order means nothing."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {
            name: sorted(part.strip(" \n\t(),").replace('"', "") for part in sql.splitlines())
            for name, sql in rows
            if name != "alembic_version"
        }


def test_schema_revision_when_compared_then_is_the_head_of_alembic() -> None:
    assert migrations.head_revision() == SCHEMA_REVISION
    assert SCHEMA_REVISION in migrations.known_revisions()


def test_metadata_when_compared_with_migrated_schema_then_has_not_drifted(
    database: Database,
) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_metadata_when_made_directly_then_every_definition_is_the_migrated_one(
    tmp_path: Path, database: Database
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    engine.dispose()

    assert _definitions(tmp_path / "direct.db") == _definitions(tmp_path / "catalogue.db")


def test_downgrade_when_there_are_rows_then_upgrade_makes_the_same_schema_again(
    tmp_path: Path, database: Database
) -> None:
    file = tmp_path / "catalogue.db"
    before = _definitions(file)
    SqlVersionStore(database).add(a_version())
    SqlRunStore(database).save(a_run())
    SqlRunStore(database).save_step(RunId("run-1"), a_step())

    with database.migrating() as connection:
        migrations.downgrade(connection, "base")

    assert _definitions(file) == {}
    with open_database(file) as again:
        SqlVersionStore(again).add(a_version())
        assert len(SqlVersionStore(again).summaries()) == 1
    assert _definitions(file) == before


def test_upgrade_when_it_breaks_off_then_nothing_of_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.db"
    with open_database(file) as database, pytest.raises(KeyboardInterrupt):
        _break_off_downgrade(database)

    assert "versions" in _definitions(file)
    with open_database(file) as database:
        assert SqlVersionStore(database).summaries() == []


def _break_off_downgrade(database: Database) -> None:
    with database.migrating() as connection:
        migrations.downgrade(connection, "base")
        raise KeyboardInterrupt


def test_open_when_the_scripts_are_missing_then_says_where_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "SCRIPTS", tmp_path / "nowhere")

    with pytest.raises(StoreUnavailable) as caught:
        opening.open_database(tmp_path / "catalogue.db")

    assert str(tmp_path / "nowhere") in caught.value.context


def test_names_when_postgresql_shortens_them_then_none_is_too_long() -> None:
    dialect = make_url("postgresql+psycopg://").get_dialect()()
    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    definitions = [
        *(str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables),
        *(str(CreateIndex(index).compile(dialect=dialect)) for index in indexes),
    ]
    named = re.findall(r"(?:CONSTRAINT|INDEX) (\S+)", " ".join(definitions))

    assert "TIMESTAMP WITH TIME ZONE" in " ".join(definitions)
    assert len(named) > len(metadata.sorted_tables)
    assert [name for name in named if len(name) > 63] == []
