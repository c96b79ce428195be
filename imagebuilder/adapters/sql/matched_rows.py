"""The rows of what was found: sets hold sources, and sources hold vulnerabilities."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.domain.advisory import FixState, Matched, Vulnerability
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.vulnerabilities import MatchKey

_m = tables.matches.c
_s = tables.match_sources.c
_o = tables.vulnerable_sources.c
_f = tables.vulnerabilities.c
_RENEWED = ("database_digest", "matched_at", "dated_at", "exploited_dated_at")

_Source: TypeAlias = tuple[str, str, str]
"""A source package as it is installed: the release, its name and its version."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a source package now."""

    source: _Source
    digest: Digest
    vulnerabilities: tuple[Vulnerability, ...]

    @property
    def key(self) -> tuple[_Source, str]:
        """What its row is told from others by."""
        return (self.source, self.digest.hex)


def key_of(row: RowMapping) -> MatchKey:
    """Give the set and the release that a row is of."""
    return MatchKey(release=row["release"], package_set=row["package_set_id"])


def held_sources(connection: Connection, keys: Collection[MatchKey]) -> dict[MatchKey, set[int]]:
    """Give the sources that sets hold, by their numbers."""
    held: dict[MatchKey, set[int]] = {key: set() for key in keys}
    sets = {key.package_set for key in held}
    query = select(_s.release, _s.package_set_id, _s.source_id)
    rows = connection.execute(query.where(among(_s.package_set_id, sets))).all()
    for release, number, source in rows:
        key = MatchKey(release=release, package_set=number)
        if key in held:
            held[key].add(source)
    return held


def found_of(
    connection: Connection, sources: Collection[int]
) -> Mapping[int, Sequence[Vulnerability]]:
    """Give the vulnerabilities of sources."""
    found: dict[int, list[Vulnerability]] = {number: [] for number in sources}
    query = select(tables.vulnerabilities, _o.package, _o.installed_version).join(
        tables.vulnerable_sources, _o.id == _f.source_id
    )
    rows = connection.execute(query.where(among(_f.source_id, found))).mappings().all()
    for row in rows:
        found[row["source_id"]].append(_vulnerability(row))
    return found


def keep(connection: Connection, found: Mapping[MatchKey, Matched]) -> None:
    """Keep what was found of sets, in place of what was found before."""
    told = _told(found)
    at = max((matched.at for matched in found.values()), default=None)
    if at is None:
        return
    numbers = _numbers(
        connection, {each.key: each for those in told.values() for each in those}, at
    )
    _keep_matches(connection, found)
    before = held_sources(connection, found)
    after = {key: {numbers[each.key] for each in those} for key, those in told.items()}
    gone = [(key, number) for key in found for number in sorted(before[key] - after[key])]
    new = [(key, number) for key in found for number in sorted(after[key] - before[key])]
    is_member = (
        _s.package_set_id == bindparam("old_package_set_id"),
        _s.release == bindparam("old_release"),
        _s.source_id == bindparam("old_source_id"),
    )
    statement = delete(tables.match_sources).where(*is_member)
    _write(connection, statement, [_member(*each, prefix="old_") for each in gone])
    _write(connection, insert(tables.match_sources), [_member(*each) for each in new])
    _forget(connection, {number for _, number in gone})


def _told(found: Mapping[MatchKey, Matched]) -> dict[MatchKey, list[_Told]]:
    """Give what is told of sets by their sources, each of which is made once."""
    known: dict[_Source, list[_Told]] = {}
    told: dict[MatchKey, list[_Told]] = {}
    for key, matched in found.items():
        by_source: dict[_Source, list[Vulnerability]] = {}
        for each in matched.vulnerabilities:
            source = (key.release, each.package, each.installed_version)
            by_source.setdefault(source, []).append(each)
        told[key] = [
            _same(known.setdefault(source, []), source, tuple(those))
            for source, those in by_source.items()
        ]
    return told


def _same(known: list[_Told], source: _Source, those: tuple[Vulnerability, ...]) -> _Told:
    """Give what is told of a source, as one that is known already where it is the same."""
    for told in known:
        if told.vulnerabilities == those:
            return told
    told = _Told(source, digest_of([_canonical(each) for each in those]), those)
    known.append(told)
    return told


def _numbers(
    connection: Connection, told: Mapping[tuple[_Source, str], _Told], at: datetime
) -> Mapping[tuple[_Source, str], int]:
    """Give the numbers of sources, which are written where they are not there yet."""
    there = _there(connection, told)
    new = [each for key, each in told.items() if key not in there]
    if not new:
        return there
    seen = _first_seen(connection, {each.source for each in new}, there)
    rows: list[mapping.Values] = [
        {"release": r, "package": p, "installed_version": v, "digest": each.digest.hex}
        for each in new
        for r, p, v in [each.source]
    ]
    _write(connection, insert(tables.vulnerable_sources), rows)
    there = _there(connection, told)
    _write(
        connection,
        insert(tables.vulnerabilities),
        [
            _told_columns(vulnerability)
            | {
                "source_id": there[each.key],
                "first_seen_at": seen.get((each.source, vulnerability.cve), at),
            }
            for each in new
            for vulnerability in each.vulnerabilities
        ],
    )
    return there


