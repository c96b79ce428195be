import pytest

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    ReferenceMalformed,
    VersionDraft,
    VersionNotFound,
)
from imagebuilder.ports.catalogue import VersionExists
from imagebuilder.services.cataloguing import Cataloguing
from tests.build import a_digest, a_draft, a_package, a_parent, a_version
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.transactions import FakeTransactions


class RacedVersionStore(FakeVersionStore):
    """A store in which another process records the same build just before us, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def add(self, version: ImageVersion) -> None:
        if self.times:
            self.times -= 1
            super().add(a_version(version.reference))
        super().add(version)


@pytest.fixture
def versions() -> FakeVersionStore:
    return FakeVersionStore()


@pytest.fixture
def cataloguing(versions: FakeVersionStore) -> Cataloguing:
    return Cataloguing(versions, FakeTransactions(), FakeClock(), FakeIds())


def test_record_when_first_of_its_image_then_is_kept_under_its_first_number(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    recorded = cataloguing.record(a_draft("debian-web", "1.2.x"))

    assert recorded.reference == "debian-web@1.2.0/1"
    assert recorded.id == "version-000001"
    assert recorded.created_at == FakeClock().now()
    assert versions.versions == [recorded]


def test_record_when_recorded_then_keeps_all_of_the_draft(cataloguing: Cataloguing) -> None:
    draft = a_draft(packages=(a_package("b"), a_package("a"), a_package("b")))

    recorded = cataloguing.record(draft)

    for field in set(VersionDraft.__slots__) - {"asked", "packages"}:
        assert getattr(recorded, field) == getattr(draft, field)
    assert recorded.packages == (a_package("a"), a_package("b"))


@pytest.mark.parametrize(
    ("before", "asked", "definition", "expected"),
    [
        pytest.param([], "1.2.3", "a", "1.2.3/1", id="fixed, first"),
        pytest.param([("1.2.3/1", "b")], "1.2.3", "a", "1.2.3/2", id="fixed, changed"),
        pytest.param([("1.2.0/1", "a")], "1.2.x", "a", "1.2.0/2", id="same definition"),
        pytest.param([("1.2.0/1", "b")], "1.2.x", "a", "1.2.1/1", id="other definition"),
        pytest.param(
            [("1.2.0/1", "a"), ("1.2.1/1", "b")], "1.2.x", "a", "1.2.2/1", id="back to an older one"
        ),
        pytest.param(
            [("1.2.0/1", "b"), ("1.2.0/2", "a")], "1.2.x", "a", "1.2.0/3", id="newest build counts"
        ),
        pytest.param(
            [("1.2.4/1", "a"), ("2.0.0/1", "b")], "1.2.x", "a", "1.2.4/2", id="its own line counts"
        ),
        pytest.param([("1.3.0/1", "a")], "1.2.x", "a", "1.2.0/1", id="another line does not"),
    ],
)
def test_record_when_builds_came_before_then_takes_the_next_number(
    before: list[tuple[str, str]], asked: str, definition: str, expected: str
) -> None:
    versions = FakeVersionStore()
    for build, seed in before:
        versions.add(a_version(f"debian-web@{build}", definition_digest=a_digest(seed)))
    versions.add(a_version("other@1.2.9/9", definition_digest=a_digest(definition)))

    draft = a_draft("debian-web", asked, definition_digest=a_digest(definition))
    recorded = Cataloguing(versions, FakeTransactions(), FakeClock(), FakeIds()).record(draft)

    assert str(recorded.version) == expected


def test_record_when_others_were_quicker_then_takes_the_number_after_theirs() -> None:
    versions = RacedVersionStore(times=3)

    recorded = Cataloguing(versions, FakeTransactions(), FakeClock(), FakeIds()).record(a_draft())

    assert recorded.reference == "debian-web@1.2.0/4"
    assert versions.versions[-1] == recorded


def test_record_when_others_are_always_quicker_then_gives_up() -> None:
    versions = RacedVersionStore(times=10_000)

    with pytest.raises(VersionExists):
        Cataloguing(versions, FakeTransactions(), FakeClock(), FakeIds()).record(a_draft())


def test_record_when_parent_is_gone_then_is_refused(cataloguing: Cataloguing) -> None:
    with pytest.raises(VersionNotFound):
        cataloguing.record(a_draft(parent=a_parent("version-gone")))


def test_newest_when_asked_then_gives_what_was_recorded_last(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("debian-web@2.0.0/1"))
    versions.add(a_version("debian-web@1.0.0/1"))

    assert cataloguing.newest(ImageName("debian-web")) == versions.versions[1]
    assert cataloguing.newest(ImageName("other")) is None


def test_show_when_reference_means_one_then_gives_it(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("version-abc")))

    assert cataloguing.show("debian-web@1.x") == versions.versions[0]
    assert cataloguing.show("version-a") == versions.versions[0]


@pytest.mark.parametrize("text", ["", "@1.x", "web@", "web@x.1", "web@1.2/3", "web@1.2.3/0"])
def test_show_when_reference_means_nothing_then_is_malformed(
    cataloguing: Cataloguing, text: str
) -> None:
    with pytest.raises(ReferenceMalformed):
        cataloguing.show(text)


def test_packages_when_asked_then_gives_the_version_s_own(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1", packages=(a_package("b"), a_package("a"))))

    assert [package.name for package in cataloguing.packages("web")] == ["a", "b"]


def test_list_when_no_image_is_named_then_gives_all(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("base@1.0.0/1"))

    assert [str(summary.image) for summary in cataloguing.list()] == ["base", "web"]
    assert [str(summary.image) for summary in cataloguing.list("web")] == ["web"]


def test_list_when_image_has_no_versions_then_names_those_that_have(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("web@1.0.0/2"))

    with pytest.raises(VersionNotFound) as caught:
        cataloguing.list("wep")

    assert caught.value.context == "There are web."


def test_list_when_nothing_is_recorded_then_is_empty(cataloguing: Cataloguing) -> None:
    assert cataloguing.list() == []


def test_lineage_when_asked_for_the_middle_then_shows_both_ways(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("base@1.0.0/1", id=VersionId("v-base")))
    versions.add(a_version("web@1.0.0/1", id=VersionId("v-web"), parent=a_parent("v-base")))
    versions.add(a_version("shop@1.0.0/1", id=VersionId("v-shop"), parent=a_parent("v-web")))
    versions.add(a_version("mail@1.0.0/1", id=VersionId("v-mail"), parent=a_parent("v-base")))

    lineage = cataloguing.lineage("web")

    assert lineage.focus == "v-web"
    assert {node.id for node in lineage.nodes} == {
        "origin:debian:bookworm",
        "v-base",
        "v-web",
        "v-shop",
    }
    assert lineage.parents("v-web") == ("v-base",)
    assert lineage.children("v-web") == ("v-shop",)
