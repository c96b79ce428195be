"""What every AttestationStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator

import pytest

from imagebuilder.adapters.sql.attestations import SqlAttestationStore
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.retention import SqlRetentionStore
from imagebuilder.domain.attestation import Attestation, KeyState, KnownKey, PredicateType
from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.ports.attestations import AttestationStore
from tests.build import SOME_DAY, a_digest, a_version
from tests.catalogues import day
from tests.databases import DATABASES, FreshLocation
from tests.fakes.attestations import FakeAttestationStore
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.signing import FakeSigner

ONE, TWO = VersionId("version-1"), VersionId("version-2")
VERSIONS = (a_version("web@1.0.0/1", id=ONE), a_version("web@1.0.0/2", id=TWO))
ANN, BEN = (
    KnownKey(key=FakeSigner(name).public_key, first_used_at=day(number))
    for number, name in enumerate(("ann", "ben"))
)


@pytest.fixture(params=["fake", *DATABASES])
def store(
    request: pytest.FixtureRequest, fresh_location: FreshLocation
) -> Iterator[AttestationStore]:
    if request.param == "fake":
        fake = FakeVersionStore()
        for version in VERSIONS:
            fake.add(version)
        yield FakeAttestationStore(fake)
        return
    with open_database(fresh_location(request.param)) as database:
        for version in VERSIONS:
            SqlVersionStore(database).add(version)
        yield SqlAttestationStore(database)


def signed(version_id: VersionId, word: str = "provenance", by: KnownKey = ANN) -> Attestation:
    return Attestation(
        version_id=version_id,
        predicate_type=PredicateType.parse(word).value,
        bundle=a_digest(f"{version_id} {word} {by.key.id}"),
        key_id=by.key.id,
        signed_at=SOME_DAY,
    )


def test_what_was_signed_comes_back_in_its_order_and_of_its_version(
    store: AttestationStore,
) -> None:
    store.know(ANN)
    mine = [signed(ONE), signed(ONE, "tests"), signed(ONE)]
    for each in mine:
        store.add(each)
    store.add(signed(TWO))

    assert store.of_versions([ONE]) == mine
    assert store.of_versions([]) == []
    assert store.of_versions([VersionId("gone")]) == []


def test_add_when_the_version_is_not_recorded_then_is_refused(store: AttestationStore) -> None:
    store.know(ANN)

    with pytest.raises(VersionNotFound):
        store.add(signed(VersionId("gone")))


def test_know_when_it_is_known_then_it_stays_as_it_was(store: AttestationStore) -> None:
    act = Act(actor="eva", at=day(3), why="it was lost")
    store.know(BEN)
    store.know(ANN)
    store.end(ANN.key.id, KeyState.COMPROMISED, act)

    store.know(KnownKey(key=ANN.key, first_used_at=day(9)))

    first, second = store.keys()
    assert (first.key, first.first_used_at) == (ANN.key, ANN.first_used_at)
    assert (first.state, first.ended) == (KeyState.COMPROMISED, act)
    assert second == BEN


def test_bundles_are_kept_from_being_freed(fresh_location: FreshLocation) -> None:
    with open_database(fresh_location("sqlite")) as database:
        SqlVersionStore(database).add(VERSIONS[0])
        store = SqlAttestationStore(database)
        store.know(ANN)
        store.add(signed(ONE))

        assert signed(ONE).bundle in SqlRetentionStore(database).evidence()
