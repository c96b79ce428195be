"""The databases that a test of SQL runs on: SQLite always, PostgreSQL where one is named."""

import os
from pathlib import Path

from sqlalchemy import create_engine, text

_POSTGRES = os.environ.get("IMAGEBUILDER_TEST_POSTGRES", "")
"""The URL of a database that tests may empty; its tests are left out when there is none."""

DATABASES = ("sqlite", "postgresql") if _POSTGRES else ("sqlite",)


def fresh_location(kind: str, folder: Path) -> str | Path:
    """Give where a catalogue can be opened that holds nothing yet."""
    if kind == "sqlite":
        return folder / "catalogue.db"
    engine = create_engine(_POSTGRES)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return _POSTGRES
