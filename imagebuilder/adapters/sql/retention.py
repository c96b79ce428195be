"""What retention asks of the catalogue, and its plans, in SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.retention_plans import plan_of, plan_text
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.retention import Subject
from imagebuilder.domain.retirement import RetentionPlan, RetentionPlanNotFound, Users
from imagebuilder.domain.standing import Lifecycle

_v = tables.versions.c
_i = tables.images.c
_l = tables.lifecycles.c
_p = tables.retention_plans.c
_s = tables.layer_stacks.c
_ORDER = list(Lifecycle)
_ENOUGH = 20


class SqlRetentionStore:
    """A RetentionStore in a database."""

    def __init__(self, database: Database) -> None:
        """Ask an open catalogue, and keep plans in it."""
        self._database = database

    def subjects(self, images: Collection[str] | None = None) -> Sequence[Subject]:
        """Give the versions that are not deleted, of all images or of some, by recording."""
        with self._database.reading() as connection:
            reached = _lifecycles(connection, images)
            gone = _numbers_of(Lifecycle.DELETED)
            query = _of_images(_named_versions().where(_v.number.not_in(gone)), images)
            rows = connection.execute(query.order_by(_v.number)).mappings().all()
            children = _children(connection, images)
        found = []
        for row in rows:
            lifecycle, since_at = reached.get(row["number"], (Lifecycle.ACTIVE, None))
            found.append(
                Subject(
                    id=VersionId(row["id"]),
                    number=row["number"],
                    image=ImageName(row["image"]),
                    version=mapping.build_version(row),
                    created_at=row["created_at"],
                    lifecycle=lifecycle,
                    since_at=since_at,
                    children=tuple(children.get(row["id"], ())),
                )
            )
        return found

    def images(self) -> Sequence[str]:
        """Give the names of all images."""
        with self._database.reading() as connection:
            return sorted(connection.scalars(select(_i.name)))

    def users(self) -> Users:
        """Give what the versions that are not deleted are made of."""
        lives = tables.versions.c.number.not_in(_numbers_of(Lifecycle.DELETED))
        blobs = tables.artifacts.c
        with self._database.reading() as connection:
            return Users(
                blobs=_counted(connection, blobs.digest, blobs.version_number),
                layers=_layer_users(connection),
                disks=frozenset(
                    Digest(disk)
                    for disk in connection.scalars(select(_v.disk_digest).where(lives).distinct())
                ),
            )

    def evidence(self) -> frozenset[Digest]:
        """Give the blobs of what tests and scans said and was signed, bills, and scans' content.

        Those of deleted versions too, and content that no scan was made with yet.
        """
        maybe = (
            tables.test_reports.c.evidence,
            tables.assessments.c.report_digest,
            tables.assessments.c.raw_digest,
        )
        queries = (
            *(select(column).where(column.is_not(None)).distinct() for column in maybe),
            select(tables.assessments.c.content_digest).distinct(),
            select(tables.attestations.c.digest).distinct(),
            select(tables.bills.c.document_digest).distinct(),
            select(tables.content_packs.c.digest),
        )
        with self._database.reading() as connection:
            return frozenset(Digest(f) for query in queries for f in connection.scalars(query))

    def reactivate(self, version_id: VersionId) -> None:
        """Let a version that is deprecated or disabled be active again; a deleted one stays so."""
        number = select(_v.number).where(_v.id == version_id).scalar_subquery()
        with self._database.writing() as connection:
            connection.execute(
                delete(tables.lifecycles)
                .where(_l.version_number == number)
                .where(_l.version_number.not_in(_numbers_of(Lifecycle.DELETED)))
            )

    def unfreed(self) -> Sequence[VersionId]:
        """Give the deleted versions whose files nobody said to be gone, the last recorded first."""
        query = (
            select(_v.id)
            .join(tables.lifecycles, _l.version_number == _v.number)
            .where(_l.lifecycle == Lifecycle.DELETED.value, _l.freed_at.is_(None))
            .order_by(_v.number.desc())
        )
        with self._database.reading() as connection:
            return [VersionId(found) for found in connection.scalars(query)]

    def set_freed(self, version_id: VersionId, at: datetime) -> None:
        """Keep that nothing is left of the files of a deleted version."""
        number = select(_v.number).where(_v.id == version_id).scalar_subquery()
        with self._database.writing() as connection:
            connection.execute(
                update(tables.lifecycles)
                .where(_l.version_number == number, _l.lifecycle == Lifecycle.DELETED.value)
                .values(freed_at=at)
            )

    def add(self, plan: RetentionPlan) -> None:
        """Keep a plan."""
        row = {
            "id": plan.id,
            "made_at": plan.made.at,
            "made_by": plan.made.actor,
            "plan": plan_text(plan),
            "applied_at": plan.applied_at,
        }
        with self._database.writing() as connection:
            connection.execute(insert(tables.retention_plans).values(row))

    def plan(self, plan_id: str) -> RetentionPlan:
        """Give the plan whose id is, or uniquely starts with, plan_id.

        Raises: RetentionPlanNotFound.
        """
        # LIKE would not do: SQLite's does not tell capital letters from small ones.
        starts = func.substr(_p.id, 1, len(plan_id)) == plan_id
        query = select(tables.retention_plans).where(starts).order_by(_p.id).limit(_ENOUGH)
        with self._database.reading() as connection:
            found = [plan_of(row) for row in connection.execute(query).mappings()]
        exact = [plan for plan in found if plan.id == plan_id]
        if len(exact or found) != 1:
            raise RetentionPlanNotFound(plan_id, tuple(plan.id for plan in found))
        return (exact or found)[0]

    def plans(self, limit: int) -> Sequence[RetentionPlan]:
        """Give the plans made last, the newest first."""
        query = select(tables.retention_plans).order_by(_p.made_at.desc(), _p.id.desc())
        with self._database.reading() as connection:
            return [plan_of(row) for row in connection.execute(query.limit(limit)).mappings()]

    def set_applied(self, plan_id: str, at: datetime) -> None:
        """Keep that a plan is done."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.retention_plans).where(_p.id == plan_id).values(applied_at=at)
            )


