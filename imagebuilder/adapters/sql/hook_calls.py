"""Calls from outside that were taken, in SQL."""

from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.digest import Digest


class SqlHookCalls:
    """HookCalls in a database."""

    def __init__(self, database: Database) -> None:
        """Keep calls in an open catalogue."""
        self._database = database

    def take(self, call: Digest, at: datetime) -> bool:
        """Keep that a call was taken; False when it was before."""
        try:
            with self._database.writing() as connection:
                connection.execute(insert(tables.hook_calls).values(digest=call.hex, at=at))
        except IntegrityError:
            return False
        return True

    def forget(self, before: datetime) -> None:
        """Forget the calls of before a moment."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.hook_calls).where(tables.hook_calls.c.at < before))
