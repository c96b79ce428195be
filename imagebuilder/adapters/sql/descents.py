"""Reading who a version descends from, and who from it."""

from sqlalchemy import CTE, Connection, Select, case, func, literal, or_, select, union_all
from sqlalchemy.orm import aliased

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.lineage import Descent, Kin, Scope

_v = tables.versions.c


def read_descent(connection: Connection, version_id: VersionId, scope: Scope) -> Descent:
    """Give a version and its relatives, nobody when it is not recorded."""
    ways: list[Select[str, int]] = [
        select(_v.id, literal(0).label("distance")).where(_v.id == version_id)
    ]
    if scope.up:
        above = _walk(version_id, scope.depth, is_up=True)
        ways.append(select(above.c.id, above.c.distance))
    if scope.down:
        below = _walk(version_id, scope.depth, is_up=False)
        ways.append(select(below.c.id, below.c.distance))
    all_ways = union_all(*ways).subquery()
    # Who is reached on several ways is as far as on the shortest; nobody is both above and below.
    least, most = func.min(all_ways.c.distance), func.max(all_ways.c.distance)
    distance = case((least < 0, most), else_=least)
    nearest = select(all_ways.c.id, distance.label("distance")).group_by(all_ways.c.id).subquery()
    query = (
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
        .limit(scope.limit)
    )
    rows = connection.execute(query).mappings().all()
    kin = tuple(
        Kin(
            id=VersionId(row["id"]),
            image=ImageName(row["image"]),
            version=mapping.build_version(row),
            created_at=row["created_at"],
            parent=mapping.parent_edge(row),
            copied_from=mapping.version_id(row["copied_from"]),
            distance=row["distance"],
        )
        for row in rows
    )
    left_out = rows[0]["all"] - len(rows) if rows else 0
    return Descent(focus=version_id, kin=kin, left_out=left_out)


def _walk(version_id: VersionId, depth: int | None, *, is_up: bool) -> CTE:
    """Give everybody above or below a version, once for each number of generations between."""
    begun = select(_v.id, literal(0).label("distance")).where(_v.id == version_id)
    walk = begun.cte("above" if is_up else "below", recursive=True)
    here, other = aliased(tables.versions), aliased(tables.versions)
    below, above = (here, other) if is_up else (other, here)
    is_next = or_(above.c.id == below.c.parent_id, above.c.id == below.c.copied_from)
    step = (
        select(other.c.id, walk.c.distance + (-1 if is_up else 1))
        .join(here, is_next)
        .join(walk, walk.c.id == here.c.id)
    )
    if depth is not None:
        step = step.where(func.abs(walk.c.distance) < depth)
    return walk.union(step)
