"""What UpdateOS was asked of, kept as what a version's packages do not tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.ground import Ground, ground_of
from tests.build import a_package

FINAL = (
    a_package("bash", "5.2-1"),
    a_package("nginx", "1.22-1"),
    a_package("tzdata", "2024b-1", architecture="all"),
)


def test_document_then_has_only_what_the_version_does_not_tell() -> None:
    ground = Ground(
        architecture="amd64",
        packages={("bash", "amd64"): "5.2-1", ("tzdata", "amd64"): "2024a-1"},
        marked=frozenset({("bash", "amd64")}),
        preferences="Package: *",
    )

    assert ground.document(FINAL) == {
        "architecture": "amd64",
        "more": [["tzdata", "amd64", "2024a-1"]],
        "less": [["nginx", "amd64"]],
        "marked": [["bash", "amd64"]],
        "preferences": "Package: *",
    }


NAMES = st.sampled_from(["bash", "nginx", "tzdata", "gone"])
KEYS = st.tuples(NAMES, st.sampled_from(["amd64", "i386"]))


@given(
    st.builds(
        Ground,
        architecture=st.just("amd64"),
        packages=st.dictionaries(KEYS, st.sampled_from(["1", "5.2-1", "1.22-1"])),
        marked=st.frozensets(KEYS),
        preferences=st.text(),
    )
)
def test_ground_of_gives_what_was_kept(ground: Ground) -> None:
    assert ground_of(ground.document(FINAL), FINAL) == ground


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"architecture": "amd64", "more": [], "less": [], "marked": []},
        {"architecture": "amd64", "more": [["a"]], "less": [], "marked": [], "preferences": ""},
        {"architecture": "amd64", "more": "x", "less": [], "marked": [], "preferences": ""},
    ],
)
def test_ground_of_what_is_none_then_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"kept as a mapping|is a (text|list)|is 3 texts"):
        ground_of(document, ())  # type: ignore[arg-type]
