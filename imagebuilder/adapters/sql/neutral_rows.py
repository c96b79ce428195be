"""Rows in a form that no database has a part in: lists of what JSON can write, table by table."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Connection, DateTime, MetaData, Table, func, insert, select, text

from imagebuilder.adapters.sql.tables import UtcMoment, metadata
from imagebuilder.domain.digest import Digest

NeutralRow: TypeAlias = list[str | int | float | bool | None]

_BATCH = 1000
_MODULUS = 1 << 256


def own_tables() -> Sequence[Table]:
    """Give the tables of the current schema, those that others refer to first."""
    return metadata.sorted_tables


def tables_in(connection: Connection) -> Sequence[Table]:
    """Give the tables that are there, whatever their schema's revision, in the same order."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def rows_of(connection: Connection, table: Table) -> Iterator[NeutralRow]:
    """Give every row, in the order of the primary key: a parent before what was built on it."""
    query = select(table).order_by(*table.primary_key)
    # Said of the query: said of the connection, it would hold for all that follows on it.
    for row in connection.execute(query.execution_options(stream_results=True, yield_per=_BATCH)):
        yield [_neutral(value) for value in row]


def count_of(connection: Connection, table: Table) -> int:
    """Give how many rows a table has."""
    return connection.scalar(select(func.count()).select_from(table)) or 0


def load(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[NeutralRow],
    on_rows: Callable[[str, int], None],
) -> None:
    """Write rows into an empty table. Raises: ValueError: a column or a value does not fit."""
    unknown = set(columns) - set(table.columns.keys())
    if unknown:
        raise ValueError(f"{table.name} has no column {', '.join(sorted(unknown))}")
    readers = [_reader(table, name) for name in columns]
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        values = [
            {name: read(value) for name, read, value in zip(columns, readers, row, strict=True)}
            for row in batch
        ]
        connection.execute(insert(table), values)
        on_rows(table.name, len(batch))


def count_on(connection: Connection, tables: Iterable[Table]) -> None:
    """Let a server number new rows after those that were loaded with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"),
                {"table": f'"{table.name}"', "column": column.name},
            )
            highest = connection.scalar(select(func.max(column))) if sequence else None
            if highest is not None:
                connection.execute(select(func.setval(sequence, highest)))


class RowSum:
    """The digest of a set of rows, whatever their order: databases sort text differently."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._sum = 0
        self.count = 0

    def add(self, row: NeutralRow) -> None:
        """Count a row in."""
        digest = Digest.of_bytes(line_of(row))
        self._sum = (self._sum + int(digest.hex, 16)) % _MODULUS
        self.count += 1

    def __eq__(self, other: object) -> bool:
        """Whether the same rows were counted."""
        if not isinstance(other, RowSum):
            return NotImplemented
        return (self._sum, self.count) == (other._sum, other.count)

    __hash__ = None  # type: ignore[assignment]  # it changes


def line_of(value: object) -> bytes:
    """Give a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _neutral(value: object) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{type(value).__name__} has no neutral form")


def _reader(table: Table, column: str) -> Callable[[Any], Any]:
    if isinstance(table.c[column].type, DateTime | UtcMoment):
        return lambda text_: None if text_ is None else datetime.fromisoformat(text_)
    return lambda value: value
