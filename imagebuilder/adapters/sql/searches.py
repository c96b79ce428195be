"""Finding versions in SQL, by what they hold and by what was said of them.

Versions share their sets of packages and their stacks of layers: those few are looked through, and
not the rows of each version.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    true,
)

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.resolving import by_bytes
from imagebuilder.adapters.sql.vulnerabilities import found_in, has_cve
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionSummary
from imagebuilder.domain.labels import LabelQuery
from imagebuilder.domain.package_query import Constraint, PackageQuery, Sign
from imagebuilder.domain.search import ComponentQuery, Hits, Match, SortKey, VersionQuery
from imagebuilder.domain.versions import PackageOrder, Version

_v = tables.versions.c
_i = tables.images.c
_p = tables.packages.c
_m = tables.package_set_members.c
_s = tables.layer_stacks.c
_f = tables.cve_fixes.c
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class SqlSearchStore:
    """A SearchStore in a database."""

    def __init__(self, database: Database) -> None:
        """Search in an open catalogue."""
        self._database = database

    def search(self, query: VersionQuery, limit: int | None = None, offset: int = 0) -> Hits:
        """Give the versions that fit everything that is said, in the order that is asked for."""
        with self._database.reading() as connection:
            fitting = and_(true(), *_conditions(connection, query))
            ordered = select(_v.number).join(tables.images, _i.id == _v.image_id).where(fitting)
            page = ordered.order_by(*_order(query, connection)).offset(offset).limit(limit)
            numbers = connection.scalars(page).all()
            count = len(numbers)
            if limit is not None or offset:
                counted = select(func.count()).select_from(tables.versions).where(fitting)
                count = connection.scalar(counted) or 0
            # Numbers are sorted, since an index has them, and ids are read of those to be given.
            named = select(_v.number, _v.id).where(among(_v.number, numbers))
            ids = {number: VersionId(id_) for number, id_ in connection.execute(named)}
            return Hits(ids=tuple(ids[number] for number in numbers), count=count)

    def summaries_of(self, ids: Collection[VersionId]) -> Mapping[VersionId, VersionSummary]:
        """Give what a list shows of versions; an id that is not recorded is left out."""
        with self._database.reading() as connection:
            rows = connection.execute(_summaries().where(among(_v.id, ids))).mappings().all()
        return {VersionId(row["id"]): mapping.version_summary(row) for row in rows}

    def matches(
        self, ids: Collection[VersionId], packages: Collection[PackageQuery]
    ) -> Mapping[VersionId, Sequence[Match]]:
        """Give the packages of versions that one of some queries means, by name."""
        found: dict[VersionId, list[Match]] = {}
        with self._database.reading() as connection:
            meant = {row: None for query in packages for row in _package_ids(connection, query)}
            query = (
                select(_v.id, _p.name, _p.version, _p.architecture)
                .join(tables.package_set_members, _m.set_id == _v.package_set_id)
                .join(tables.packages, _p.id == _m.package_id)
                .where(among(_p.id, meant), among(_v.id, ids))
            )
            for row in connection.execute(query):
                match = Match(name=row[1], version=row[2], architecture=row[3])
                found.setdefault(VersionId(row[0]), []).append(match)
        return {
            each: sorted(matched, key=lambda m: (m.name, m.architecture, m.version))
            for each, matched in found.items()
        }

    def vulnerable(
        self, ids: Collection[VersionId], cves: Collection[str]
    ) -> Mapping[VersionId, Sequence[Match]]:
        """Give the source packages of versions that CVEs were found in, by name."""
        found: dict[VersionId, list[Match]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(found_in(ids, cves)):
                match = Match(name=row[1], version=row[2], architecture="source")
                found.setdefault(VersionId(row[0]), []).append(match)
        return {each: sorted(f, key=lambda m: (m.name, m.version)) for each, f in found.items()}

    def fixes(self, cve: str) -> Sequence[PackageQuery]:
        """Give what is older than the fix of a CVE, of each package that was fixed."""
        query = select(_f.package, _f.fixed_version).where(_f.cve == cve)
        fixed: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for name, version in connection.execute(query.order_by(_f.package, _f.fixed_version)):
                fixed.setdefault(name, []).append(version)
        return [
            _older(name, version, versions)
            for name, versions in fixed.items()
            for version in versions
        ]


def _older(name: str, version: str, fixed: Sequence[str]) -> PackageQuery:
    """Give what is older than a fix, and is not itself the fix of another release."""
    others = [Constraint(sign=Sign.OTHER, version=other) for other in fixed if other != version]
    return PackageQuery(
        name=name, constraints=(Constraint(sign=Sign.BELOW, version=version), *others)
    )


def _conditions(connection: Connection, query: VersionQuery) -> list[ColumnElement[bool]]:
    held = [_holding(connection, [package]) for package in query.packages]
    held += [or_(has_cve(each.cve), _holding(connection, each.fixes)) for each in query.cves]
    held += [_made_with(connection, component) for component in query.components]
    held += [_labelled(label) for label in query.labels]
    held += [_worded(connection, word) for word in query.words]
    if query.image:
        images = connection.execute(select(_i.id, _i.name))
        fitting = [number for number, name in images if fnmatchcase(name, query.image)]
        held.append(among(_v.image_id, fitting))
    if query.built_before is not None:
        held.append(_v.created_at < query.built_before)
    if query.built_after is not None:
        held.append(_v.created_at > query.built_after)
    if query.only is not None:
        held.append(among(_v.id, query.only))
    return held


def _order(query: VersionQuery, connection: Connection) -> list[ColumnElement[Any]]:
    # Databases differ in the order they give to names; that of bytes is everywhere the same.
    name = by_bytes(connection, _i.name)
    ascending: list[ColumnElement[Any]] = []
    descending: list[ColumnElement[Any]] = [_v.number]
    match query.sort:
        case SortKey.NAME:
            ascending = [name]
        case SortKey.CREATED:
            descending = [_v.created_at, _v.number]
        case SortKey.VERSION:
            descending = [_v.major, _v.minor, _v.patch, _v.build, _v.number]
        case SortKey.SIZE:
            descending = [_size(), _v.number]
    if query.is_reversed:
        return [*(c.desc() for c in ascending), *(c.asc() for c in descending)]
    return [*(c.asc() for c in ascending), *(c.desc() for c in descending)]


def _size() -> ScalarSelect[int]:
    artifacts = tables.artifacts.c
    total = select(func.coalesce(func.sum(artifacts.size_bytes), 0))
    return total.where(artifacts.version_number == _v.number).scalar_subquery()


def _holding(connection: Connection, packages: Iterable[PackageQuery]) -> ColumnElement[bool]:
    meant = {row for package in packages for row in _package_ids(connection, package)}
    return _v.package_set_id.in_(select(_m.set_id).where(among(_m.package_id, meant)))


def _package_ids(connection: Connection, query: PackageQuery) -> list[int]:
    """Give the rows of a package that a query means; there is one for each of its versions."""
    rows = connection.execute(
        select(_p.id, _p.version, _p.architecture).where(_p.name == query.name)
    )
    return [row[0] for row in rows if query.matches(row[1], PackageOrder.of(row[2]))]


def _made_with(connection: Connection, component: ComponentQuery) -> ColumnElement[bool]:
    """Whether one of a version's layers, its parent's included, was made by a component."""
    rows = connection.execute(
        select(_s.id, _s.component_version).where(
            _s.name == component.name, _s.component_digest.is_not(None)
        )
    )
    tops = [row[0] for row in rows if _is_meant(component, row[1])]
    begun = select(_s.id).where(among(_s.id, tops)).cte("standing_on", recursive=True)
    standing_on = begun.union(select(_s.id).where(_s.below_id == begun.c.id))
    return _v.stack_id.in_(select(standing_on.c.id))


def _is_meant(component: ComponentQuery, version: str) -> bool:
    try:
        return component.wildcard.matches(Version.parse(version))
    except ValueError:
        return not component.wildcard.fixed


def _labelled(label: LabelQuery) -> ColumnElement[bool]:
    """Whether a version is found by a label: its own, or its image's where it has none such."""
    own, image = tables.version_labels.c, tables.image_labels.c
    has_own = exists().where(own.version_number == _v.number, own.name == label.name)
    has_images = exists().where(image.image_id == _v.image_id, image.name == label.name)
    if label.value is None:
        return or_(has_own, has_images)
    return or_(
        has_own.where(own.value == label.value),
        and_(has_images.where(image.value == label.value), ~has_own),
    )


