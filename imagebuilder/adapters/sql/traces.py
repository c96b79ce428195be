"""Finding what digests are of, in SQL: every column of digests has an index."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, FromClause, and_, literal, select

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.trace import Trace, TraceKind

_DIGESTS = 20
"""So many digests of a kind are given that start alike."""
_VERSIONS = 20
"""So many versions are given of each."""

_STACKS = 200
"""So many stacks on a layer are looked at, of its own the newest; on a base's may be a million."""

_What: TypeAlias = tuple[TraceKind, str, str]
"""A kind, a digest and the name of what has it."""

_v = tables.versions.c
_s = tables.layer_stacks.c


class SqlTraceStore:
    """A TraceStore in a database."""

    def __init__(self, database: Database) -> None:
        """Look into an open catalogue."""
        self._database = database

    def traces(self, start: str) -> Sequence[Trace]:
        """Give what has a digest whose hexadecimal digits start so, by kind, digest and name."""
        with self._database.reading() as connection:
            return [
                *_of_parts(connection, start),
                *_of_versions(connection, start),
                *_of_stacks(connection, start),
            ]

    def of_run(self, run_id: RunId) -> Sequence[VersionId]:
        """Give the versions that a run recorded."""
        query = select(_v.id).where(_v.run_id == run_id).order_by(_v.number.desc())
        with self._database.reading() as connection:
            return [VersionId(each) for each in connection.scalars(query)]


def _of_parts(connection: Connection, start: str) -> list[Trace]:
    """Give what versions have rows of: artifacts, documents, indexes."""
    artifacts, documents = tables.artifacts.c, tables.version_documents.c
    indexes = tables.indexes.c
    parts: tuple[tuple[TraceKind, FromClause, ColumnElement[str], ColumnElement[str]], ...] = (
        (TraceKind.ARTIFACT, tables.artifacts, artifacts.digest, artifacts.format),
        (TraceKind.INDEX, tables.indexes, indexes.digest, indexes.address),
        (
            TraceKind.DOCUMENT,
            tables.version_documents,
            documents.digest,
            documents.kind + " " + documents.name,
        ),
    )
    return [
        _trace(
            connection,
            (kind, digest, name),
            table.c.version_number,
            and_(column == digest, named == name),
        )
        for kind, table, column, named in parts
        for digest, name in _starting(connection, column, named, start)
    ]


def _of_versions(connection: Connection, start: str) -> list[Trace]:
    """Give what stands in the row of a version itself."""
    columns = (
        (TraceKind.DISK, _v.disk_digest),
        (TraceKind.PLAN, _v.plan_digest),
        (TraceKind.DEFINITION, _v.definition_digest),
    )
    return [
        _trace(connection, (kind, digest, ""), _v.number, column == digest)
        for kind, column in columns
        for digest, _ in _starting(connection, column, literal(""), start)
    ]


def _of_stacks(connection: Connection, start: str) -> list[Trace]:
    """Give what versions share: layers, and the components that made them."""
    columns = (
        (TraceKind.LAYER, _s.content, _s.name),
        (TraceKind.LAYER_KEY, _s.key, _s.name),
        (TraceKind.COMPONENT, _s.component_digest, _s.name + " " + _s.component_version),
    )
    return [
        # Of the two, the name must not be what is looked up: many layers have the same one.
        _of_layer(
            connection, (kind, digest, name), and_(column == digest, named.concat("") == name)
        )
        for kind, column, named in columns
        for digest, name in _starting(connection, column, named, start)
    ]


def _of_layer(connection: Connection, what: _What, is_it: ColumnElement[bool]) -> Trace:
    """Give a trace of a layer, through the stacks that stand on it, not many of a million."""
    own = select(_s.id).where(is_it).order_by(_s.id.desc()).limit(_STACKS + 1).subquery()
    begun = select(own.c.id).cte("standing_on", recursive=True)
    standing_on = begun.union(select(_s.id).where(_s.below_id == begun.c.id))
    some = connection.scalars(select(standing_on.c.id).limit(_STACKS + 1)).all()
    trace = _trace(connection, what, _v.number, among(_v.stack_id, some))
    return replace(trace, has_more=trace.has_more or len(some) > _STACKS)


def _starting(
    connection: Connection, column: ColumnElement[str], named: ColumnElement[str], start: str
) -> list[tuple[str, str]]:
    """Give the digests that start so, and what has them."""
    # No hexadecimal digit comes after an f, in whichever order a database has letters.
    is_between = and_(column >= start, column < start + "g")
    query = select(column, named).where(is_between).distinct().order_by(column, named)
    return [(row[0], row[1]) for row in connection.execute(query.limit(_DIGESTS))]


def _trace(
    connection: Connection, what: _What, number: ColumnElement[int], is_it: ColumnElement[bool]
) -> Trace:
    """Give a trace of the newest versions that have something. Shape: `number` is theirs."""
    # Not the column: by its index PostgreSQL would go through all versions until it meets these.
    each = (number + 0).label("number")
    found = select(each).where(is_it).distinct().order_by(each.desc()).limit(_VERSIONS + 1)
    newest = connection.scalars(found).all()
    named = select(_v.number, _v.id).where(among(_v.number, newest))
    ids = {row[0]: VersionId(row[1]) for row in connection.execute(named)}
    kind, digest, name = what
    return Trace(
        kind=kind,
        name=name,
        versions=tuple(ids[each] for each in newest[:_VERSIONS]),
        digest=Digest(digest),
        has_more=len(newest) > _VERSIONS,
    )
