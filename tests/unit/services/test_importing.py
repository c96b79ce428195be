"""Images that others made, recorded."""

from pathlib import Path

import pytest

from imagebuilder.domain.attestation import PredicateType
from imagebuilder.domain.recipe import AmiParent
from imagebuilder.domain.run import RunState
from imagebuilder.ports.foreign import ForeignImageRefused, RegistryReference
from imagebuilder.services.pipelines.importing import (
    Imported,
    ImportMisnamed,
    ImportOrder,
)
from tests.fakes.progress import FakeProgress
from tests.fakes.signing import FakeKeyOpener, FakeSigner
from tests.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.packages = "ii |bash|5.2-1|amd64|bash|5.2-1"
    return house


def imported(
    house: House, content: bytes = b"one", *, name: str = "vendor", version: str = "1.0.x"
) -> Imported:
    (house.folder / "given").write_bytes(content)
    order = ImportOrder(given=house.folder / "given", image=name, version=version)
    return house.importing.import_(order, FakeProgress())


def test_import_then_the_version_has_the_file_its_packages_and_no_tests(house: House) -> None:
    version = imported(house).version

    assert version.reference == "vendor@1.0.0/1"
    assert version.is_imported
    assert [p.name for p in version.packages] == ["bash"]
    assert version.reports == ()
    assert version.parent.asked == "file:given"
    assert house.blobs.read(version.artifacts[0].digest) == b"one"
    assert house.layers.has(version.layers[0].content)
    assert (house.folder / "given").read_bytes() == b"one"
    assert [run.state for run in house.runs.newest(9)] == [RunState.SUCCEEDED]


def test_import_of_the_same_file_then_nothing_changes(house: House) -> None:
    first = imported(house)

    again = imported(house)

    assert again == Imported(version=first.version, is_unchanged=True)
    assert len(house.versions.versions) == 1
    assert house.runs.newest(1)[0].state is RunState.UNCHANGED


def test_import_of_the_same_file_as_another_line_then_is_recorded_with_the_same_layer(
    house: House,
) -> None:
    first = imported(house).version

    second = imported(house, version="2.0.0").version

    assert second.reference == "vendor@2.0.0/1"
    assert second.layers == first.layers


def test_import_of_another_file_then_it_is_the_next_version(house: House) -> None:
    imported(house)

    assert imported(house, b"two").version.reference == "vendor@1.0.1/1"


def test_import_when_there_is_a_key_then_nobody_claims_to_have_built_it(house: House) -> None:
    house.key = FakeKeyOpener(FakeSigner())

    imported(house)
    house.desk.attesting.attest(house.versions.versions[0])

    words = [PredicateType(each.predicate_type).word for each in house.attestations.kept]
    assert "provenance" not in words


@pytest.mark.parametrize(("name", "version"), [("No Name", "1.0.x"), ("vendor", "latest")])
def test_import_as_what_no_image_can_be_then_is_refused_before_a_run_begins(
    house: House, name: str, version: str
) -> None:
    with pytest.raises(ImportMisnamed):
        imported(house, name=name, version=version)

    assert house.runs.newest(9) == []


def test_import_when_the_file_is_refused_then_the_run_is_kept_as_failed(house: House) -> None:
    failure = house.unopened = ForeignImageRefused(Path("given"), "It is none.")
    order = ImportOrder(given=Path("given"), image="vendor", version="1.0.x")

    with pytest.raises(ForeignImageRefused):
        house.importing.import_(order, FakeProgress())

    assert [run.error_code for run in house.runs.newest(9)] == [failure.code]
    assert house.versions.versions == []


def test_import_from_a_registry_then_its_record_says_from_which_by_digest(house: House) -> None:
    (house.folder / "given").write_bytes(b"one")
    given = RegistryReference(text="host/name:tag")
    order = ImportOrder(given=given, image="vendor", version="1.0.x")

    version = house.importing.import_(order, FakeProgress()).version

    assert version.parent.asked == "oci:host/name:tag@its-digest"
    assert house.blobs.read(version.artifacts[0].digest) == b"one"


def test_import_of_an_ami_then_the_parent_is_its_region_and_id(house: House) -> None:
    (house.folder / "given").write_bytes(b"disk")
    given = AmiParent(ami="ami-1", region="eu-central-1")
    order = ImportOrder(given=given, image="vendor", version="1.0.x")

    version = house.importing.import_(order, FakeProgress()).version

    assert version.parent.asked == "ami:eu-central-1/ami-1"
