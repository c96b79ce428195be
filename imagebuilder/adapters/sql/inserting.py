"""Rows that are inserted unless they are there, in one statement for both kinds of database."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

ValueT = TypeVar("ValueT")


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], given: Column[ValueT]
) -> Sequence[ValueT]:
    """Insert rows, but for those whose place is taken; give a column of those that were inserted.

    What is inserted in the same moment by somebody else is waited for.
    """
    if not rows:
        return []
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).on_conflict_do_nothing().returning(given)
    return connection.execute(statement, rows).scalars().all()
