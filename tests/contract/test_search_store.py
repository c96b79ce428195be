"""What every SearchStore finds: in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.labels import SqlLabelStore
from imagebuilder.adapters.sql.searches import SqlSearchStore
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.labels import LabelQuery, Noted, Notes
from imagebuilder.domain.package_query import PackageQuery
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.search import (
    ComponentQuery,
    CveQuery,
    Match,
    SortKey,
    VersionQuery,
)
from tests.build import SOME_DAY, a_layer, a_package, a_version, an_artifact
from tests.databases import DATABASES, FreshLocation

VERSIONS = (
    a_version(
        "base@1.0.0/1",
        id=VersionId("base-1"),
        layers=(a_layer("root", version="1.0.0"),),
        packages=(a_package("openssl", "3.0.9-1"), a_package("bash", "5.2")),
        artifacts=(an_artifact(size_bytes=30),),
    ),
    a_version(
        "web@2.0.0/1",
        id=VersionId("web-1"),
        created_at=SOME_DAY + timedelta(days=2),
        layers=(a_layer("root", version="1.0.0"), a_layer("nginx", version="1.2.0")),
        packages=(a_package("openssl", "3.0.15-1"), a_package("bash", "5.2")),
        artifacts=(an_artifact(size_bytes=10), an_artifact(ArtifactFormat.RAW, size_bytes=30)),
    ),
    a_version(
        "web@1.9.0/1",
        id=VersionId("web-2"),
        created_at=SOME_DAY + timedelta(days=1),
        layers=(a_layer("root", version="1.0.0"), a_layer("nginx", version="2.0.0")),
        packages=(
            a_package("openssl", "1:0.1"),
            a_package("openssl", "3.0.9", architecture="x86_64"),
        ),
        artifacts=(),
    ),
)
"""In the order of their recording, which is not that of their clocks nor of their numbers."""

WEB = ImageName("web")
NOTES = (
    (
        Noted(image=WEB),
        Notes(labels={"team": "web", "tier": "front"}, description="Public 100% Über"),
    ),
    (Noted(image=WEB, version_id=VersionId("web-2")), Notes(labels={"team": "db"})),
)


@dataclass(frozen=True)
class Found:
    searches: SqlSearchStore

    def __call__(self, **asked: Any) -> list[str]:
        return list(self.searches.search(VersionQuery(**asked)).ids)


@pytest.fixture(params=DATABASES)
def found(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Found]:
    with open_database(fresh_location(request.param)) as database:
        for version in VERSIONS:
            SqlVersionStore(database).add(version)
        for noted, notes in NOTES:
            SqlLabelStore(database).keep(noted, notes)
        yield Found(SqlSearchStore(database))


def packages(*texts: str) -> tuple[PackageQuery, ...]:
    return tuple(map(PackageQuery.parse, texts))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["openssl"], ["base-1", "web-2", "web-1"]),
        (["openssl<3.0.15"], ["base-1", "web-2"]),
        (["openssl>=3.0.15"], ["web-2", "web-1"]),
        (["openssl=1:0.1"], ["web-2"]),
        (["openssl<3.0.15", "bash"], ["base-1"]),
        (["open"], []),
        (["openssl>9:0"], []),
    ],
)
def test_search_by_package_then_compares_as_the_package_manager_does(
    found: Found, texts: list[str], expected: list[str]
) -> None:
    assert found(packages=packages(*texts)) == expected


def test_search_by_fixes_then_one_of_each_is_enough(found: Found) -> None:
    def cve(*fixes: str) -> CveQuery:
        return CveQuery(cve="CVE-2026-1", fixes=packages(*fixes))

    assert found(cves=(cve("bash<5", "openssl<3.0.10-2"),)) == ["base-1", "web-2"]
    assert found(cves=(cve("bash<5"), cve("openssl<9"))) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", ["web-2", "web-1"]),
        ("nginx@1.x", ["web-1"]),
        ("nginx@2.0.0", ["web-2"]),
        ("root", ["base-1", "web-2", "web-1"]),
        ("ngin", []),
    ],
)
def test_search_by_component_then_finds_all_that_stands_on_it(
    found: Found, text: str, expected: list[str]
) -> None:
    assert found(components=(ComponentQuery.parse(text),)) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (LabelQuery(name="team"), ["web-2", "web-1"]),
        (LabelQuery(name="team", value="web"), ["web-1"]),
        (LabelQuery(name="team", value="db"), ["web-2"]),
        (LabelQuery(name="tier", value="front"), ["web-2", "web-1"]),
        (LabelQuery(name="te"), []),
    ],
)
def test_search_by_label_then_a_version_s_own_counts_before_its_image_s(
    found: Found, label: LabelQuery, expected: list[str]
) -> None:
    assert found(labels=(label,)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("PUBLIC",), ["web-2", "web-1"]),
        (("100%",), ["web-2", "web-1"]),
        (("1%0",), []),
        (("public", "db"), ["web-2"]),
        (("base",), ["base-1"]),
        (("über",), []),
        (("ÜBER",), ["web-2", "web-1"]),
    ],
)
def test_search_by_words_then_each_must_stand_somewhere(
    found: Found, words: tuple[str, ...], expected: list[str]
) -> None:
    assert found(words=words) == expected


def test_search_by_the_rest_then_all_of_it_must_fit(found: Found) -> None:
    assert found(image="w*") == ["web-2", "web-1"]
    assert found(image="W*") == []
    assert found(built_before=SOME_DAY + timedelta(days=1)) == ["base-1"]
    assert found(built_after=SOME_DAY + timedelta(days=1)) == ["web-1"]
    assert found(only=frozenset({VersionId("web-1"), VersionId("gone")})) == ["web-1"]
    assert found(only=frozenset()) == []
    assert found(image="web", packages=packages("bash")) == ["web-1"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (SortKey.NAME, ["base-1", "web-2", "web-1"]),
        (SortKey.CREATED, ["web-1", "web-2", "base-1"]),
        (SortKey.VERSION, ["web-1", "web-2", "base-1"]),
        (SortKey.SIZE, ["web-1", "base-1", "web-2"]),
    ],
)
def test_search_when_sorted_then_in_that_order_and_reversed_the_other_way_round(
    found: Found, sort: SortKey, expected: list[str]
) -> None:
    assert found(sort=sort) == expected
    assert found(sort=sort, is_reversed=True) == expected[::-1]


def test_search_in_pages_then_counts_all(found: Found) -> None:
    first = found.searches.search(VersionQuery(), 2)
    second = found.searches.search(VersionQuery(), 2, 2)

    assert (first.ids, first.count) == (("base-1", "web-2"), 3)
    assert (second.ids, second.count) == (("web-1",), 3)


def test_matches_then_tells_which_version_of_the_package_each_has(found: Found) -> None:
    ids = [version.id for version in VERSIONS]

    assert found.searches.matches(ids, packages("openssl<3.0.15")) == {
        "base-1": [Match(name="openssl", version="3.0.9-1", architecture="amd64")],
        "web-2": [Match(name="openssl", version="3.0.9", architecture="x86_64")],
    }


def test_summaries_then_are_those_of_the_versions(found: Found) -> None:
    summary = found.searches.summaries_of([VersionId("web-1"), VersionId("gone")])

    assert summary.keys() == {"web-1"}
    told = summary[VersionId("web-1")]
    assert (told.reference, told.package_count, told.size_bytes) == ("web@2.0.0/1", 2, 40)
    assert told.release == "unknown"


def test_fixes_when_nobody_recorded_one_then_are_none(found: Found) -> None:
    assert found.searches.fixes("CVE-2026-1") == []