def _worded(connection: Connection, word: str) -> ColumnElement[bool]:
    """Whether a word stands in what people call a version, or in what they noted on it."""
    places = (
        (tables.version_descriptions, _v.number, ("text",)),
        (tables.image_descriptions, _v.image_id, ("text",)),
        (tables.version_labels, _v.number, ("name", "value")),
        (tables.image_labels, _v.image_id, ("name", "value")),
    )
    noted = (
        exists().where(
            next(iter(table.primary_key)) == owner,
            or_(*(_has(connection, table.c[column], word) for column in columns)),
        )
        for table, owner, columns in places
    )
    images = select(_i.id).where(_has(connection, _i.name, word))
    return or_(_v.image_id.in_(images), *noted)


def _has(connection: Connection, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether a word stands in a column, whatever the case of its ASCII letters."""
    # SQLite knows no other letters; PostgreSQL does, unless it is to go by their bytes.
    lower = func.lower(by_bytes(connection, column))
    return lower.contains(word.translate(_ASCII_LOWER), autoescape=True)


def _summaries() -> Select[tuple[object, ...]]:
    return (
        select(
            _v.id,
            _i.name.label("image"),
            _v.major,
            _v.minor,
            _v.patch,
            _v.build,
            _v.created_at,
            _v.parent_asked,
            tables.package_sets.c.package_count,
            _size().label("size_bytes"),
            tables.bills.c.release,
        )
        .join(tables.images, _i.id == _v.image_id)
        .join(tables.package_sets, tables.package_sets.c.id == _v.package_set_id)
        .outerjoin(tables.bills, tables.bills.c.version_number == _v.number)
    )
