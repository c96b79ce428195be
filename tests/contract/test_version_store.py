"""What every VersionStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.domain.bill import RecordedBill
from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    ReferenceAmbiguous,
    VersionNotFound,
    parse_reference,
)
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.catalogue import VersionExists, VersionStore
from tests.build import (
    SOME_DAY,
    a_bill,
    a_control,
    a_digest,
    a_document,
    a_layer,
    a_package,
    a_parent,
    a_report,
    a_version,
    an_artifact,
    an_assessment,
)
from tests.databases import DATABASES, FreshLocation
from tests.fakes.catalogue import FakeVersionStore


@pytest.fixture(params=["fake", *DATABASES])
def versions(
    request: pytest.FixtureRequest, fresh_location: FreshLocation
) -> Iterator[VersionStore]:
    if request.param == "fake":
        yield FakeVersionStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlVersionStore(database)


def found(versions: VersionStore, reference: str) -> ImageVersion:
    return versions.find(parse_reference(reference), SOME_DAY)


def test_version_when_added_then_comes_back_as_it_was(versions: VersionStore) -> None:
    version = a_version(
        artifacts=(
            an_artifact(ArtifactFormat.RAW, seed="raw", size_bytes=2**40),
            an_artifact(ArtifactFormat.QCOW2, seed="qcow2"),
        ),
        layers=(
            a_layer("root"),
            a_layer("nginx", parameters={"workers": "2", "name": "é"}),
            replace(a_layer("final"), component_digest=None, component_version=""),
        ),
        packages=(a_package("bash"), a_package("nginx", source="nginx-src", source_version="2")),
        reports=(
            a_report(Stage.OFFLINE, test_b=Outcome.PASSED, test_a=Outcome.SKIPPED),
            a_report(Stage.BOOTED, test_b=Outcome.PASSED),
            replace(a_report(Stage.MACHINE), results=(), evidence=None, crash="killed"),
        ),
        documents=(
            a_document("recipe", "debian-web", "name: debian-web\n# ü"),
            a_document("component", "nginx", "name: nginx"),
        ),
        assessments=(
            an_assessment(
                a_control("b", ControlOutcome.FAIL, Severity.UNKNOWN, evidence="/é is 0777"),
                a_control("a", controls=("5.2.1", "é")),
                tailoring=a_digest("tailoring"),
            ),
            an_assessment(stage=Stage.BOOTED, results=(), report=None, raw=None),
        ),
        plan={"steps": [{"name": "nginx", "timeout": 1.5}], "none": None, "yes": True},
        indexes={"b": a_digest("b"), "a": a_digest("a")},
    )

    versions.add(version)

    assert versions.get(version.id) == version


def test_version_when_it_has_nothing_but_itself_then_comes_back(versions: VersionStore) -> None:
    version = a_version(
        artifacts=(), layers=(), packages=(), reports=(), documents=(), indexes={}, plan=None
    )

    versions.add(version)

    assert versions.get(version.id) == version
    assert versions.summaries()[0].package_count == 0
    assert versions.summaries()[0].release == "unknown"


def test_packages_when_out_of_order_and_double_then_come_back_sorted_and_once(
    versions: VersionStore,
) -> None:
    some, other = a_package("zsh"), a_package("bash")
    foreign = a_package("bash", architecture="i386")

    versions.add(a_version(packages=(some, other, some, foreign)))

    assert found(versions, "debian-web").packages == (other, foreign, some)


def test_documents_when_texts_differ_under_one_digest_then_each_keeps_its_own(
    versions: VersionStore,
) -> None:
    first = a_document(text="a: 1")
    second = replace(a_document(text="a: 1 # the same meaning"), digest=first.digest)

    versions.add(a_version("debian-web@1.0.0/1", documents=(first,)))
    versions.add(a_version("debian-web@1.0.0/2", documents=(second, first)))

    again = found(versions, "debian-web@1.0.0/2")
    assert [document.text for document in again.documents] == [second.text, first.text]


def test_moment_when_in_another_zone_then_is_the_same_moment(versions: VersionStore) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-9)))

    versions.add(a_version(created_at=moment))

    newest = versions.newest(ImageName("debian-web"))
    assert newest is not None
    assert newest.created_at == moment
    assert newest.created_at.utcoffset() is not None


def test_add_when_build_is_taken_then_is_refused_and_nothing_changes(
    versions: VersionStore,
) -> None:
    first = a_version("debian-web@1.0.0/1")
    versions.add(first)

    with pytest.raises(VersionExists, match=r"debian-web@1\.0\.0/1"):
        versions.add(
            a_version("debian-web@1.0.0/1", id=VersionId("other"), layers=(a_layer("other"),))
        )

    assert [summary.id for summary in versions.summaries()] == [first.id]
    assert versions.contents_in_use() == {layer.content for layer in first.layers}


def test_add_when_id_is_taken_then_is_refused(versions: VersionStore) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("same")))

    with pytest.raises(VersionExists):
        versions.add(a_version("debian-web@1.0.0/2", id=VersionId("same")))


def test_add_when_same_build_of_another_image_then_both_stand(versions: VersionStore) -> None:
    versions.add(a_version("debian-web@1.0.0/1"))
    versions.add(a_version("debian-base@1.0.0/1"))

    assert len(versions.summaries()) == 2


def test_add_when_parent_is_not_recorded_then_is_refused(versions: VersionStore) -> None:
    with pytest.raises(VersionNotFound, match="version-gone"):
        versions.add(a_version(parent=a_parent("version-gone")))

    assert versions.summaries() == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("debian-web", "debian-web@2.0.0/1"),
        ("debian-web@x", "debian-web@2.0.0/1"),
        ("debian-web@1.x", "debian-web@1.10.0/1"),
        ("debian-web@1.2.x", "debian-web@1.2.9/2"),
        ("debian-web@1.2.9", "debian-web@1.2.9/2"),
        ("debian-web@1.2.9/1", "debian-web@1.2.9/1"),
        ("debian-web@1.2.0", "debian-web@1.2.0/10"),
    ],
)
def test_find_when_several_match_then_gives_the_highest(
    versions: VersionStore, asked: str, expected: str
) -> None:
    for build in ("1.2.0/9", "2.0.0/1", "1.10.0/1", "1.2.9/2", "1.2.9/1", "1.2.0/10"):
        versions.add(a_version(f"debian-web@{build}"))
    versions.add(a_version("debian-base@9.9.9/9"))

    assert found(versions, asked).reference == expected


@pytest.mark.parametrize(
    "asked", ["debian-web@3.x", "debian-web@1.2.0/2", "debian", "nothing", "version-debian-web@1.x"]
)
def test_find_when_nothing_matches_then_says_what_there_is(
    versions: VersionStore, asked: str
) -> None:
    versions.add(a_version("debian-web@1.2.0/1"))

    with pytest.raises(VersionNotFound) as caught:
        found(versions, asked)

    assert asked in caught.value.message
    assert "debian-web@1.2.0/1" in caught.value.context


def test_find_when_only_others_match_then_names_the_image_s_own_newest_first(
    versions: VersionStore,
) -> None:
    versions.add(a_version("debian-web@1.0.0/1"))
    versions.add(a_version("debian-base@1.0.0/1"))
    versions.add(a_version("debian-web@1.0.0/2"))

    with pytest.raises(VersionNotFound) as caught:
        found(versions, "debian-web@7.x")

    assert caught.value.context == "There are debian-web@1.0.0/2, debian-web@1.0.0/1."


def test_find_when_start_of_one_id_then_gives_that_version(versions: VersionStore) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("version-aB1")))
    versions.add(a_version("debian-web@1.0.0/2", id=VersionId("version-ab1")))
    versions.add(a_version("debian-web@1.0.0/3", id=VersionId("versionxa_1")))

    assert found(versions, "version-aB").id == "version-aB1"
    assert found(versions, "versionxa_").id == "versionxa_1"


def test_find_when_start_of_several_ids_then_names_them(versions: VersionStore) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("version-1")))
    versions.add(a_version("debian-web@1.0.0/2", id=VersionId("version-2")))

    with pytest.raises(ReferenceAmbiguous) as caught:
        found(versions, "version-")

    assert "version-1, version-2" in caught.value.context


def test_find_when_whole_id_starts_another_then_gives_the_whole_one(
    versions: VersionStore,
) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("version-10")))
    versions.add(a_version("debian-web@1.0.0/2", id=VersionId("version-1")))

    assert found(versions, "version-1").id == "version-1"


def test_find_when_image_is_named_as_an_id_starts_then_gives_the_image(
    versions: VersionStore,
) -> None:
    versions.add(a_version("other@9.0.0/1", id=VersionId("web-1")))
    versions.add(a_version("web@1.0.0/1", id=VersionId("version-2")))

    assert found(versions, "web").reference == "web@1.0.0/1"


def test_get_when_id_is_only_the_start_then_is_not_found(versions: VersionStore) -> None:
    versions.add(a_version(id=VersionId("version-1")))

    with pytest.raises(VersionNotFound):
        versions.get(VersionId("version-"))


def test_references_when_asked_for_then_names_what_is_recorded(versions: VersionStore) -> None:
    version = a_version("debian-web@1.0.0/1")
    versions.add(version)

    assert versions.references([version.id, VersionId("gone")]) == {version.id: version.reference}
    assert versions.references([]) == {}


def test_newest_when_lower_version_was_recorded_later_then_gives_the_later(
    versions: VersionStore,
) -> None:
    versions.add(a_version("debian-web@2.0.0/1", created_at=SOME_DAY))
    # A clock that was set back must not change what was recorded last.
    versions.add(a_version("debian-web@1.0.0/1", created_at=SOME_DAY - timedelta(days=1)))
    versions.add(a_version("debian-base@1.0.0/1"))

    newest = versions.newest(ImageName("debian-web"))

    assert newest is not None
    assert newest.reference == "debian-web@1.0.0/1"


def test_newest_when_image_is_unknown_then_is_none(versions: VersionStore) -> None:
    versions.add(a_version())

    assert versions.newest(ImageName("other")) is None


def test_summaries_when_several_images_then_by_name_and_last_recorded_first(
    versions: VersionStore,
) -> None:
    for reference in ("b-web@1.0.0/1", "B@1.0.0/1", "a@1.0.0/1", "b-web@1.0.0/2", "b.c@1.0.0/1"):
        versions.add(a_version(reference))

    assert [summary.reference for summary in versions.summaries()] == [
        "B@1.0.0/1",
        "a@1.0.0/1",
        "b-web@1.0.0/2",
        "b-web@1.0.0/1",
        "b.c@1.0.0/1",
    ]


def test_summaries_when_a_bill_tells_the_release_then_do_too(versions: VersionStore) -> None:
    versions.add(a_version(bill=a_bill("ubuntu:noble")))

    assert [summary.release for summary in versions.summaries()] == ["ubuntu:noble"]


def test_summaries_when_image_is_named_then_gives_its_own_with_their_sums(
    versions: VersionStore,
) -> None:
    version = a_version(
        artifacts=(an_artifact(size_bytes=2**40), an_artifact(ArtifactFormat.RAW, size_bytes=1)),
        packages=tuple(a_package(f"p{number}") for number in range(3)),
    )
    versions.add(version)
    versions.add(a_version("other@1.0.0/1"))

    (summary,) = versions.summaries(ImageName("debian-web"))

    assert summary.id == version.id
    assert summary.created_at == version.created_at
    assert summary.parent_asked == "debian:bookworm"
    assert (summary.package_count, summary.size_bytes) == (3, 2**40 + 1)


def test_contents_in_use_when_versions_share_layers_then_has_each_once(
    versions: VersionStore,
) -> None:
    shared, own = a_layer("root"), a_layer("nginx")
    versions.add(a_version("debian-web@1.0.0/1", layers=(shared,)))
    versions.add(a_version("debian-web@1.0.0/2", layers=(shared, own)))

    assert versions.contents_in_use() == {shared.content, own.content}


def test_store_when_empty_then_answers_with_nothing(versions: VersionStore) -> None:
    assert versions.summaries() == []
    assert versions.names() == []
    assert versions.contents_in_use() == frozenset()


def test_of_run_then_gives_what_it_recorded_and_no_copy_of_that(versions: VersionStore) -> None:
    version = a_version("web@1.0.0/1", run_id=RunId("run-7"))
    versions.add(a_version("web@1.0.0/2", run_id=RunId("run-77")))
    versions.add(version)
    versions.add(a_version("copy@1.0.0/1", run_id=RunId("run-7"), copied_from=version.id))

    assert versions.of_run(RunId("run-7")) == version
    assert versions.of_run(RunId("run-")) is None


def test_version_with_a_bill_when_added_then_comes_back_with_it(versions: VersionStore) -> None:
    bill = RecordedBill(release="debian:bookworm", document=a_digest("bill"))
    billed = a_version(bill=bill)
    versions.add(billed)
    versions.add(a_version("debian-web@1.2.0/2"))

    assert versions.get(billed.id).bill == bill
    assert versions.get(a_version("debian-web@1.2.0/2").id).bill is None
