"""What references mean at a moment, in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator

import pytest

from imagebuilder.domain.channel import ChannelEmpty, ChannelNotFound, MoveKind
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound, parse_reference
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.versions import BuildVersion, Wildcard
from tests.build import a_digest, a_version
from tests.catalogues import CATALOGUES, WEB, Catalogue, a_catalogue, day
from tests.databases import FreshLocation


@pytest.fixture(params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Catalogue]:
    with a_catalogue(request.param, fresh_location) as catalogue:
        yield catalogue


def meant(catalogue: Catalogue, reference: str, at: float = 1) -> str:
    return catalogue.versions.find(parse_reference(reference), day(at)).reference


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("web", "web@1.9.0/1"),
        ("web@1.x", "web@1.9.0/1"),
        ("web@2.x", "web@2.0.0/2"),
        ("web@2.0.0", "web@2.0.0/2"),
        ("web@2.0.0/2", "web@2.0.0/2"),
        ("web@latest", "web@1.9.0/1"),
    ],
)
def test_find_when_the_highest_are_revoked_then_a_set_means_the_highest_usable_one(
    catalogue: Catalogue, asked: str, expected: str
) -> None:
    catalogue.record("web@1.9.0/1")
    for build in (1, 2):
        catalogue.revoke(catalogue.record(f"web@2.0.0/{build}"), day(0.5))

    assert meant(catalogue, asked) == expected


def test_find_when_a_revocation_is_for_later_then_it_counts_from_then_on(
    catalogue: Catalogue,
) -> None:
    catalogue.record("web@1.0.0/1")
    catalogue.revoke(catalogue.record("web@1.0.0/2"), day(5))

    assert [meant(catalogue, "web", at) for at in (1, 4.9, 5)] == [
        "web@1.0.0/2",
        "web@1.0.0/2",
        "web@1.0.0/1",
    ]


def test_find_when_what_it_was_copied_from_is_revoked_then_is_not_usable(
    catalogue: Catalogue,
) -> None:
    catalogue.record("web@1.0.0/1")
    source = catalogue.record("other@1.0.0/1")
    catalogue.record("web@1.0.0/2", copy_of=source)
    catalogue.revoke(source, day(0.5))

    assert meant(catalogue, "web") == "web@1.0.0/1"


def test_find_when_many_of_the_highest_are_not_usable_then_looks_on(catalogue: Catalogue) -> None:
    catalogue.record("web@1.0.0/1")
    base = catalogue.record("base@1.0.0/1")
    for build in range(1, 31):
        catalogue.record(f"web@2.0.0/{build}", on=base)
    catalogue.revoke(base, day(0.5))

    assert meant(catalogue, "web") == "web@1.0.0/1"
    assert meant(catalogue, "web@2.x") == "web@2.0.0/30"


def test_find_when_the_highest_is_deprecated_then_is_usable_and_when_disabled_is_not(
    catalogue: Catalogue,
) -> None:
    catalogue.record("web@1.0.0/1")
    highest = catalogue.record("web@1.0.0/2")

    catalogue.standings.set_lifecycle(highest.id, Lifecycle.DEPRECATED, day(1))
    catalogue.standings.set_lifecycle(highest.id, Lifecycle.DISABLED, day(2))

    assert [meant(catalogue, "web", at) for at in (1.5, 2.5)] == ["web@1.0.0/2", "web@1.0.0/1"]


def test_find_when_a_channel_is_named_then_means_what_it_means_then(catalogue: Catalogue) -> None:
    first, second = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    catalogue.move(first, day(1))
    catalogue.move(second, day(2))
    catalogue.revoke(second, day(3))

    found = [meant(catalogue, "web@stable", at) for at in (1, 2, 3)]

    assert found == [first.reference, second.reference, first.reference]


def test_find_when_the_channel_never_was_then_names_those_that_are(catalogue: Catalogue) -> None:
    catalogue.move(catalogue.record("web@1.0.0/1"), day(0.5))

    with pytest.raises(ChannelNotFound, match="web@candidate") as caught:
        meant(catalogue, "web@candidate")

    assert caught.value.context == "There are web@latest, web@stable."


def test_find_when_the_channel_holds_nothing_then_says_so(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    catalogue.move(version, day(0.5))
    catalogue.move(None, day(0.6), MoveKind.UNSET)
    catalogue.revoke(version, day(0.7))

    for channel in ("stable", "latest"):
        with pytest.raises(ChannelEmpty, match=f"web@{channel}"):
            meant(catalogue, f"web@{channel}")


def test_find_when_the_image_of_a_channel_is_mistyped_then_asks_what_was_meant(
    catalogue: Catalogue,
) -> None:
    catalogue.record("debian-web@1.0.0/1")

    with pytest.raises(VersionNotFound) as caught:
        meant(catalogue, "debain-web@stable")

    assert caught.value.context == "There are debian-web@1.0.0/1."
    assert "Did you mean debian-web?" in caught.value.hint


def test_last_build_when_asked_then_is_the_highest_of_the_line(catalogue: Catalogue) -> None:
    for number, reference in enumerate(
        ("web@1.2.9/9", "web@1.10.0/1", "web@1.2.9/10", "b@3.0.0/1")
    ):
        catalogue.versions.add(a_version(reference, definition_digest=a_digest(str(number))))

    last = catalogue.versions.last_build(WEB, Wildcard((1, 2)))

    assert last is not None
    assert last.version == BuildVersion.parse("1.2.9/10")
    assert last.definition_digest == a_digest("2")
    assert catalogue.versions.last_build(WEB, Wildcard((1, 2, 8))) is None
    assert catalogue.versions.last_build(ImageName("x"), Wildcard(())) is None


def test_before_when_asked_then_is_what_its_image_recorded_before(catalogue: Catalogue) -> None:
    first = catalogue.record("web@2.0.0/1")
    catalogue.record("base@1.0.0/1")
    second = catalogue.record("web@1.0.0/1")

    assert catalogue.versions.before(second.id) == first.id
    assert catalogue.versions.before(first.id) is None


def test_references_when_some_are_unknown_then_gives_the_others(catalogue: Catalogue) -> None:
    web = catalogue.record("web@1.0.0/1")
    catalogue.record("base@1.0.0/1")

    assert catalogue.versions.references([web.id, VersionId("gone")]) == {web.id: web.reference}
    assert catalogue.versions.names() == ["base", "web"]


def test_contents_in_use_when_a_version_is_deleted_then_leaves_its_own_out(
    catalogue: Catalogue,
) -> None:
    base = catalogue.record("base@1.0.0/1")
    own = a_version("web@1.0.0/1", layers=(*base.layers, a_version().layers[1]))
    catalogue.versions.add(own)
    catalogue.standings.set_lifecycle(base.id, Lifecycle.DELETED, day(0.5))

    assert catalogue.versions.contents_in_use() == {layer.content for layer in own.layers}
    catalogue.standings.set_lifecycle(own.id, Lifecycle.DELETED, day(0.5))
    assert catalogue.versions.contents_in_use() == frozenset()
