"""What VersionStore.descent gives, in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.lineage import Descent, Scope
from imagebuilder.ports.catalogue import VersionStore
from tests.build import a_parent, a_version
from tests.databases import DATABASES, FreshLocation
from tests.fakes.catalogue import FakeVersionStore

FAMILY: Mapping[str, str | None] = {
    "base": None,
    "web": "base",
    "db": "base",
    "shop": "web",
    "till": "shop",
    "other": None,
}
"""Who is built on whom. Shape: child -> parent, in the order of their recording."""


@pytest.fixture(params=["fake", *DATABASES])
def versions(
    request: pytest.FixtureRequest, fresh_location: FreshLocation
) -> Iterator[VersionStore]:
    if request.param == "fake":
        yield recorded(FakeVersionStore())
        return
    with open_database(fresh_location(request.param)) as database:
        yield recorded(SqlVersionStore(database))


def recorded(store: VersionStore) -> VersionStore:
    for child, parent in FAMILY.items():
        edge = a_parent(parent, asked=f"image:{parent}@1.x") if parent else a_parent()
        store.add(a_version(f"{child}@1.0.0/1", id=VersionId(child), parent=edge))
    return store


def told(found: Descent) -> list[tuple[str, int]]:
    return [(kin.id, kin.distance) for kin in found.kin]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), [("web", 0), ("base", -1), ("shop", 1), ("till", 2)]),
        (Scope(up=False), [("web", 0), ("shop", 1), ("till", 2)]),
        (Scope(down=False), [("web", 0), ("base", -1)]),
        (Scope(depth=1), [("web", 0), ("base", -1), ("shop", 1)]),
        (Scope(up=False, down=False), [("web", 0)]),
    ],
)
def test_descent_then_has_the_relatives_within_the_scope_nearest_first(
    versions: VersionStore, scope: Scope, expected: list[tuple[str, int]]
) -> None:
    found = versions.descent(VersionId("web"), scope)

    assert (found.focus, told(found), found.left_out) == ("web", expected, 0)


def test_descent_when_limited_then_leaves_the_farthest_out_and_counts_them(
    versions: VersionStore,
) -> None:
    found = versions.descent(VersionId("base"), Scope(limit=3))

    assert told(found) == [("base", 0), ("web", 1), ("db", 1)]
    assert found.left_out == 2


def test_descent_then_tells_of_each_what_it_was_built_on(versions: VersionStore) -> None:
    (web,) = versions.descent(VersionId("web"), Scope(up=False, down=False)).kin

    assert web.reference == "web@1.0.0/1"
    assert web.parent == a_parent("base", asked="image:base@1.x")


def test_descent_when_the_version_is_unknown_then_is_refused(versions: VersionStore) -> None:
    with pytest.raises(VersionNotFound):
        versions.descent(VersionId("we"), Scope())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=12), st.data())
def test_descent_then_is_what_a_walk_over_all_versions_finds(
    parents: list[int], data: st.DataObject
) -> None:
    """Of every family, the database gives what the walk in memory gives."""
    scope = Scope(
        up=data.draw(st.booleans()),
        down=data.draw(st.booleans()),
        depth=data.draw(st.none() | st.integers(1, 4)),
        limit=data.draw(st.integers(1, 14)),
    )
    walked = FakeVersionStore()
    with open_database(":memory:") as database:
        stored = SqlVersionStore(database)
        ids = [VersionId(f"v{number}") for number in range(len(parents) + 1)]
        for number, version_id in enumerate(ids):
            parent = ids[parents[number - 1] % number] if number else None
            version = a_version(f"web@1.0.0/{number + 1}", id=version_id, parent=a_parent(parent))
            walked.add(version)
            stored.add(version)
        focus = data.draw(st.sampled_from(ids))

        assert stored.descent(focus, scope) == walked.descent(focus, scope)
