"""Targets: templates that are filled in."""

import pytest

from imagebuilder.domain.target import (
    FolderPlace,
    Target,
    TargetSpec,
    TemplateMalformed,
    filled,
)

WORDS = {"image": "debian-web", "version": "1.2.0", "build": "3", "region": "", "account": ""}


def test_filled_when_it_asks_for_words_then_they_stand_there() -> None:
    assert filled("{image}-{version}-{build}{{x}}", WORDS) == "debian-web-1.2.0-3{x}"


@pytest.mark.parametrize(
    "template",
    ["{unknown}", "{}", "{image.__class__}", "{image!r}", "{image:>20}", "{image", "image}"],
)
def test_filled_when_it_asks_for_anything_else_then_the_words_are_named(template: str) -> None:
    with pytest.raises(TemplateMalformed, match="no template") as told:
        filled(template, WORDS)

    assert "{image}, {version}, {build}" in told.value.context


@pytest.mark.parametrize(
    ("is_implied", "after", "gives_way"),
    [(True, "home", True), (False, "home", False), (True, "other", False), (True, None, False)],
)
def test_target_gives_way_only_when_it_is_implied_and_comes_after_the_same(
    *, is_implied: bool, after: str | None, gives_way: bool
) -> None:
    spec = TargetSpec(name="one", place=FolderPlace(path="/srv/images"))
    asked = Target(key="a", spec=spec, after="home")

    implied = Target(key="a", spec=spec, after=after, is_implied=is_implied)

    assert implied.gives_way_to(asked) is gives_way
