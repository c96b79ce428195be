"""Looking after a catalogue in SQL as a whole."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePath

from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import migrations, neutral_rows, soundness, tables
from imagebuilder.adapters.sql.audit import audit_values
from imagebuilder.adapters.sql.backup_file import BackupReader, reading_backup, writing_backup
from imagebuilder.adapters.sql.database import Database, ReferencesLost, open_database
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION
from imagebuilder.domain.audit import AuditEntry
from imagebuilder.ports.catalogue import CatalogueDamaged
from imagebuilder.ports.catalogue_care import (
    BackupState,
    BackupTooNew,
    BackupUnreadable,
    CatalogueFault,
    CatalogueNotEmpty,
    CatalogueState,
    OnRows,
    StoredThing,
)


class SqlCatalogueCare:
    """A CatalogueCare of a database."""

    def __init__(self, database: Database) -> None:
        """Look after an open catalogue."""
        self._database = database

    def state(self) -> CatalogueState:
        """Give how it is."""
        return _state(self._database)

    def back_up(
        self, path: PurePath, made_at: datetime, on_rows: OnRows, *, replaces: bool
    ) -> BackupState:
        """Write a backup that only its owner may read. Raises: BackupThere; BackupUnwritable.

        All of it is read in one transaction, so that it is one state though others write.
        """
        rows: dict[str, int] = {}
        with (
            self._database.reading() as connection,
            writing_backup(Path(path), replaces=replaces) as backup,
        ):
            kind = connection.dialect.name
            backup.head(SCHEMA_REVISION, made_at, kind)
            for table in neutral_rows.own_tables():
                backup.write({"table": table.name, "columns": list(table.columns.keys())})
                rows[table.name] = 0
                for row in neutral_rows.rows_of(connection, table):
                    backup.write(row)
                    rows[table.name] += 1
                    on_rows(table.name, 1)
            digest = backup.end(rows)
        return BackupState(
            path=str(path),
            made_at=made_at,
            kind=kind,
            revision=SCHEMA_REVISION,
            rows=rows,
            digest=digest,
        )

    def inspect(self, path: PurePath) -> BackupState:
        """Read all of a backup. Raises: BackupUnreadable; BackupTooNew."""
        with reading_backup(Path(path)) as backup:
            _refuse_newer(path, backup)
            for _, columns, rows in backup.tables():
                if any(len(row) != len(columns) for row in rows):
                    raise ValueError("a row has not as many values as its table has columns")
            return backup.state()

    def restore(self, path: PurePath, entry: AuditEntry, on_rows: OnRows) -> None:
        """Put what a backup holds in place of all that is there.

        The schema is made as the backup has it and brought up to date with the rows in it.
        """
        try:
            with (
                reading_backup(Path(path)) as backup,
                self._database.migrating() as connection,
            ):
                _refuse_newer(path, backup)
                _put_back(backup, connection, on_rows)
                connection.execute(insert(tables.audit).values(audit_values(entry)))
        except IntegrityError as error:
            raise BackupUnreadable(path, f"Its rows do not fit together: {error.orig}.") from error
        except ReferencesLost as error:
            raise BackupUnreadable(path, f"Its rows do not fit together: {error}.") from error

    def copy_to(self, url: str, entry: AuditEntry, on_rows: OnRows) -> CatalogueState:
        """Write all rows into an empty catalogue elsewhere. Raises: CatalogueNotEmpty."""
        with open_database(url) as target:
            try:
                with (
                    self._database.reading() as source,
                    target.together(),
                    target.writing() as written,
                ):
                    _refuse_full(target, written)
                    _copy(source, written, on_rows)
                    neutral_rows.count_on(written, neutral_rows.own_tables())
                    written.execute(insert(tables.audit).values(audit_values(entry)))
            except IntegrityError as error:
                reason = f"Its rows do not fit together: {error.orig}."
                raise CatalogueDamaged(self._database.where, reason) from error
            return _state(target)

    def faults(self, on_rows: OnRows) -> Iterator[CatalogueFault]:
        """Read everything and give what is wrong."""
        try:
            with self._database.reading() as connection:
                yield from soundness.faults(connection, on_rows)
        except CatalogueDamaged as damage:
            yield CatalogueFault(where=self._database.where, what=damage.context, hint=damage.hint)

    def stored_things(self) -> Iterator[StoredThing]:
        """Give the artifacts and evidence of versions that still have them."""
        with self._database.reading() as connection:
            yield from soundness.stored_things(connection)


def _put_back(backup: BackupReader, connection: Connection, on_rows: OnRows) -> None:
    migrations.downgrade(connection, "base")
    migrations.upgrade(connection, backup.revision)
    there = {table.name: table for table in neutral_rows.tables_in(connection)}
    for name, columns, rows in backup.tables():
        if name not in there:
            raise ValueError(f"its revision has no table {name}")
        neutral_rows.load(connection, there[name], columns, rows, on_rows)
    neutral_rows.count_on(connection, there.values())
    migrations.upgrade(connection)


def _copy(source: Connection, target: Connection, on_rows: OnRows) -> None:
    for table in neutral_rows.own_tables():
        read, found = neutral_rows.RowSum(), neutral_rows.RowSum()

        def counted(rows: Iterator[neutral_rows.NeutralRow]) -> Iterator[neutral_rows.NeutralRow]:
            for row in rows:
                read.add(row)  # noqa: B023 - it is used up before the next table
                yield row

        rows = counted(neutral_rows.rows_of(source, table))
        neutral_rows.load(target, table, list(table.columns.keys()), rows, on_rows)
        for row in neutral_rows.rows_of(target, table):
            found.add(row)
        if read != found:
            raise ValueError(f"the rows of {table.name} are not there as they were written")


def _refuse_full(target: Database, connection: Connection) -> None:
    rows = _rows(connection)
    if any(rows.values()):
        hint = "Name an empty database; nothing was changed."
        raise CatalogueNotEmpty(target.where, rows, hint)


def _refuse_newer(path: PurePath, backup: BackupReader) -> None:
    if backup.revision not in migrations.known_revisions():
        raise BackupTooNew(path, backup.revision, SCHEMA_REVISION)


def _state(database: Database) -> CatalogueState:
    with database.reading() as connection:
        kind = connection.dialect.name
        return CatalogueState(
            where=database.where,
            kind=kind,
            revision=SCHEMA_REVISION,
            rows=_rows(connection),
            size_bytes=int(connection.scalar(text(_SIZES[kind])) or 0),
        )


_SIZES: Mapping[str, str] = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def _rows(connection: Connection) -> dict[str, int]:
    return {
        table.name: neutral_rows.count_of(connection, table) for table in neutral_rows.own_tables()
    }
