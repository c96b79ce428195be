"""Which pack of content is meant."""

import pytest

from imagebuilder.domain.content import ContentMissing, content_for, named_content
from tests.build import a_digest, an_added

OLD, NEW = an_added(version="0.1.9"), an_added(version="0.1.10")
AGAIN = an_added(version="0.1.9", digest=a_digest("again"), days=1)
OTHER = an_added("ssg-debian13", releases=("debian:trixie",))
NONE = an_added("own", releases=())
ALL = (NEW, OLD, AGAIN, OTHER, NONE)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("ssg-debian12", NEW),
        ("ssg-debian12 0.1.9", AGAIN),
        ("ssg-debian12@0.1.9", AGAIN),
        (" ssg-debian12 ", NEW),
        (OLD.pack.digest.short, OLD),
        (str(AGAIN.pack.digest), AGAIN),
        ("own", NONE),
    ],
)
def test_content_when_named_then_is_the_newest_of_that_name(asked: str, expected: object) -> None:
    assert named_content(asked, ALL) == expected


@pytest.mark.parametrize("asked", ["", "ssg", "ssg-debian12@2", "f", "sha256:", "ssg-debian12 0.1"])
def test_content_when_it_is_not_there_then_those_that_are_are_told(asked: str) -> None:
    with pytest.raises(ContentMissing) as caught:
        named_content(asked, ALL)
    assert "ssg-debian13 0.1.82 (for debian:trixie), own 0.1.82 (for no release)" in (
        caught.value.context
    )


def test_content_when_asked_for_by_release_then_is_the_newest_for_it() -> None:
    assert content_for("debian:bookworm", ALL) == NEW
    assert content_for("debian:trixie", ALL) == OTHER
    with pytest.raises(ContentMissing, match="no content for release debian:sid"):
        content_for("debian:sid", ALL)


def test_content_when_none_was_added_then_it_is_said_how() -> None:
    with pytest.raises(ContentMissing) as caught:
        content_for("debian:bookworm", ())
    assert caught.value.context == "No content was added yet."
    assert "imagebuilder content fetch" in caught.value.hint
