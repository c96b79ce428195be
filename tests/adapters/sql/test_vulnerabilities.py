"""What is found of a source package stands once, however many sets have it."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.searches import SqlSearchStore
from imagebuilder.adapters.sql.vulnerabilities import SqlVulnerabilityStore
from imagebuilder.domain.advisory import (
    Dates,
    Matched,
    MatchedBy,
    SourcePackage,
    Vulnerability,
    match,
)
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.search import CveQuery, VersionQuery
from imagebuilder.ports.vulnerabilities import MatchKey
from tests.build import a_bill, a_digest, a_package, a_version, an_advisory
from tests.catalogues import day

NGINX = a_package("nginx", "1.0-1")
BY = MatchedBy(database=a_digest("advisories"), dates=Dates(said_at=day(-1)))
TABLES = (tables.vulnerable_sources, tables.match_sources, tables.vulnerabilities)


@pytest.fixture
def store(database: Database) -> SqlVulnerabilityStore:
    versions = SqlVersionStore(database)
    more = (NGINX, a_package("curl", "8"))
    versions.add(a_version("web@1.0.0/1", packages=(NGINX,), bill=a_bill()))
    versions.add(a_version("db@1.0.0/1", packages=more, bill=a_bill()))
    return SqlVulnerabilityStore(database)


def key(store: SqlVulnerabilityStore, image: str) -> MatchKey:
    found = store.key(VersionId(f"version-{image}-1.0.0-1"))
    assert found is not None
    return found


def flaw(
    cve: str, package: str = "nginx", version: str = "1.0-1", epss: float | None = None
) -> Vulnerability:
    source = SourcePackage(name=package, version=version)
    return replace(match(source, [an_advisory(cve, package)], {})[0], epss=epss)


def keep(store: SqlVulnerabilityStore, image: str, *found: Vulnerability, on: float = 0) -> None:
    store.keep({key(store, image): Matched(at=day(on), by=BY, vulnerabilities=found)})


def kept(store: SqlVulnerabilityStore, image: str) -> list[tuple[str, float | None]]:
    (matched,) = store.matched([key(store, image)]).values()
    return [(each.cve, each.epss) for each in matched.vulnerabilities]


def rows(database: Database) -> list[int]:
    with database.reading() as connection:
        counts = [connection.scalar(select(func.count()).select_from(table)) for table in TABLES]
    return [count or 0 for count in counts]


def test_source_when_two_sets_have_it_then_stands_once(
    store: SqlVulnerabilityStore, database: Database
) -> None:
    both = (flaw("CVE-2026-1"), flaw("CVE-2026-2"))

    keep(store, "web", *both)
    keep(store, "db", *both, flaw("CVE-2026-3", "curl", "8"), on=2)

    assert rows(database) == [2, 3, 3]
    (matched,) = store.matched([key(store, "db")]).values()
    assert [each.first_seen_at for each in matched.vulnerabilities] == [day(0), day(0), day(2)]


def test_source_when_told_differently_then_sets_that_wait_keep_what_was_found_of_them(
    store: SqlVulnerabilityStore, database: Database
) -> None:
    old, new = flaw("CVE-2026-1", epss=0.1), flaw("CVE-2026-1", epss=0.2)
    for image in ("web", "db"):
        keep(store, image, old)

    keep(store, "web", new, flaw("CVE-2026-2"), on=5)

    assert kept(store, "web") == [("CVE-2026-1", 0.2), ("CVE-2026-2", None)]
    assert kept(store, "db") == [("CVE-2026-1", 0.1)]
    assert rows(database) == [2, 2, 3]
    (matched,) = store.matched([key(store, "web")]).values()
    assert [each.first_seen_at for each in matched.vulnerabilities] == [day(0), day(5)]
    found = SqlSearchStore(database).search(VersionQuery(cves=(CveQuery(cve="CVE-2026-2"),)))
    assert found.ids == (VersionId("version-web-1.0.0-1"),)


def test_source_when_no_set_has_it_any_more_then_is_gone(
    store: SqlVulnerabilityStore, database: Database
) -> None:
    for image in ("web", "db"):
        keep(store, image, flaw("CVE-2026-1", epss=0.1))
    for image in ("web", "db"):
        keep(store, image, flaw("CVE-2026-1", epss=0.2))

    assert rows(database) == [1, 2, 1]
    for image in ("web", "db"):
        keep(store, image)
    assert rows(database) == [0, 0, 0]
    assert kept(store, "web") == []


def test_keep_then_what_nobody_said_anything_new_of_is_not_written(
    store: SqlVulnerabilityStore, database: Database
) -> None:
    keep(store, "web", flaw("CVE-2026-1"))
    with database.reading() as connection:
        before = connection.scalar(select(tables.vulnerable_sources.c.id))

    keep(store, "web", flaw("CVE-2026-1"), on=9)

    with database.reading() as connection:
        assert connection.scalar(select(tables.vulnerable_sources.c.id)) == before
