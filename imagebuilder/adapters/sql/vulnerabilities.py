"""What advisories say of sets of packages, in SQL."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Join,
    RowMapping,
    Select,
    and_,
    bindparam,
    exists,
    func,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.matched_rows import found_of, held_sources, keep, key_of
from imagebuilder.adapters.sql.recording import package_columns
from imagebuilder.domain.advisory import Dates, Matched, MatchedBy, by_key
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.ports.catalogue import CatalogueDamaged
from imagebuilder.ports.vulnerabilities import MatchKey

_v = tables.versions.c
_i = tables.images.c
_b = tables.bills.c
_m = tables.matches.c
_s = tables.match_sources.c
_o = tables.vulnerable_sources.c
_f = tables.vulnerabilities.c


class SqlVulnerabilityStore:
    """A VulnerabilityStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep what is found in an open catalogue."""
        self._database = database

    def key(self, version_id: VersionId) -> MatchKey | None:
        """Give the packages and the release of a version, None when no bill tells its release."""
        query = select(_b.release, _v.package_set_id).select_from(_billed())
        with self._database.reading() as connection:
            row = connection.execute(query.where(_v.id == version_id)).one_or_none()
        return None if row is None else MatchKey(release=row[0], package_set=row[1])

    def keys(self, image: ImageName | None = None) -> Mapping[MatchKey, MatchedBy | None]:
        """Give what versions have, of one image when it is named, and what it was matched with."""
        held = select(_b.release, _v.package_set_id).select_from(_billed())
        held = held.where(_live(), _of(image)).distinct()
        with self._database.reading() as connection:
            keys = sorted(
                MatchKey(release=release, package_set=number)
                for release, number in connection.execute(held)
            )
            rows = connection.execute(select(tables.matches)).mappings()
            by = {key_of(row): _matched_by(row) for row in rows}
        return {key: by.get(key) for key in keys}

    def unbilled(self, image: ImageName | None = None) -> Sequence[str]:
        """Give the references of versions without a bill, in the order of their recording."""
        query = (
            select(_i.name.label("image"), _v.major, _v.minor, _v.patch, _v.build)
            .select_from(tables.versions)
            .join(tables.images, _i.id == _v.image_id)
            .where(_v.number.not_in(select(_b.version_number)), _live(), _of(image))
            .order_by(_v.number)
        )
        with self._database.reading() as connection:
            return [_reference(row) for row in connection.execute(query).mappings()]

    def unchecked(self) -> int:
        """Give of how many versions nothing is known, not even that nothing was found."""
        with self._database.reading() as connection:
            checked = and_(_m.release == _b.release, _m.package_set_id == _v.package_set_id)
            known = _billed().join(tables.matches, checked)
            versions = select(func.count()).select_from(tables.versions).where(_live())
            sure = select(func.count()).select_from(known).where(_live(), _m.dated_at.is_not(None))
            return (connection.scalar(versions) or 0) - (connection.scalar(sure) or 0)

    def holders(
        self, keys: Collection[MatchKey], image: ImageName | None = None
    ) -> Mapping[MatchKey, Sequence[str]]:
        """Give the references of versions that have such packages, as they were recorded."""
        held: dict[MatchKey, list[str]] = {}
        columns = (_b.release, _v.package_set_id, _i.name.label("image"))
        numbers = (_v.major, _v.minor, _v.patch, _v.build)
        query = select(*columns, *numbers).select_from(_billed())
        query = query.join(tables.images, _i.id == _v.image_id).where(_live(), _of(image))
        wanted = set(keys)
        sets = {key.package_set for key in wanted}
        with self._database.reading() as connection:
            chosen = query.where(among(_v.package_set_id, sets)).order_by(_v.number)
            for row in connection.execute(chosen).mappings():
                if key_of(row) in wanted:
                    held.setdefault(key_of(row), []).append(_reference(row))
        return held

    def packages(self, sets: Collection[int]) -> Mapping[int, Sequence[InstalledPackage]]:
        """Give the packages of sets."""
        members, packages = tables.package_set_members.c, tables.packages.c
        found: dict[int, list[InstalledPackage]] = {number: [] for number in sets}
        query = select(members.set_id, members.package_id).where(among(members.set_id, found))
        with self._database.reading() as connection:
            pairs = connection.execute(query).all()
            named = select(packages.id, *package_columns())
            named = named.where(among(packages.id, {number for _, number in pairs}))
            known = {
                row["id"]: mapping.package(row) for row in connection.execute(named).mappings()
            }
        for set_id, package_id in pairs:
            found[set_id].append(known[package_id])
        return found

    def matched(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Matched]:
        """Give what was found; what was never looked at is left out."""
        wanted = set(keys)
        sets = {key.package_set for key in wanted}
        with self._database.reading() as connection:
            query = select(tables.matches).where(among(_m.package_set_id, sets))
            matches = {
                key_of(row): row
                for row in connection.execute(query).mappings()
                if key_of(row) in wanted
            }
            sources = held_sources(connection, matches)
            found = found_of(connection, {number for held in sources.values() for number in held})
        return {
            key: Matched(
                at=row["matched_at"],
                by=_matched_by(row),
                vulnerabilities=tuple(
                    sorted((each for number in sources[key] for each in found[number]), key=by_key)
                ),
            )
            for key, row in matches.items()
        }

    def keep(self, found: Mapping[MatchKey, Matched]) -> None:
        """Keep what was found, all at once, in place of what was found before.

        Only what is not as before is written: most of it stays as it is from day to day.
        """
        try:
            # Who else keeps something waits, and finds the sources that are written here.
            with self._database.together(), self._database.writing() as connection:
                keep(connection, found)
        except IntegrityError as error:
            raise CatalogueDamaged(
                self._database.where, f"It refuses a row: {error.orig}."
            ) from error

    def redate(self, keys: Collection[MatchKey], dates: Dates) -> None:
        """Keep that the advisories that keys were matched with are of another moment."""
        values = {"dated_at": dates.said_at, "exploited_dated_at": dates.exploited_at}
        if not keys:
            return
        with self._database.writing() as connection:
            connection.execute(
                update(tables.matches).where(*_is_named(_m)).values(values),
                [_named(key) for key in keys],
            )

    def knows(self, cve: str) -> bool:
        """Whether a CVE was found in any packages."""
        with self._database.reading() as connection:
            query = select(_f.source_id).where(_f.cve == cve).limit(1)
            return connection.scalar(query) is not None


def has_cve(cve: str) -> ColumnElement[bool]:
    """Whether a CVE was found in what a version holds."""
    # Which sets have it is asked once, not of each version: few sets of many have a CVE.
    having = select(_s.package_set_id, _s.release).join(
        tables.vulnerabilities, _f.source_id == _s.source_id
    )
    return exists().where(
        _b.version_number == _v.number,
        tuple_(_v.package_set_id, _b.release).in_(having.where(_f.cve == cve)),
    )


def found_in(ids: Collection[VersionId], cves: Collection[str]) -> Select[Any]:
    """Give the question in which source packages of versions CVEs were found."""
    of_version = and_(_s.package_set_id == _v.package_set_id, _s.release == _b.release)
    found = (
        _billed()
        .join(tables.match_sources, of_version)
        .join(tables.vulnerable_sources, _o.id == _s.source_id)
        .join(tables.vulnerabilities, _f.source_id == _s.source_id)
    )
    query = select(_v.id, _o.package, _o.installed_version).select_from(found).distinct()
    return query.where(among(_v.id, ids), among(_f.cve, cves))


def _is_named(columns: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401 - a table's columns
    """Whether a row is of the key that is named when the statement is run."""
    is_of_set = columns.package_set_id == bindparam("key_package_set")
    return (is_of_set, columns.release == bindparam("key_release"))


def _named(key: MatchKey) -> mapping.Values:
    return {"key_package_set": key.package_set, "key_release": key.release}


def _matched_by(row: RowMapping) -> MatchedBy:
    dates = Dates(said_at=row["dated_at"], exploited_at=row["exploited_dated_at"])
    return MatchedBy(database=Digest(row["database_digest"]), dates=dates)


def _reference(row: RowMapping) -> str:
    return f"{row['image']}@{mapping.build_version(row)}"


def _billed() -> Join:
    return tables.bills.join(tables.versions, _b.version_number == _v.number)


def _live() -> ColumnElement[bool]:
    lifecycles = tables.lifecycles.c
    deleted = lifecycles.lifecycle == Lifecycle.DELETED.value
    return _v.number.not_in(select(lifecycles.version_number).where(deleted))


def _of(image: ImageName | None) -> ColumnElement[bool]:
    if image is None:
        return true()
    return _v.image_id == select(_i.id).where(_i.name == image).scalar_subquery()
