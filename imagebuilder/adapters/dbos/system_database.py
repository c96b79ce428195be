"""Where DBOS keeps what it did: a schema of its own beside ours in PostgreSQL, else its own file.

Nothing of ours is in it that is not in `runs` too: whatever is lost is handed over again.
"""

import logging
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

APPLICATION = "imagebuilder"
SCHEMA = "imagebuilder_dbos"
_NEEDS_UNIXEPOCH = (3, 42)
_BUSY_SECONDS = 30
_POOL_SIZE = 4
_CONNECT_SECONDS = 5


def is_server(catalogue_url: str) -> bool:
    """Whether a catalogue is on a server, where several processes may share the work."""
    try:
        return make_url(catalogue_url).get_backend_name() == "postgresql"
    except ArgumentError:
        # Whoever opens the catalogue says what is wrong with its address.
        return False


def database_settings(catalogue_url: str, file: Path) -> dict[str, Any]:
    """Give what DBOS is told of its database: that of the catalogue's server, or else a file."""
    if not is_server(catalogue_url):
        return {"system_database_engine": _file_engine(file)}
    url = make_url(catalogue_url)
    return {
        # DBOS chooses the driver itself.
        "system_database_url": url.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
        "dbos_system_schema": SCHEMA,
        "sys_db_pool_size": _POOL_SIZE,
    }


def own_engine(catalogue_url: str, settings: Mapping[str, Any]) -> Engine:
    """Give what opens the database of DBOS beside DBOS, which was told `settings`."""
    file_engine: Engine | None = settings.get("system_database_engine")
    if file_engine is not None:
        return file_engine
    url = make_url(catalogue_url).set(drivername="postgresql+psycopg")
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
    return create_engine(
        url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=patience
    )


def quieten() -> None:
    """Let DBOS tell only what is wrong, and a server that is away only once in a while."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_Sparing())


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
