"""Opening the catalogue's database, and the two kinds of transaction on it.

Every SQLAlchemy exception is turned into one of ours here; it leaves this file only where a store
must tell a broken constraint from a broken database.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import finalize

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry

from imagebuilder.adapters.sql import complaints
from imagebuilder.adapters.sql.complaints import sqlite_code, translated
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION
from imagebuilder.ports.catalogue import CatalogueDamaged, CatalogueTooNew, StoreUnavailable

_WRITES = "imagebuilder_writes"
_MIGRATION_LOCK = 0x696D6167
"""Any number, so long as every process asks PostgreSQL for the same one."""
_DECISION_LOCK = 0x64656369
_WAL_ATTEMPTS = 50
_CONNECT_SECONDS = 5
_LOST_MILLISECONDS = 30_000
"""So long a server may leave what we sent unacknowledged; then the connection counts as lost."""


class Database:
    """An open catalogue, whose schema is the one that our tables are."""

    def __init__(self, engine: Engine, where: str) -> None:
        """Speak to a database whose schema was seen to; `where` is how messages name it."""
        self._engine = engine
        # A command that ends does not close it; a server should not have to find out by itself.
        finalize(self, engine.dispose)
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._own = threading.local()
        self.where = where

    def __enter__(self) -> Self:
        """Stay open to the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the catalogue to the end of the block.

        Within `together` it is that block's own connection.

        Raises: StoreUnavailable; CatalogueDamaged.
        """
        joined = self._joined
        if joined is not None:
            yield joined
            return
        options = {} if self._is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with (
            translated(self.where),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            try:
                yield connection
            except ValueError as error:
                reason = f"A stored value cannot be read: {error}."
                raise CatalogueDamaged(self.where, reason) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes are kept together when the block ends well.

        Within `together` it is that block's own connection, and kept with all that is done there.

        Raises: StoreUnavailable; CatalogueDamaged; IntegrityError: a constraint was broken.
        """
        joined = self._joined
        if joined is not None:
            # What a broken constraint undoes here does not undo what the block did before.
            savepoint = joined.begin_nested()
            try:
                yield joined
            except BaseException:
                if self._is_in_transaction(joined):
                    savepoint.rollback()
                raise
            savepoint.commit()
            return
        with (
            translated(self.where),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def _is_in_transaction(self, connection: Connection) -> bool:
        """Whether there is anything to undo: a full disk ends SQLite's transaction by itself.

        Source: SQLite, "Response To Errors Within A Transaction".
        """
        driver = connection.connection.driver_connection
        return driver.in_transaction if isinstance(driver, sqlite3.Connection) else True

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection as `writing` does, on which tables can be made anew.

        Source: SQLite, "Making Other Kinds Of Table Schema Changes": a table that others refer to
        is made anew while references are not enforced; they are checked before it is kept.

        Raises: StoreUnavailable; CatalogueDamaged; ReferencesLost: something refers to what is not
        there.
        """
        with (
            translated(self.where),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            self._unreferenced(connection),
            connection.begin(),
        ):
            self._wait_for_others(connection)
            yield connection
            if self._is_sqlite:
                lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if lost:
                    raise ReferencesLost(f"{len(lost)} of {lost[0][0]} refer to what is not there")

    @contextmanager
    def _unreferenced(self, connection: Connection) -> Iterator[None]:
        """Let SQLite not enforce references in a block that is outside of any transaction."""
        if not self._is_sqlite:
            yield
            return
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all that this thread reads and writes in the block be one transaction.

        Others that do the same wait for its end, so that what it read holds when it writes.

        Raises: StoreUnavailable; CatalogueDamaged.
        """
        if self._joined is not None:
            yield
            return
        with self.writing() as connection:
            self._wait_for_others(connection)
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = None

    def _wait_for_others(self, connection: Connection) -> None:
        """Let whoever decides on what they read be done; SQLite has one writer anyway."""
        if not self._is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_DECISION_LOCK})"))

    @property
    def _joined(self) -> Connection | None:
        """The connection of the block that this thread is in, if any."""
        joined: Connection | None = getattr(self._own, "connection", None)
        return joined


class ReferencesLost(Exception):
    """What was to be kept refers to what is not there; says what does."""


