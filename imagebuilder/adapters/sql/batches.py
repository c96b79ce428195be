"""Many ids in one question: a statement takes only so many values."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TypeVar

ValueT = TypeVar("ValueT")

_AT_ONCE = 10_000
"""Source: SQLite takes 32,766 values in a statement, PostgreSQL 65,535."""


def in_batches(values: Collection[ValueT]) -> Iterator[Sequence[ValueT]]:
    """Give values in parts that a statement takes."""
    left = iter(values)
    while batch := list(islice(left, _AT_ONCE)):
        yield batch
