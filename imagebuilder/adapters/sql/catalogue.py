"""Versions in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Subquery,
    Table,
    and_,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import assessed, mapping, tables
from imagebuilder.adapters.sql.channel_rows import HIGHEST_FIRST
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.descents import read_descent
from imagebuilder.adapters.sql.naming import read_references
from imagebuilder.adapters.sql.recording import image_id, insert_version, package_columns
from imagebuilder.adapters.sql.resolving import fits, is_build, meant_by, not_found
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    DocumentText,
    ImageVersion,
    LastBuild,
    RecordedLayer,
    Reference,
    VersionSummary,
)
from imagebuilder.domain.lineage import Descent, Scope
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.versions import Wildcard
from imagebuilder.ports.catalogue import CatalogueDamaged, VersionExists

_RACES = 5
"""How often another process may have recorded the same image or package in between."""

_v = tables.versions.c


class SqlVersionStore:
    """A VersionStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep versions in an open catalogue."""
        self._database = database

    def add(self, version: ImageVersion) -> None:
        """Record a version with all that belongs to it.

        Raises: VersionExists: its id, or its build, is taken; VersionNotFound: its parent is gone.
        """
        for _ in range(_RACES):
            try:
                with self._database.writing() as connection:
                    _refuse_what_cannot_stand(connection, version)
                    insert_version(connection, version)
            except IntegrityError as error:
                broken = error
            else:
                return
        raise CatalogueDamaged(self._database.where, f"It refuses a row: {broken.orig}.")

    def find(self, reference: Reference, at: datetime) -> ImageVersion:
        """Give the version that a reference means at a moment.

        Raises: VersionNotFound; ReferenceAmbiguous; ChannelNotFound; ChannelEmpty.
        """
        with self._database.reading() as connection:
            return _whole(connection, meant_by(connection, reference, at))

    def get(self, version_id: VersionId) -> ImageVersion:
        """Give a version by its whole id. Raises: VersionNotFound."""
        with self._database.reading() as connection:
            return _whole(connection, version_id)

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        with self._database.reading() as connection:
            return _first(connection, tables.images.c.name == image, _v.number.desc())

    def of_run(self, run_id: RunId) -> ImageVersion | None:
        """Give the version that a run recorded, or None; copies of it are not meant."""
        is_its_own = and_(_v.run_id == run_id, _v.copied_from.is_(None))
        with self._database.reading() as connection:
            return _first(connection, is_its_own, _v.number)

    def last_build(self, image: ImageName, wildcard: Wildcard) -> LastBuild | None:
        """Give the highest build of those that a wildcard asks for, or None."""
        query = (
            select(_v.major, _v.minor, _v.patch, _v.build, _v.definition_digest)
            .join(tables.images, tables.images.c.id == _v.image_id)
            .where(tables.images.c.name == image, fits(wildcard))
            .order_by(*HIGHEST_FIRST)
        )
        with self._database.reading() as connection:
            row = connection.execute(query.limit(1)).mappings().first()
        if row is None:
            return None
        return LastBuild(
            version=mapping.build_version(row), definition_digest=Digest(row["definition_digest"])
        )

    def before(self, version_id: VersionId) -> VersionId | None:
        """Give the version of the same image that was recorded before another, or None."""
        one = tables.versions.alias("one")
        query = (
            select(_v.id)
            .join(one, and_(one.c.image_id == _v.image_id, one.c.number > _v.number))
            .where(one.c.id == version_id)
            .order_by(_v.number.desc())
        )
        with self._database.reading() as connection:
            found = connection.scalar(query.limit(1))
            return mapping.version_id(found)

    def references(self, ids: Collection[VersionId]) -> Mapping[VersionId, str]:
        """Give how people name versions; an id that is not recorded is left out."""
        with self._database.reading() as connection:
            return read_references(connection, ids)

    def names(self) -> Sequence[ImageName]:
        """Give the names of all images, sorted."""
        with self._database.reading() as connection:
            # Sorted here, since databases differ in the order they give to names.
            return sorted(map(ImageName, connection.scalars(select(tables.images.c.name))))

    def summaries(self, image: ImageName | None = None) -> Sequence[VersionSummary]:
        """Give all versions, of one image when it is named: by name, then last recorded first."""
        sizes = _artifact_sizes()
        query = (
            select(
                tables.images.c.name.label("image"),
                _v.id,
                _v.major,
                _v.minor,
                _v.patch,
                _v.build,
                _v.created_at,
                _v.parent_asked,
                tables.package_sets.c.package_count,
                func.coalesce(sizes.c.size_bytes, 0).label("size_bytes"),
                tables.bills.c.release,
            )
            .join(tables.images, tables.images.c.id == _v.image_id)
            .join(tables.package_sets, tables.package_sets.c.id == _v.package_set_id)
            .outerjoin(sizes, sizes.c.version_number == _v.number)
            .outerjoin(tables.bills, tables.bills.c.version_number == _v.number)
            .order_by(_v.number.desc())
        )
        if image is not None:
            query = query.where(tables.images.c.name == image)
        with self._database.reading() as connection:
            found = list(map(mapping.version_summary, connection.execute(query).mappings()))
        # Sorted here, since databases differ in the order they give to names.
        return sorted(found, key=lambda summary: summary.image)

    def descent(self, version_id: VersionId, scope: Scope) -> Descent:
        """Give a version and its relatives; it is one of its own, at distance 0.

        Raises: VersionNotFound.
        """
        with self._database.reading() as connection:
            found = read_descent(connection, version_id, scope)
            if not found.kin:
                raise not_found(connection, version_id, None)
            return found

    def contents_in_use(self) -> frozenset[Digest]:
        """Give the content digest of every layer that a version is made of, if not deleted."""
        stacks, lives = tables.layer_stacks.c, _v.number.not_in(_deleted())
        tops = select(_v.stack_id.label("id")).where(lives, _v.stack_id.is_not(None))
        used = tops.distinct().cte("used", recursive=True)
        below = select(stacks.below_id).join(used, used.c.id == stacks.id)
        used = used.union(below.where(stacks.below_id.is_not(None)))
        query = select(stacks.content).join(used, used.c.id == stacks.id).distinct()
        with self._database.reading() as connection:
            return frozenset(map(Digest, connection.scalars(query)))


def _deleted() -> Select[int]:
    lifecycles = tables.lifecycles.c
    return select(lifecycles.version_number).where(lifecycles.lifecycle == Lifecycle.DELETED.value)


def _artifact_sizes() -> Subquery:
    columns = tables.artifacts.c
    total = func.sum(columns.size_bytes).label("size_bytes")
    return select(columns.version_number, total).group_by(columns.version_number).subquery()


def _whole(connection: Connection, version_id: VersionId) -> ImageVersion:
    """Give a version with all that belongs to it. Raises: VersionNotFound."""
    version = _first(connection, _v.id == version_id)
    if version is None:
        raise not_found(connection, version_id, None)
    return version


def _first(
    connection: Connection, condition: ColumnElement[bool], *order: ColumnElement[int]
) -> ImageVersion | None:
    """Give the first version that a condition holds for, with all that belongs to it."""
    query = (
        select(tables.versions, tables.images.c.name.label("image"), tables.plans.c.text)
        .join(tables.images, tables.images.c.id == _v.image_id)
        .join(tables.plans, tables.plans.c.id == _v.plan_id)
        .where(condition)
        .order_by(*order)
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _with_parts(connection, row)


def _with_parts(connection: Connection, row: RowMapping) -> ImageVersion:
    number: int = row["number"]
    report_rows = _parts(connection, tables.test_reports, number)
    result_rows = _parts(connection, tables.test_results, number)
    assessment_rows = _parts(connection, tables.assessments, number)
    control_rows = _parts(connection, tables.assessed_controls, number)
    return ImageVersion(
        id=VersionId(row["id"]),
        image=ImageName(row["image"]),
        version=mapping.build_version(row),
        run_id=RunId(row["run_id"]),
        created_at=row["created_at"],
        plan_digest=Digest(row["plan_digest"]),
        definition_digest=Digest(row["definition_digest"]),
        plan=mapping.plan(row["text"]),
        parent=mapping.parent_edge(row),
        disk_digest=Digest(row["disk_digest"]),
        artifacts=tuple(map(mapping.artifact, _parts(connection, tables.artifacts, number))),
        layers=_layers(connection, row["stack_id"]),
        packages=_packages(connection, row["package_set_id"]),
        reports=mapping.reports(report_rows, result_rows),
        assessments=assessed.assessments(assessment_rows, control_rows),
        documents=_documents(connection, number),
        indexes={
            index["address"]: Digest(index["digest"])
            for index in _parts(connection, tables.indexes, number)
        },
        copied_from=mapping.version_id(row["copied_from"]),
        bill=next(map(mapping.bill, _parts(connection, tables.bills, number)), None),
    )


def _parts(connection: Connection, table: Table, number: int) -> Sequence[RowMapping]:
    """Give a version's rows of a table in the order of its primary key."""
    query = select(table).where(table.c.version_number == number).order_by(*table.primary_key)
    return connection.execute(query).mappings().all()


