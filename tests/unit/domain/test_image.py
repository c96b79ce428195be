import pytest

from imagebuilder.domain.image import (
    ReferenceAmbiguous,
    ReferenceMalformed,
    VersionNotFound,
    parse_reference,
)
from imagebuilder.domain.versions import BuildVersion, Version, Wildcard
from tests.build import SOME_DAY, a_draft, a_package, a_version


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("web", ()),
        ("web@x", ()),
        ("web@1", (1,)),
        ("web@1.x", (1,)),
        ("web@1.2.x", (1, 2)),
        ("web@1.2.3", (1, 2, 3)),
    ],
)
def test_reference_when_no_build_is_named_then_is_a_wildcard(
    text: str, fixed: tuple[int, ...]
) -> None:
    reference = parse_reference(text)

    assert reference.name == "web"
    assert reference.build is None
    assert reference.wildcard == Wildcard(fixed)
    assert str(reference) == text


def test_reference_when_build_is_named_then_is_that_build() -> None:
    reference = parse_reference("web@1.2.3/14")

    assert reference.build == BuildVersion(Version(1, 2, 3), 14)
    assert str(reference) == "web@1.2.3/14"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "@1.x",
        "web@",
        "web@y",
        "web@1.2.3.4",
        "web@1@2",
        "web@1.x/2",
        "web@/1",
        "web@1.2.3/\n",
    ],
)
def test_reference_when_it_means_nothing_then_is_malformed_and_shown(text: str) -> None:
    with pytest.raises(ReferenceMalformed) as caught:
        parse_reference(text)

    assert repr(text) in caught.value.message
    assert caught.value.context
    assert "debian-web@1.x" in caught.value.hint


def test_version_when_named_then_reads_as_a_reference() -> None:
    assert a_version("web@1.2.3/4").reference == "web@1.2.3/4"


def test_draft_when_recorded_then_has_its_name_moment_and_sorted_packages() -> None:
    draft = a_draft("web", packages=(a_package("b"), a_package("a"), a_package("b")))

    recorded = draft.recorded(
        version_id=a_version().id,
        version=BuildVersion(Version(1, 2, 3), 4),
        created_at=SOME_DAY,
    )

    assert recorded == a_version(
        "web@1.2.3/4",
        id=a_version().id,
        run_id=draft.run_id,
        packages=(a_package("a"), a_package("b")),
    )


def test_not_found_when_there_are_many_then_names_only_the_first() -> None:
    error = VersionNotFound("web@9.x", tuple(f"web@1.0.0/{build}" for build in range(1, 30)))

    assert error.message == "No image version matches web@9.x."
    assert "web@1.0.0/8" in error.context
    assert "web@1.0.0/9" not in error.context


def test_not_found_when_nothing_is_recorded_then_says_so() -> None:
    assert VersionNotFound("web", ()).context == "There are none yet."


def test_ambiguous_when_several_ids_match_then_names_the_first() -> None:
    error = ReferenceAmbiguous("version-2", tuple(f"version-2{end}" for end in "abcdefg"))

    assert error.message == "Several image versions have ids that start with version-2."
    assert "version-2e" in error.context
    assert "version-2f" not in error.context