def open_database(location: str | Path, *, busy_timeout_seconds: float = 20.0) -> Database:
    """Give the catalogue at a path (SQLite) or URL, made or brought up to date where need be.

    Raises: StoreUnavailable; CatalogueDamaged; CatalogueTooNew.
    """
    url = _url(location)
    where = url.database or "" if _is_sqlite(url) else complaints.shown(url)
    with translated(where):
        database = Database(_engine(url, where, busy_timeout_seconds), where)
        try:
            revision = _stored_revision(database)
            if revision != SCHEMA_REVISION:
                _bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
    return database


def _url(location: str | Path) -> URL:
    text_ = str(location)
    if isinstance(location, Path) or "://" not in text_:
        return URL.create("sqlite", database=text_)
    try:
        url = make_url(text_)
    except (ArgumentError, ValueError):
        # The cause quotes the address, which may hold a password.
        raise _address_refused() from None
    if url.get_backend_name() not in ("sqlite", "postgresql") or not url.database:
        raise _address_refused()
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _address_refused() -> StoreUnavailable:
    return StoreUnavailable(
        "of the settings",
        "Its address is not one of a SQLite file or a PostgreSQL database.",
        hint="Write a path, or postgresql://USER@HOST/DATABASE.",
    )


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL, where: str, busy_timeout_seconds: float) -> Engine:
    if not _is_sqlite(url):
        return _server_engine(url, where, busy_timeout_seconds)
    try:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreUnavailable(where, reason, hint=complaints.FILE_HINT) from error
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": busy_timeout_seconds}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server_engine(url: URL, where: str, busy_timeout_seconds: float) -> Engine:
    patience = {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": _LOST_MILLISECONDS}
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # a build lasts long enough for its server to have been restarted
            connect_args={n: value for n, value in patience.items() if n not in url.query},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        reason = f"The driver {url.get_driver_name()} is not installed."
        hint = f"Install {url.get_driver_name()} with pip, beside imagebuilder."
        raise StoreUnavailable(where, reason, hint=hint) from error
    except (ArgumentError, ValueError):
        raise _address_refused() from None

    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        del entry
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {round(busy_timeout_seconds * 1000)}")
        connection.commit()  # else it would be undone with the first transaction that is
        cursor.close()

    event.listen(engine, "connect", set_up)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    del entry
    # The driver's own transactions begin late and never for reading; ours are begun by us.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: DBAPICursor) -> None:
    """Let readers and a writer work side by side; costs nothing once the file is so.

    SQLite does not wait for others in the moment of the switch. It does wait for the right to
    write, so that is asked for, and given back, before the next attempt.
    """
    for _ in range(_WAL_ATTEMPTS - 1):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
        else:
            return
    cursor.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    # A reader that later wants to write may find that others wrote in between; so say it at once.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _stored_revision(database: Database) -> str | None:
    """Give the schema revision that is stored, or None in a database without our schema.

    It is one query and without Alembic, since it is asked before every command.
    """
    with database._engine.connect() as connection:  # noqa: SLF001 - a part of opening a Database
        try:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except (OperationalError, ProgrammingError) as error:
            connection.rollback()
            if sqlite_code(error) not in (None, sqlite3.SQLITE_ERROR):
                raise
            if connection.dialect.has_table(connection, "alembic_version"):
                raise
            return None
    return None if found is None else str(found)


def _bring_up_to_date(database: Database) -> None:
    # Alembic is not imported by a command that finds the schema current, as all but the first do.
    from imagebuilder.adapters.sql import migrations  # noqa: PLC0415

    if not migrations.SCRIPTS.is_dir():
        raise StoreUnavailable(
            database.where,
            f"Its schema must be brought up to date, and {migrations.SCRIPTS} is missing.",
            hint="Install imagebuilder from its checkout: pip install --editable .",
        )
    try:
        with database.migrating() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            # Another process may have done it while this one waited for the right to write.
            found = migrations.revision_in(connection)
            if found == SCHEMA_REVISION:
                return
            if found is not None and found not in migrations.known_revisions():
                raise CatalogueTooNew(found, SCHEMA_REVISION)
            migrations.upgrade(connection)
    except ReferencesLost as lost:
        raise CatalogueDamaged(database.where, f"{lost}.") from lost
