"""What every PlacementStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.placements import SqlPlacementStore
from imagebuilder.domain.audit import Act
from imagebuilder.domain.distribution import Placement, PlacementExists, PlacementNotFound
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.placements import PlacementStore
from tests.build import SOME_DAY, a_placement, a_version
from tests.databases import DATABASES, FreshLocation
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.placements import FakePlacementStore

WEB = VersionId("version-web")
BASE = VersionId("version-base")
AMI = a_placement(WEB)


@dataclass(frozen=True, slots=True)
class Stores:
    versions: VersionStore
    placements: PlacementStore


@pytest.fixture(params=["fake", *DATABASES])
def stores(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Stores]:
    if request.param == "fake":
        versions = FakeVersionStore()
        yield Stores(versions, FakePlacementStore(versions))
        return
    with open_database(fresh_location(request.param)) as database:
        yield Stores(SqlVersionStore(database), SqlPlacementStore(database))


@pytest.fixture
def placements(stores: Stores) -> PlacementStore:
    stores.versions.add(a_version("web@1.0.0/1", id=WEB))
    stores.versions.add(a_version("base@1.0.0/1", id=BASE))
    return stores.placements


def test_placement_when_added_then_comes_back_as_it_was(placements: PlacementStore) -> None:
    whole = replace(
        AMI,
        launched_at=SOME_DAY + timedelta(days=1),
        withdrawn=Act(actor="eve", at=SOME_DAY + timedelta(days=2), why="old"),
    )

    placements.add(whole)

    assert placements.find(AMI.target, AMI.external_id) == whole


def test_add_when_the_id_is_known_at_the_target_then_says_which_version_it_is(
    placements: PlacementStore,
) -> None:
    placements.add(AMI)

    with pytest.raises(PlacementExists, match="ami-1 at aws:1/eu") as caught:
        placements.add(replace(AMI, version_id=BASE))

    assert "web@1.0.0/1" in caught.value.context
    assert placements.all() == [AMI]


def test_add_when_the_version_is_not_recorded_then_is_refused(placements: PlacementStore) -> None:
    with pytest.raises(VersionNotFound):
        placements.add(replace(AMI, version_id=VersionId("version-gone")))

    assert placements.all() == []


def test_change_when_launched_and_withdrawn_then_only_that_placement_is_changed(
    placements: PlacementStore,
) -> None:
    placements.add(AMI)
    other = replace(AMI, external_id="ami-2")
    placements.add(other)
    launched = replace(AMI, launched_at=SOME_DAY, traits={"snapshot": "snap-1"}, is_half_done=True)
    later = replace(launched, withdrawn=Act(actor="eve", at=SOME_DAY), is_deleted=True)

    placements.change(later)

    assert placements.all() == [later, other]


def test_change_when_nothing_is_there_then_names_where_the_id_is(
    placements: PlacementStore,
) -> None:
    placements.add(replace(AMI, target="aws:1/us"))

    with pytest.raises(PlacementNotFound, match="no placement ami-1 at aws:1/eu") as caught:
        placements.change(AMI)

    assert "aws:1/us" in caught.value.context


def test_placements_when_many_then_are_found_by_id_and_by_version_in_order(
    placements: PlacementStore,
) -> None:
    kept = [
        AMI,
        replace(AMI, target="aws:1/us"),
        a_placement(BASE, external_id="ami-9"),
        a_placement(WEB, external_id="ami-2"),
    ]
    for placement in kept:
        placements.add(placement)

    assert placements.named("ami-1") == kept[:2]
    assert placements.named("ami-") == []
    assert placements.of([WEB]) == [kept[0], kept[1], kept[3]]
    assert placements.of([BASE, WEB, VersionId("gone")]) == kept
    assert placements.of([]) == []
    assert placements.all() == kept


def test_find_when_nothing_was_placed_then_gives_nothing(placements: PlacementStore) -> None:
    found: Placement | None = placements.find("aws:1/eu", "ami-1")

    assert found is None
    assert placements.all() == []
