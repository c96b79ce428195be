"""What every ClaimStore keeps: the one in files and its fake."""

from pathlib import Path

import pytest

from imagebuilder.adapters.local.claims import FolderClaims
from imagebuilder.domain.built import Needs
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.claims import ClaimStore
from tests.build import a_digest
from tests.fakes.claims import FakeClaimStore

ONE, OTHER = RunId("run-1"), RunId("run-2")
FILES = Needs(blobs=frozenset({a_digest("file")}))
ROOTS = Needs(
    blobs=frozenset({a_digest("evidence")}),
    layers=frozenset({a_digest("layer")}),
    disks=frozenset({a_digest("disk")}),
)


@pytest.fixture(params=["folder", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ClaimStore:
    return FolderClaims(tmp_path / "claims") if request.param == "folder" else FakeClaimStore()


def test_claims_when_nobody_claimed_then_are_none(store: ClaimStore) -> None:
    assert store.claims() == {}


def test_claim_when_several_runs_claim_then_each_has_its_own(store: ClaimStore) -> None:
    store.claim(ONE, FILES)
    store.claim(OTHER, ROOTS)

    assert store.claims() == {ONE: FILES, OTHER: ROOTS}


def test_claim_when_a_run_claims_more_then_it_has_all_of_it(store: ClaimStore) -> None:
    store.claim(ONE, FILES)
    store.claim(ONE, ROOTS)
    store.claim(ONE, ROOTS)

    assert store.claims() == {ONE: FILES | ROOTS}


def test_release_when_done_once_or_twice_then_nothing_is_claimed(store: ClaimStore) -> None:
    store.claim(ONE, FILES)
    store.claim(OTHER, ROOTS)

    store.release(ONE)
    store.release(ONE)

    assert store.claims() == {OTHER: ROOTS}


def test_claims_when_another_process_claimed_then_are_seen(tmp_path: Path) -> None:
    FolderClaims(tmp_path / "claims").claim(ONE, ROOTS)

    assert FolderClaims(tmp_path / "claims").claims() == {ONE: ROOTS}
    assert [path.name for path in (tmp_path / "claims").iterdir() if path.is_file()] == [ONE]
