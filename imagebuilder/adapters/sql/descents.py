"""Reading who a version descends from, and who from it."""

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ParentEdge
from imagebuilder.domain.lineage import Descent, Kin, Scope
from imagebuilder.domain.versions import BuildVersion, Version

_v = tables.versions.c


def read_descent(connection: Connection, version_id: VersionId, scope: Scope) -> Descent:
    """Give a version and its relatives, nobody when it is not recorded."""
    query = _query(is_up=scope.up, is_down=scope.down, is_bounded=scope.depth is not None)
    asked = {"id": version_id, "limit": scope.limit, "depth": scope.depth}
    rows = connection.execute(query, asked).all()
    kin = tuple(
        Kin(
            id=VersionId(row.id),
            image=ImageName(row.image),
            version=BuildVersion(Version(row.major, row.minor, row.patch), row.build),
            created_at=row.created_at,
            parent=ParentEdge(
                asked=row.parent_asked,
                identity=row.parent_identity,
                version_id=mapping.version_id(row.parent_id),
            ),
            copied_from=mapping.version_id(row.copied_from),
            distance=row.distance,
        )
        for row in rows
    )
    left_out = rows[0].all - len(rows) if rows else 0
    return Descent(focus=version_id, kin=kin, left_out=left_out)


@cache
def _query(*, is_up: bool, is_down: bool, is_bounded: bool) -> Select[Any]:
    """Give the question for a version's relatives; to put it together takes as long as to ask."""
    focus = select(_v.id, literal(0).label("distance")).where(_v.id == bindparam("id"))
    walks = [_walk(is_up=True, is_bounded=is_bounded)] if is_up else []
    walks += [_walk(is_up=False, is_bounded=is_bounded)] if is_down else []
    all_ways = union_all(focus, *(select(w.c.id, w.c.distance) for w in walks)).subquery()
    # Who is reached on several ways is as far as on the shortest; nobody is both above and below.
    least, most = func.min(all_ways.c.distance), func.max(all_ways.c.distance)
    distance = case((least < 0, most), else_=least)
    nearest = select(all_ways.c.id, distance.label("distance")).group_by(all_ways.c.id).subquery()
    return (
        select(
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
            nearest.c.distance,
            func.count().over().label("all"),
        )
        .join(nearest, nearest.c.id == _v.id)
        .join(tables.images, tables.images.c.id == _v.image_id)
        .order_by(func.abs(nearest.c.distance), _v.number)
        .limit(bindparam("limit", type_=Integer))
    )


def _walk(*, is_up: bool, is_bounded: bool) -> CTE:
    """Give everybody above or below a version, once for each number of generations between."""
    begun = select(_v.id, literal(0).label("distance")).where(_v.id == bindparam("id"))
    walk = begun.cte("above" if is_up else "below", recursive=True)
    here, other = aliased(tables.versions), aliased(tables.versions)
    below, above = (here, other) if is_up else (other, here)
    is_next = or_(above.c.id == below.c.parent_id, above.c.id == below.c.copied_from)
    step = (
        select(other.c.id, walk.c.distance + (-1 if is_up else 1))
        .join(here, is_next)
        .join(walk, walk.c.id == here.c.id)
    )
    if is_bounded:
        step = step.where(func.abs(walk.c.distance) < bindparam("depth", type_=Integer))
    return walk.union(step)
