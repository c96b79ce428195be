import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.versions import (
    BuildVersion,
    RecipeVersion,
    Version,
    Wildcard,
    next_build,
)

_numbers = st.integers(0, 999_999_999)
_few = st.integers(0, 3)
_versions = st.builds(Version, _few, _few, _few)
_builds = st.builds(BuildVersion, _versions, st.integers(1, 4))
_asked = st.builds(RecipeVersion, _few, _few, st.one_of(st.none(), _few))
_wildcards = st.lists(_few, max_size=3).map(lambda fixed: Wildcard(tuple(fixed)))


@given(st.builds(Version, _numbers, _numbers, _numbers), st.integers(1, 999_999_999))
def test_versions_when_written_and_parsed_then_are_the_same(version: Version, build: int) -> None:
    built = BuildVersion(version, build)

    assert Version.parse(str(version)) == version
    assert BuildVersion.parse(str(built)) == built


@given(st.builds(RecipeVersion, _numbers, _numbers, st.one_of(st.none(), _numbers)))
def test_recipe_version_when_written_and_parsed_then_is_the_same(version: RecipeVersion) -> None:
    assert RecipeVersion.parse(str(version)) == version


@given(_wildcards)
def test_wildcard_when_written_and_parsed_then_is_the_same(wildcard: Wildcard) -> None:
    assert Wildcard.parse(str(wildcard)) == wildcard


_ARABIC = "\N{ARABIC-INDIC DIGIT ONE}.2.3"
_BROKEN = ["", "1", "1.2", "1.2.3.4", "1.2.3\n", " 1.2.3", "1..3", "v1.2.3", "-1.2.3", _ARABIC]


@pytest.mark.parametrize("text", [*_BROKEN, "1.2.x", "1.2.1234567890"])
def test_version_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Version.parse(text)


@pytest.mark.parametrize(
    "text", ["1.2.3", "1.2.3/", "1.2.3/x", "1.2.3/0", "1.2.3/01", "1.2/3", "/1"]
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_build_when_text_is_none_then_is_refused(text: str, end: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        BuildVersion.parse(text + end)


@pytest.mark.parametrize("text", ["1.2.3/4\n", "1.2.3/²", "1.2.3/٣", "1.2.3/1234567890"])
def test_build_when_number_is_not_plain_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a build"):
        BuildVersion.parse(text)


@pytest.mark.parametrize("text", [*_BROKEN, "1.x.x", "1.x.3", "x.1.2"])
def test_recipe_version_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a recipe version"):
        RecipeVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("x", ()),
        ("1", (1,)),
        ("1.x", (1,)),
        ("1.x.x", (1,)),
        ("1.2", (1, 2)),
        ("1.2.x", (1, 2)),
        ("1.2.3", (1, 2, 3)),
    ],
)
def test_wildcard_when_right_end_is_open_then_fixes_the_rest(
    text: str, fixed: tuple[int, ...]
) -> None:
    assert Wildcard.parse(text).fixed == fixed


@pytest.mark.parametrize("text", ["", "y", "1.2.3.4", "1.", "1.x\n", "x.1", "1.x.3", "latest", "*"])
def test_wildcard_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a version or a wildcard|to the right of an x"):
        Wildcard.parse(text)


@given(_wildcards, st.lists(_versions))
def test_wildcard_newest_when_asked_then_is_the_highest_that_is_written_so(
    wildcard: Wildcard, versions: list[Version]
) -> None:
    start = "".join(f"{number}." for number in wildcard.fixed)
    matching = [version for version in versions if f"{version}.".startswith(start)]

    assert wildcard.newest(versions) == (max(matching) if matching else None)


@given(st.lists(_versions))
def test_versions_when_sorted_then_numbers_count_not_letters(versions: list[Version]) -> None:
    expected = sorted(versions, key=lambda v: (v.major, v.minor, v.patch))

    assert sorted(versions) == expected
    assert Version(1, 10, 0) > Version(1, 9, 0)


@given(_asked, st.sets(_builds), st.one_of(st.none(), _builds))
def test_next_build_when_asked_then_is_new_and_what_the_recipe_asks(
    asked: RecipeVersion, taken: set[BuildVersion], same: BuildVersion | None
) -> None:
    given_ = next_build(asked, taken, same_definition_as=same)

    assert given_ not in taken
    assert (given_.version.major, given_.version.minor) == (asked.major, asked.minor)
    if asked.patch is not None:
        assert given_.version.patch == asked.patch


@given(_asked, st.sets(_builds), st.one_of(st.none(), _builds))
def test_next_build_when_taken_then_is_the_newest_of_its_line(
    asked: RecipeVersion, taken: set[BuildVersion], same: BuildVersion | None
) -> None:
    given_ = next_build(asked, taken, same_definition_as=same)
    line = [
        build
        for build in taken
        if (build.version.major, build.version.minor) == (asked.major, asked.minor)
        and (asked.patch is None or build.version.patch == asked.patch)
    ]

    assert all(given_ > build for build in line)


@pytest.mark.parametrize(
    ("asked", "taken", "same", "expected"),
    [
        ("1.2.x", [], None, "1.2.0/1"),
        ("1.2.3", [], None, "1.2.3/1"),
        ("1.2.3", ["1.2.3/9", "1.2.3/10"], None, "1.2.3/11"),
        ("1.2.x", ["1.2.9/1", "1.2.10/4"], None, "1.2.11/1"),
        ("1.2.x", ["1.2.9/1", "1.2.10/4"], "1.2.10/4", "1.2.10/5"),
        ("1.2.x", ["1.2.9/1", "1.2.10/4"], "1.2.9/1", "1.2.11/1"),
        ("1.2.x", ["1.3.0/1", "2.2.5/1"], None, "1.2.0/1"),
    ],
)
def test_next_build_when_builds_came_before_then_counts_on(
    asked: str, taken: list[str], same: str | None, expected: str
) -> None:
    found = next_build(
        RecipeVersion.parse(asked),
        map(BuildVersion.parse, taken),
        same_definition_as=None if same is None else BuildVersion.parse(same),
    )

    assert str(found) == expected
