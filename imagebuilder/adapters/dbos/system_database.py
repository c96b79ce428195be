"""Where DBOS keeps what it did: a schema of its own beside ours in PostgreSQL, else its own file.

Nothing of ours is in it that is not in `runs` too: whatever is lost is handed over again.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError

APPLICATION = "imagebuilder"
SCHEMA = "imagebuilder_dbos"
_NEEDS_UNIXEPOCH = (3, 42)
_BUSY_SECONDS = 30
_POOL_SIZE = 4
_CONNECT_SECONDS = 5
_IDLE_SECONDS = 60


def is_server(catalogue_url: str) -> bool:
    """Whether a catalogue is on a server, where several processes may share the work."""
    try:
        return make_url(catalogue_url).get_backend_name() == "postgresql"
    except ArgumentError:
        # Whoever opens the catalogue says what is wrong with its address.
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The database of DBOS: what opens it for DBOS, and what opens it for us beside it.

    `settings` is what DBOS is told of it.
    """

    settings: Mapping[str, Any]
    ours: Engine


@contextmanager
def opened_database(catalogue_url: str, file: Path) -> Iterator[Opened]:
    """Give the database of DBOS, on the catalogue's server or else in a file, for a block."""
    if is_server(catalogue_url):
        url = make_url(catalogue_url).set(drivername="postgresql+psycopg")
        theirs, ours = _server_engine(url, _POOL_SIZE), _server_engine(url, 1)
        event.listen(theirs, "connect", _set_up_session)
        event.listen(theirs, "handle_error", _tell_of_absence)
        settings = {"system_database_engine": theirs, "dbos_system_schema": SCHEMA}
    else:
        theirs = ours = _file_engine(file)
        settings = {"system_database_engine": theirs}
    try:
        yield Opened(settings=settings, ours=ours)
    finally:
        ours.dispose()
        theirs.dispose()


def quieten() -> None:
    """Let DBOS tell only what is wrong, and a server that is away only once in a while."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_Sparing())


def _server_engine(url: URL, size: int) -> Engine:
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
    return create_engine(
        url, pool_size=size, max_overflow=0, pool_pre_ping=True, connect_args=patience
    )


def _set_up_session(connection: DBAPIConnection, entry: object) -> None:
    del entry
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
    connection.commit()


def _tell_of_absence(context: ExceptionContext) -> None:
    """Let DBOS wait for a server that cannot be reached.

    It knows one by a few of the driver's sentences alone. Of a socket or a name that is gone
    another one tells, and the run under way would never be heard of again.
    """
    if context.connection is None:
        context.is_disconnect = True


def _file_engine(file: Path) -> Engine:
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=str(file)), connect_args={"timeout": _BUSY_SECONDS}
    )

    def set_up(connection: sqlite3.Connection, entry: object) -> None:
        del entry
        connection.execute("PRAGMA journal_mode = WAL")
        if sqlite3.sqlite_version_info < _NEEDS_UNIXEPOCH:
            # DBOS goes by the version of Python and not of SQLite, whose older ones lack it.
            connection.create_function("unixepoch", 1, lambda *_: time.time())  # noqa: TID251 - SQLite asks, not we

    event.listen(engine, "connect", set_up)
    return engine


class _Sparing(logging.Filter):
    """Passes one record of a kind in a while: seven hundred lines tell no more than one."""

    _EVERY_SECONDS = 30.0

    def __init__(self) -> None:
        super().__init__()
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = f"{record.module}:{record.lineno}"
        if record.created - self._told_at.get(kind, float("-inf")) < self._EVERY_SECONDS:
            return False
        self._told_at[kind] = record.created
        return True