@cache
def _stack() -> Select[Any]:
    """Give the question for the layers of a stack, the lowest first.

    To put it together takes longer than to ask it.
    """
    stacks = tables.layer_stacks
    top = select(stacks, literal(0).label("depth")).where(stacks.c.id == bindparam("top"))
    below = top.cte("stack", recursive=True)
    further = select(stacks, below.c.depth + 1).where(stacks.c.id == below.c.below_id)
    stack = below.union_all(further)
    return select(stack).order_by(stack.c.depth.desc())


def _layers(connection: Connection, stack_id: int | None) -> tuple[RecordedLayer, ...]:
    rows = connection.execute(_stack(), {"top": stack_id}).mappings()
    return tuple(map(mapping.layer, rows))


def _packages(connection: Connection, set_id: int) -> tuple[InstalledPackage, ...]:
    members = tables.package_set_members.c
    query = (
        select(*package_columns())
        .join(tables.package_set_members, members.package_id == tables.packages.c.id)
        .where(members.set_id == set_id)
    )
    found = (
        InstalledPackage(
            name=row[0], version=row[1], architecture=row[2], source=row[3], source_version=row[4]
        )
        for row in connection.execute(query)
    )
    # Sorted here, since databases differ in the order they give to names.
    return tuple(sorted(found))


def _documents(connection: Connection, number: int) -> tuple[DocumentText, ...]:
    links = tables.version_documents.c
    query = (
        select(links.kind, links.name, links.digest, tables.documents.c.text)
        .join(tables.documents, tables.documents.c.text_digest == links.text_digest)
        .where(links.version_number == number)
        .order_by(links.position)
    )
    return tuple(map(mapping.document, connection.execute(query).mappings()))


def _refuse_what_cannot_stand(connection: Connection, version: ImageVersion) -> None:
    # Two questions, each of one index: to ask for either in one reads every version there is.
    image = image_id(connection, version.image)
    same_build = and_(_v.image_id == image, is_build(version.version))
    for is_taken in (_v.id == version.id, same_build):
        if connection.scalar(select(_v.number).where(is_taken)) is not None:
            raise VersionExists(version.reference)
    needed = (
        (version.parent.asked, version.parent.version_id),
        (version.reference, version.copied_from),
    )
    for asked, other in needed:
        if other is None:
            continue
        if connection.execute(select(_v.number).where(_v.id == other)).first() is None:
            raise not_found(connection, f"{asked} ({other})", None)
