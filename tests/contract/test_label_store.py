"""What every LabelStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.labels import SqlLabelStore
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.labels import Noted, Notes
from imagebuilder.ports.labels import LabelStore
from tests.build import a_version
from tests.databases import DATABASES, FreshLocation
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.labels import FakeLabelStore

IMAGE = ImageName("web")
ONE, TWO = VersionId("version-1"), VersionId("version-2")
ON_IMAGE = Noted(image=IMAGE)
ON_ONE = Noted(image=IMAGE, version_id=ONE)
SOME = Notes(labels={"team": "web", "a/b.c": "ü = ö"}, description="Two\nlines.")
VERSIONS = (a_version("web@1.0.0/1", id=ONE), a_version("web@1.0.0/2", id=TWO))


@pytest.fixture(params=["fake", *DATABASES])
def labels(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[LabelStore]:
    if request.param == "fake":
        fake = FakeVersionStore()
        for version in VERSIONS:
            fake.add(version)
        yield FakeLabelStore(fake)
        return
    with open_database(fresh_location(request.param)) as database:
        for version in VERSIONS:
            SqlVersionStore(database).add(version)
        yield SqlLabelStore(database)


@pytest.mark.parametrize("noted", [ON_IMAGE, ON_ONE], ids=["image", "version"])
def test_notes_when_kept_then_come_back_and_are_on_nothing_else(
    labels: LabelStore, noted: Noted
) -> None:
    labels.keep(noted, SOME)

    assert labels.notes(noted) == SOME
    assert labels.notes(ON_ONE if noted is ON_IMAGE else ON_IMAGE) == Notes()
    assert labels.notes(Noted(image=IMAGE, version_id=TWO)) == Notes()


def test_notes_when_kept_again_then_replace_what_was_there(labels: LabelStore) -> None:
    labels.keep(ON_ONE, SOME)

    labels.keep(ON_ONE, Notes(labels={"team": "db"}))

    assert labels.notes(ON_ONE) == Notes(labels={"team": "db"})


def test_notes_when_emptied_then_are_gone(labels: LabelStore) -> None:
    labels.keep(ON_ONE, SOME)

    labels.keep(ON_ONE, Notes())

    assert labels.of_versions([ONE]) == {}
    assert labels.names() == []


def test_notes_of_many_then_leave_out_who_has_none(labels: LabelStore) -> None:
    labels.keep(ON_IMAGE, SOME)
    labels.keep(ON_ONE, Notes(description="first"))

    assert labels.of_versions([TWO, ONE, VersionId("gone")]) == {ONE: Notes(description="first")}
    assert labels.of_images([IMAGE, ImageName("other")]) == {IMAGE: SOME}
    assert labels.of_versions([]) == {}


@pytest.mark.parametrize(
    "noted",
    [
        Noted(image=IMAGE, version_id=VersionId("version-")),
        Noted(image=ImageName("other")),
    ],
    ids=["version", "image"],
)
def test_keep_when_the_thing_is_not_recorded_then_is_refused(
    labels: LabelStore, noted: Noted
) -> None:
    with pytest.raises(VersionNotFound):
        labels.keep(noted, SOME)


def test_names_then_gives_those_of_images_and_versions_once(labels: LabelStore) -> None:
    labels.keep(ON_IMAGE, SOME)
    labels.keep(ON_ONE, Notes(labels={"team": "db", "Z": "1"}))

    assert labels.names() == ["Z", "a/b.c", "team"]