def _numbers_of(lifecycle: Lifecycle) -> Select[tuple[int]]:
    return select(_l.version_number).where(_l.lifecycle == lifecycle.value)


def _named_versions() -> Select[tuple[object, ...]]:
    columns = (_v.number, _v.id, _v.major, _v.minor, _v.patch, _v.build, _v.created_at)
    query = select(*columns, _i.name.label("image"), _v.parent_id, _v.copied_from)
    return query.join(tables.images, _i.id == _v.image_id)


def _of_images(
    query: Select[tuple[object, ...]], images: Collection[str] | None
) -> Select[tuple[object, ...]]:
    return query if images is None else query.where(among(_i.name, images))


def _lifecycles(
    connection: Connection, images: Collection[str] | None
) -> dict[int, tuple[Lifecycle, datetime]]:
    """Give the furthest that each version came, and when. Shape: number -> lifecycle, moment."""
    query = select(_l.version_number, _l.lifecycle, _l.since_at)
    if images is not None:
        ours = select(_v.number).join(tables.images, _i.id == _v.image_id)
        query = query.where(_l.version_number.in_(ours.where(among(_i.name, images))))
    reached: dict[int, tuple[Lifecycle, datetime]] = {}
    for number, name, since_at in connection.execute(query):
        lifecycle = Lifecycle(name)
        known = reached.get(number)
        if known is None or _ORDER.index(known[0]) < _ORDER.index(lifecycle):
            reached[number] = (lifecycle, since_at)
    return reached


def _children(connection: Connection, images: Collection[str] | None) -> dict[str, dict[str, None]]:
    """Give who came from each version and is not deleted. Shape: id -> references, by recording."""
    ours = select(_v.id).join(tables.images, _i.id == _v.image_id)
    if images is not None:
        ours = ours.where(among(_i.name, images))
    children: dict[str, dict[str, None]] = {}
    for edge in (_v.parent_id, _v.copied_from):
        comes_from_ours = edge.in_(ours) if images is not None else edge.is_not(None)
        query = _named_versions().where(
            comes_from_ours, _v.number.not_in(_numbers_of(Lifecycle.DELETED))
        )
        for row in connection.execute(query.order_by(_v.number)).mappings():
            reference = f"{row['image']}@{mapping.build_version(row)}"
            children.setdefault(row[edge.name], {})[reference] = None
    return children


def _counted(
    connection: Connection, digest: ColumnElement[str], number: ColumnElement[int]
) -> dict[Digest, int]:
    """Give how many versions that are not deleted have each digest."""
    query = (
        select(digest, func.count(number.distinct()))
        .where(number.not_in(_numbers_of(Lifecycle.DELETED)))
        .group_by(digest)
    )
    return {Digest(found): count for found, count in connection.execute(query)}


def _layer_users(connection: Connection) -> dict[Digest, int]:
    """Give how many versions that are not deleted have each layer. Shape: content -> versions."""
    tops = (
        select(_v.stack_id, func.count())
        .where(_v.stack_id.is_not(None), _v.number.not_in(_numbers_of(Lifecycle.DELETED)))
        .group_by(_v.stack_id)
    )
    counts: dict[int, int] = {row[0]: row[1] for row in connection.execute(tops)}
    users: dict[Digest, int] = {}
    # A stack is kept after the one below it, so that all above are counted before it is met.
    stacks = select(_s.id, _s.below_id, _s.content).order_by(_s.id.desc())
    for stack_id, below_id, content in connection.execute(stacks):
        count = counts.get(stack_id, 0)
        if not count:
            continue
        digest = Digest(content)
        users[digest] = users.get(digest, 0) + count
        if below_id is not None:
            counts[below_id] = counts.get(below_id, 0) + count
    return users
