"""What every DistributionStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.distributions import SqlDistributionStore
from imagebuilder.domain.distribution import (
    DeliveryState,
    DeliveryStep,
    DistributionNotFound,
    Failure,
)
from imagebuilder.domain.ids import DistributionId, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.distributions import DistributionStore
from tests.build import SOME_DAY, a_version
from tests.databases import DATABASES, FreshLocation
from tests.distributions import a_distribution
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.distributions import FakeDistributionStore

WEB = VersionId("version-web")
BASE = VersionId("version-base")


@dataclass(frozen=True, slots=True)
class Stores:
    versions: VersionStore
    distributions: DistributionStore


@pytest.fixture(params=["fake", *DATABASES])
def stores(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Stores]:
    if request.param == "fake":
        versions = FakeVersionStore()
        yield Stores(versions, FakeDistributionStore(versions))
        return
    with open_database(fresh_location(request.param)) as database:
        yield Stores(SqlVersionStore(database), SqlDistributionStore(database))


@pytest.fixture
def distributions(stores: Stores) -> DistributionStore:
    stores.versions.add(a_version("web@1.0.0/1", id=WEB))
    stores.versions.add(a_version("base@1.0.0/1", id=BASE))
    return stores.distributions


def test_distribution_when_added_then_comes_back_as_it_was(
    distributions: DistributionStore,
) -> None:
    whole = a_distribution(WEB, "one", "two")

    distributions.add(whole)

    assert distributions.of([WEB]) == [whole]


def test_add_when_the_version_is_not_recorded_then_is_refused(
    distributions: DistributionStore,
) -> None:
    with pytest.raises(VersionNotFound):
        distributions.add(a_distribution("version-gone", "one"))

    assert distributions.of([VersionId("version-gone")]) == []


def test_save_step_when_it_failed_then_only_that_step_is_changed(
    distributions: DistributionStore,
) -> None:
    whole = a_distribution(WEB, "one", "two", "three")
    other = a_distribution(WEB, "two", named="distribution-2")
    distributions.add(whole)
    distributions.add(other)
    failed = replace(
        whole.steps[1],
        state=DeliveryState.FAILED,
        attempts=3,
        began_at=SOME_DAY,
        ended_at=SOME_DAY + timedelta(minutes=1),
        failure=Failure(code="placing-failed", message="It failed.", context="Full.", hint="Go."),
    )

    distributions.save_step(whole.id, failed)

    steps = (whole.steps[0], failed, whole.steps[2])
    assert distributions.of([WEB]) == [replace(whole, steps=steps), other]


def test_save_step_when_it_is_done_then_its_id_is_kept_and_its_failure_is_not(
    distributions: DistributionStore,
) -> None:
    step = DeliveryStep(
        target="one",
        entry="here",
        where={"region": "eu"},
        after="zero",
        state=DeliveryState.FAILED,
        failure=Failure(code="c", message="m"),
    )
    whole = replace(a_distribution(WEB), steps=(step,))
    distributions.add(whole)
    done = replace(step, state=DeliveryState.DONE, external_id="ami-1", failure=None)

    distributions.save_step(whole.id, done)

    assert distributions.of([WEB])[0].steps == (done,)


@pytest.mark.parametrize(("of", "target"), [("distribution-1", "two"), ("gone", "one")])
def test_save_step_when_there_is_none_then_says_so(
    distributions: DistributionStore, of: str, target: str
) -> None:
    distributions.add(a_distribution(WEB, "one"))

    with pytest.raises(DistributionNotFound, match=f"{of} to {target}"):
        distributions.save_step(DistributionId(of), DeliveryStep(target=target, entry="here"))


def test_distributions_when_of_many_versions_then_come_in_order(
    distributions: DistributionStore,
) -> None:
    kept = [
        a_distribution(WEB, "one", named="distribution-9"),
        a_distribution(BASE, "one", named="distribution-5"),
        a_distribution(WEB, named="distribution-1"),
    ]
    for each in kept:
        distributions.add(each)

    assert distributions.of([WEB]) == [kept[0], kept[2]]
    assert distributions.of([BASE, WEB]) == kept
    assert distributions.of([]) == []
