"""Signing at the end of a build, and what keeps it from that."""

from pathlib import Path

import pytest

from imagebuilder.domain.attestation import KeyEnded, KeyState, PredicateType
from imagebuilder.domain.run import RunState
from imagebuilder.ports.signing import KeyUnusable, SignerUnavailable
from tests.fakes.signing import FakeKeyOpener, FakeSigner
from tests.house import BASE, House

OUT = SignerUnavailable("hsm:2", "The token was taken out.")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def signed(house: House) -> list[str]:
    return [PredicateType(each.predicate_type).word for each in house.attestations.kept]


def test_a_build_is_signed_when_there_is_a_key(house: House) -> None:
    house.key = FakeKeyOpener(FakeSigner())

    house.built()

    assert [v.reference for v in house.versions.versions]
    assert signed(house).count("provenance") == len(house.versions.versions)
    assert all(house.blobs.has(each.bundle) for each in house.attestations.kept)


def test_a_build_without_a_key_is_recorded_unsigned(house: House) -> None:
    house.built()

    assert house.versions.versions
    assert signed(house) == []


def test_a_key_that_cannot_be_used_refuses_a_build_before_it_begins(house: House) -> None:
    house.key = FakeKeyOpener(failure=KeyUnusable("file:x", "It is no key.", "Make one."))

    with pytest.raises(KeyUnusable):
        house.built()

    assert house.versions.versions == []
    assert house.runs.newest(10) == []


@pytest.mark.parametrize("state", [KeyState.RETIRED, KeyState.COMPROMISED])
def test_a_build_when_the_key_was_ended_then_is_refused_before_it_begins(
    house: House, state: KeyState
) -> None:
    signer = FakeSigner()
    house.key = FakeKeyOpener(signer)
    house.attesting.know(signer.public_key)
    house.attesting.end(signer.public_key.id.hex, state, "it was copied")

    with pytest.raises(KeyEnded) as refused:
        house.built()

    assert f"is {state}" in refused.value.message
    assert "it was copied" in refused.value.context
    assert house.runs.newest(10) == []


def test_end_when_a_key_is_compromised_then_it_stays_as_it_is(house: House) -> None:
    key = FakeSigner().public_key
    house.attesting.know(key)
    lost = house.attesting.end(key.id.hex, KeyState.COMPROMISED, "it was copied")

    again = house.attesting.end(key.id.hex, KeyState.RETIRED, "rotated")

    assert lost.state is KeyState.COMPROMISED
    assert [again] == list(house.attesting.keys()) == [lost]
    assert house.attesting.believed() == ()


@pytest.mark.parametrize(
    "key",
    [FakeKeyOpener(failure=OUT), FakeKeyOpener(FakeSigner(failure=OUT))],
    ids=["gone", "fails"],
)
def test_a_token_that_is_out_leaves_the_version_recorded_and_says_so(
    house: House, key: FakeKeyOpener
) -> None:
    house.key = key

    house.built()

    assert house.versions.versions
    assert signed(house) == []
    (run, *_) = house.runs.newest(1)
    assert run.state is RunState.SUCCEEDED
    (told,) = [step for step in house.runs.steps(run.id) if step.name == "sign"]
    assert "The token was taken out." in told.detail


def test_what_was_signed_is_not_signed_again_when_a_stage_is_done_again(house: House) -> None:
    house.key = FakeKeyOpener(FakeSigner())
    house.built()
    before = len(house.attestations.kept)

    assert house.attesting.sign_recorded(house.versions.versions[0]) == ""

    assert len(house.attestations.kept) == before
    house.attesting.attest(house.versions.versions[0])
    assert len(house.attestations.kept) > before


def test_the_same_version_is_stated_in_the_same_bytes(house: House) -> None:
    house.key = FakeKeyOpener(FakeSigner())
    house.built(BASE)
    version = house.versions.versions[0]

    first, second = house.attesting.attest(version), house.attesting.attest(version)

    assert [each.bundle for each in first] == [each.bundle for each in second]
