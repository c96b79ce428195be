"""Reading who a version descends from, and who from it.

A version stands on its parent image's, and a copy also on what it was copied from. The database is
asked for who is reached and by which edges, each version once however many ways lead to it; how far
it is, is counted here. Nobody is reached through every descendant of a root that has a million.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import BigInteger, Connection, Select, bindparam, or_, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among_named
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ParentEdge
from imagebuilder.domain.lineage import Descent, Kin, Scope
from imagebuilder.domain.versions import BuildVersion, Version

_v = tables.versions.c
_COUNTED = 2000
"""So many relatives beyond a limit are counted; of more it is only said that there are more."""


_TOLD = (
    select(
        _v.number,
        _v.id,
        tables.images.c.name.label("image"),
        _v.major,
        _v.minor,
        _v.patch,
        _v.build,
        _v.created_at,
        _v.parent_asked,
        _v.parent_identity,
        _v.parent_id,
        _v.copied_from,
    )
    .join(tables.images, tables.images.c.id == _v.image_id)
    .where(among_named(_v.number, "numbers"))
)


@dataclass(slots=True)
class _Reached:
    """Who was reached on one of the two ways. Shape: `edges` maps a number to the next ones."""

    edges: dict[int, list[int]] = field(default_factory=dict)
    is_cut: bool = False


def read_descent(connection: Connection, version_id: VersionId, scope: Scope) -> Descent:
    """Give a version and its relatives, nobody when it is not recorded."""
    focus: int | None = connection.scalar(select(_v.number).where(_v.id == version_id))
    if focus is None:
        return Descent(focus=version_id, kin=())
    distances = {focus: 0}
    is_cut = False
    for sign, is_wanted in ((-1, scope.up), (1, scope.down)):
        if is_wanted:
            reached = _reached(connection, focus, scope.limit + _COUNTED, is_up=sign < 0)
            is_cut |= reached.is_cut
            found = _distances(focus, reached.edges, scope.depth)
            distances |= {number: sign * distance for number, distance in found.items()}
    nearest = sorted(distances, key=lambda number: (abs(distances[number]), number))
    kept = nearest[: scope.limit]
    left_out = len(nearest) - len(kept)
    return Descent(
        focus=version_id,
        kin=_kin(connection, kept, distances),
        left_out=min(left_out, _COUNTED),
        is_more_left_out=left_out > _COUNTED or (is_cut and left_out == _COUNTED),
    )


def _reached(connection: Connection, focus: int, limit: int, *, is_up: bool) -> _Reached:
    """Give who is above or below a version, the nearest first, and not many beyond a limit."""
    asked = {"focus": focus, "enough": limit + 1}
    rows = connection.execute(_walk(is_up=is_up), asked).all()
    numbers = {id_: number for number, id_, *_ in rows}
    reached = _Reached(is_cut=len(rows) > limit)
    for here, _, *all_above in rows:
        for above in all_above:
            if above in numbers:
                there = numbers[above]
                start, end = (here, there) if is_up else (there, here)
                reached.edges.setdefault(start, []).append(end)
    return reached


@cache
def _walk(*, is_up: bool) -> Select[int, str, str | None, str | None]:
    """Give the question for who is above or below; to put it together takes as long as to ask."""
    begun = select(_v.number, _v.id, _v.parent_id, _v.copied_from)
    walk = begun.where(_v.number == bindparam("focus")).cte("walk", recursive=True)
    next_ = tables.versions.alias().c
    if is_up:
        is_next = or_(next_.id == walk.c.parent_id, next_.id == walk.c.copied_from)
    else:
        is_next = or_(next_.parent_id == walk.c.id, next_.copied_from == walk.c.id)
    step = select(next_.number, next_.id, next_.parent_id, next_.copied_from)
    reached = walk.union(step.join(walk, is_next)).c
    # Both databases go on with those reached first, and stop when there are enough: so they are
    # the nearest.
    query = select(reached.number, reached.id, reached.parent_id, reached.copied_from)
    return query.limit(bindparam("enough", type_=BigInteger))


def _distances(focus: int, edges: Mapping[int, Iterable[int]], depth: int | None) -> dict[int, int]:
    """Give how many generations each is away, on the shortest way, of those within a depth."""
    distances: dict[int, int] = {}
    level, distance = {focus}, 0
    while level and (depth is None or distance < depth):
        distance += 1
        level = {there for here in level for there in edges.get(here, ())} - distances.keys()
        distances |= dict.fromkeys(level, distance)
    return distances


def _kin(
    connection: Connection, numbers: Sequence[int], distances: Mapping[int, int]
) -> tuple[Kin, ...]:
    """Give versions as their relatives are told of them, in the order of their numbers given."""
    found: dict[int, Kin] = {}
    rows = connection.execute(_TOLD, {"numbers": numbers}).all()
    # Hundreds of rows are told: to look into each by name would take as long as to read it.
    for number, id_, image, *numbered, at, asked, identity, parent, source in rows:
        major, minor, patch, build = numbered
        found[number] = Kin(
            id=VersionId(id_),
            image=ImageName(image),
            version=BuildVersion(Version(major, minor, patch), build),
            created_at=at,
            parent=ParentEdge(
                asked=asked, identity=identity, version_id=mapping.version_id(parent)
            ),
            copied_from=mapping.version_id(source),
            distance=distances[number],
        )
    return tuple(found[number] for number in numbers)