def _there(
    connection: Connection, told: Iterable[tuple[_Source, str]]
) -> dict[tuple[_Source, str], int]:
    """Give the numbers of all that is told of the same packages, today and before."""
    query = select(_o.id, _o.release, _o.package, _o.installed_version, _o.digest)
    query = query.where(among(_o.package, {package for (_, package, _), _ in told}))
    return {
        ((row.release, row.package, row.installed_version), row.digest): row.id
        for row in connection.execute(query)
    }


def _first_seen(
    connection: Connection, sources: set[_Source], there: Mapping[tuple[_Source, str], int]
) -> Mapping[tuple[_Source, str], datetime]:
    """Give when CVEs were first seen in sources that something else is told of now."""
    before = {number: source for (source, _), number in there.items() if source in sources}
    query = select(_f.source_id, _f.cve, _f.first_seen_at).where(among(_f.source_id, before))
    seen: dict[tuple[_Source, str], datetime] = {}
    for number, cve, at in connection.execute(query):
        key = (before[number], cve)
        seen[key] = min(at, seen.get(key, at))
    return seen


def _keep_matches(connection: Connection, found: Mapping[MatchKey, Matched]) -> None:
    query = select(tables.matches).where(
        among(_m.package_set_id, {key.package_set for key in found})
    )
    known = {key_of(row) for row in connection.execute(query).mappings()}
    rows = {key: _match_columns(key, matched) for key, matched in found.items()}
    _write(connection, insert(tables.matches), [r for k, r in rows.items() if k not in known])
    is_it = (
        _m.package_set_id == bindparam("key_package_set"),
        _m.release == bindparam("key_release"),
    )
    renewed: dict[str, ColumnElement[Any]] = {name: bindparam(f"new_{name}") for name in _RENEWED}
    _write(
        connection,
        update(tables.matches).where(*is_it).values(renewed),
        [
            {
                "key_package_set": key.package_set,
                "key_release": key.release,
                **{f"new_{name}": row[name] for name in _RENEWED},
            }
            for key, row in rows.items()
            if key in known
        ],
    )


def _forget(connection: Connection, sources: set[int]) -> None:
    """Take away what of sources no set holds any more."""
    held = select(_s.source_id).where(among(_s.source_id, sources))
    gone = sources - set(connection.scalars(held))
    if gone:
        connection.execute(delete(tables.vulnerabilities).where(among(_f.source_id, gone)))
        connection.execute(delete(tables.vulnerable_sources).where(among(_o.id, gone)))


def _write(connection: Connection, statement: Executable, rows: list[mapping.Values]) -> None:
    if rows:
        connection.execute(statement, rows)


def _member(key: MatchKey, source: int, prefix: str = "") -> mapping.Values:
    return {
        f"{prefix}package_set_id": key.package_set,
        f"{prefix}release": key.release,
        f"{prefix}source_id": source,
    }


def _match_columns(key: MatchKey, matched: Matched) -> mapping.Values:
    return {
        "package_set_id": key.package_set,
        "release": key.release,
        "database_digest": matched.by.database.hex,
        "matched_at": matched.at,
        "dated_at": matched.by.dates.said_at,
        "exploited_dated_at": matched.by.dates.exploited_at,
    }


def _told_columns(found: Vulnerability) -> mapping.Values:
    return {
        "cve": found.cve,
        "fixed_version": found.fixed_version,
        "state": found.state.value,
        "severity": found.severity.value,
        "is_known_exploited": found.is_known_exploited,
        "epss": found.epss,
        "reason": found.reason,
        "advisories": json.dumps(found.advisories),
    }


def _canonical(found: Vulnerability) -> list[Canonical]:
    """Give what a vulnerability is told from what was said of it before by."""
    told: list[Canonical] = [found.cve, found.fixed_version, found.state, found.severity]
    return [*told, found.is_known_exploited, found.epss, found.reason, found.advisories]


def _vulnerability(row: RowMapping) -> Vulnerability:
    return Vulnerability(
        cve=row["cve"],
        package=row["package"],
        installed_version=row["installed_version"],
        fixed_version=row["fixed_version"],
        state=FixState(row["state"]),
        severity=Severity(row["severity"]),
        is_known_exploited=row["is_known_exploited"],
        epss=row["epss"],
        reason=row["reason"],
        advisories=tuple(json.loads(row["advisories"])),
        first_seen_at=row["first_seen_at"],
    )
