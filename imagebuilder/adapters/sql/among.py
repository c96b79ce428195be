"""One of many values, as one parameter of a statement, however many they are.

With a parameter for each, a statement takes only so many of them; and to write and read a thousand
of them takes longer than to look them all up.
"""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

ValueT = TypeVar("ValueT")


def among(column: ColumnElement[ValueT], values: Iterable[ValueT]) -> ColumnElement[bool]:
    """Give whether a column has one of some values."""
    return _Among(column, bindparam(None, list(values), type_=_Many(column.type), unique=True))


def among_named(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Give whether a column has one of the values that are named when the statement is run."""
    return _Among(column, bindparam(name, type_=_Many(column.type)))


class _Many(TypeDecorator[list[Any]]):
    """A list of values: an array where the database knows arrays, else JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, item: "TypeEngine[Any]") -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> "TypeEngine[Any]":
        return dialect.type_descriptor(ARRAY(self.item) if _has_arrays(dialect) else Text())

    def process_bind_param(
        self, value: list[Any] | None, dialect: Dialect
    ) -> list[Any] | str | None:
        return value if value is None or _has_arrays(dialect) else json.dumps(value)


def _has_arrays(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"


class _Among(FunctionElement[bool]):
    """Whether its first argument is in the list that its second is."""

    # Not Boolean: of one, SQLite would be asked whether it equals 1, and use no index then.
    type: TypeEngine[Any] = NullType()
    inherit_cache = True


@compiles(_Among)
def _written(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    if _has_arrays(compiler.dialect):
        return f"{column} = ANY ({values})"
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are SQLAlchemy's
