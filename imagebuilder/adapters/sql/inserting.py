"""Rows that are inserted unless they are there, in one statement for both kinds of database."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, Table, Text, cast, column, func, literal, select
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
    if connection.dialect.name == "sqlite":
        beside = sqlite.insert(table).on_conflict_do_nothing().returning(given)
        return connection.execute(beside, rows).scalars().all()
    insert = postgresql.insert(table).from_select(list(rows[0]), _read(table, rows))
    return connection.scalars(insert.on_conflict_do_nothing().returning(given)).all()


def _read(table: Table, rows: Sequence[Mapping[str, Any]]) -> Select[Any]:
    """Give rows as a server reads them out of one parameter.

    To write and read a parameter for each of thousands of values takes longer than to insert them.
    """
    text = json.dumps([dict(row) for row in rows], default=datetime.isoformat)
    columns = [column(name, table.c[name].type) for name in rows[0]]
    read = func.json_to_recordset(cast(literal(text, Text), postgresql.JSON))
    return select(read.table_valued(*columns).render_derived(with_types=True))
