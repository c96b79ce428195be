"""Versions in SQL."""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Subquery,
    Table,
    and_,
    func,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.descents import read_descent
from imagebuilder.adapters.sql.recording import image_id, insert_version, package_columns
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    DocumentText,
    ImageVersion,
    RecordedLayer,
    Reference,
    ReferenceAmbiguous,
    VersionNotFound,
    VersionSummary,
)
from imagebuilder.domain.lineage import Descent, LineageEdge, LineageNode, Scope, origin_of
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.ports.catalogue import CatalogueDamaged, VersionExists

_RACES = 5
"""How often another process may have recorded the same image or package in between."""
_SHOWN = 8

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

    def find(self, reference: Reference) -> ImageVersion:
        """Give the version with the highest number of those that reference means.

        Raises: VersionNotFound; ReferenceAmbiguous: several ids start so.
        """
        with self._database.reading() as connection:
            condition = _meant_by(reference)
            if not reference.asked and image_id(connection, reference.name) is None:
                condition = _v.id == _whole_id(connection, reference.name)
            order = (_v.major.desc(), _v.minor.desc(), _v.patch.desc(), _v.build.desc())
            version = _first(connection, condition, *order)
            if version is None:
                raise VersionNotFound(str(reference), _existing(connection, reference.name))
            return version

    def get(self, version_id: VersionId) -> ImageVersion:
        """Give a version by its whole id. Raises: VersionNotFound."""
        with self._database.reading() as connection:
            version = _first(connection, _v.id == version_id)
            if version is None:
                raise VersionNotFound(version_id, _existing(connection, None))
            return version

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        with self._database.reading() as connection:
            return _first(connection, tables.images.c.name == image, _v.number.desc())

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
            )
            .join(tables.images, tables.images.c.id == _v.image_id)
            .join(tables.package_sets, tables.package_sets.c.id == _v.package_set_id)
            .outerjoin(sizes, sizes.c.version_number == _v.number)
            .order_by(_v.number.desc())
        )
        if image is not None:
            query = query.where(tables.images.c.name == image)
        with self._database.reading() as connection:
            found = [
                VersionSummary(
                    id=VersionId(row["id"]),
                    image=ImageName(row["image"]),
                    version=mapping.build_version(row),
                    created_at=row["created_at"],
                    parent_asked=row["parent_asked"],
                    package_count=row["package_count"],
                    size_bytes=int(row["size_bytes"]),
                )
                for row in connection.execute(query).mappings()
            ]
        # Sorted here, since databases differ in the order they give to names.
        return sorted(found, key=lambda summary: summary.image)

    def lineage(self) -> tuple[Sequence[LineageNode], Sequence[LineageEdge]]:
        """Give the whole graph, with a node for each outside parent (its kind is `origin`)."""
        query = (
            select(
                tables.images.c.name.label("image"),
                _v.id,
                _v.major,
                _v.minor,
                _v.patch,
                _v.build,
                _v.parent_asked,
                _v.parent_identity,
                _v.parent_id,
            )
            .join(tables.images, tables.images.c.id == _v.image_id)
            .order_by(_v.number)
        )
        origins: dict[str, LineageNode] = {}
        nodes: list[LineageNode] = []
        edges: list[LineageEdge] = []
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                label = f"{row['image']}@{mapping.build_version(row)}"
                nodes.append(LineageNode(id=row["id"], label=label, kind="version"))
                parent = mapping.parent_edge(row)
                parent_id: str | None = parent.version_id
                if parent_id is None:
                    origin = origin_of(parent.identity, asked=parent.asked)
                    parent_id = origins.setdefault(origin.id, origin).id
                edges.append(LineageEdge(parent=parent_id, child=row["id"], asked=parent.asked))
        return [*origins.values(), *nodes], edges

    def descent(self, version_id: VersionId, scope: Scope) -> Descent:
        """Give a version and its relatives; it is one of its own, at distance 0.

        Raises: VersionNotFound.
        """
        with self._database.reading() as connection:
            found = read_descent(connection, version_id, scope)
            if not found.kin:
                raise VersionNotFound(version_id, _existing(connection, None))
            return found

    def contents_in_use(self) -> frozenset[Digest]:
        """Give the content digest of every layer that a version is made of."""
        query = select(tables.layer_stacks.c.content).distinct()
        with self._database.reading() as connection:
            return frozenset(Digest(content) for content in connection.scalars(query))


def _artifact_sizes() -> Subquery:
    columns = tables.artifacts.c
    total = func.sum(columns.size_bytes).label("size_bytes")
    return select(columns.version_number, total).group_by(columns.version_number).subquery()


def _meant_by(reference: Reference) -> ColumnElement[bool]:
    named = tables.images.c.name == reference.name
    build = reference.build
    if build is None:
        numbers = zip((_v.major, _v.minor, _v.patch), reference.wildcard.fixed, strict=False)
        return and_(named, *(column == number for column, number in numbers))
    return and_(named, _is_build(build))


def _is_build(build: BuildVersion) -> ColumnElement[bool]:
    version = build.version
    return and_(
        _v.major == version.major,
        _v.minor == version.minor,
        _v.patch == version.patch,
        _v.build == build.build,
    )


def _whole_id(connection: Connection, start: str) -> str | None:
    """Give the one id that starts so, or None. Raises: ReferenceAmbiguous."""
    # LIKE would not do: SQLite's does not tell capital letters from small ones.
    query = select(_v.id).where(func.substr(_v.id, 1, len(start)) == start).order_by(_v.number)
    matching = tuple(connection.scalars(query))
    if start in matching:
        return start
    if len(matching) > 1:
        raise ReferenceAmbiguous(start, matching)
    return matching[0] if matching else None


def _existing(connection: Connection, image: str | None) -> tuple[str, ...]:
    """Give references of the image's versions, or of all when it has none, newest first."""
    query = (
        select(tables.images.c.name.label("image"), _v.major, _v.minor, _v.patch, _v.build)
        .join(tables.images, tables.images.c.id == _v.image_id)
        .order_by(_v.number.desc())
        .limit(_SHOWN)
    )
    rows = connection.execute(query.where(tables.images.c.name == image)).mappings().all()
    rows = rows or connection.execute(query).mappings().all()
    return tuple(f"{row['image']}@{mapping.build_version(row)}" for row in rows)


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
        documents=_documents(connection, number),
        indexes={
            index["address"]: Digest(index["digest"])
            for index in _parts(connection, tables.indexes, number)
        },
        copied_from=mapping.version_id(row["copied_from"]),
    )


def _parts(connection: Connection, table: Table, number: int) -> Sequence[RowMapping]:
    """Give a version's rows of a table in the order of its primary key."""
    query = select(table).where(table.c.version_number == number).order_by(*table.primary_key)
    return connection.execute(query).mappings().all()


def _layers(connection: Connection, stack_id: int | None) -> tuple[RecordedLayer, ...]:
    """Give the layers of a stack, the lowest first."""
    stacks = tables.layer_stacks
    below = (
        select(stacks, literal(0).label("depth"))
        .where(stacks.c.id == stack_id)
        .cte("stack", recursive=True)
    )
    further = select(stacks, below.c.depth + 1).where(stacks.c.id == below.c.below_id)
    stack = below.union_all(further)
    rows = connection.execute(select(stack).order_by(stack.c.depth.desc())).mappings()
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
    same_build = and_(_v.image_id == image, _is_build(version.version))
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
            raise VersionNotFound(f"{asked} ({other})", _existing(connection, None))
