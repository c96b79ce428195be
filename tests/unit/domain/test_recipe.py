"""Parameters set from outside, and what a recipe's errors say."""

import pytest

from imagebuilder.domain.ids import ComponentName
from imagebuilder.domain.recipe import (
    CircularParents,
    ComponentUse,
    OverrideUnknown,
    RecipeAmbiguous,
    overridden,
)
from tests.build import a_recipe

RECIPE = a_recipe(
    components=(
        ComponentUse(name=ComponentName("nginx"), parameters={"port": "80", "title": "x"}),
        ComponentUse(name=ComponentName("nginx-extra")),
        ComponentUse(path="./beside.yaml"),
        ComponentUse(name=ComponentName("nginx")),
    )
)


def test_overridden_when_a_parameter_is_set_then_every_use_of_its_component_has_it() -> None:
    changed = overridden(RECIPE, {"nginx.port": "8080"})
    assert [dict(use.parameters) for use in changed.components] == [
        {"port": "8080", "title": "x"},
        {},
        {},
        {"port": "8080"},
    ]


def test_overridden_when_nothing_is_set_then_is_the_recipe_itself() -> None:
    assert overridden(RECIPE, {}) is RECIPE


def test_overridden_when_a_value_has_dots_then_it_is_kept_whole() -> None:
    changed = overridden(RECIPE, {"nginx-extra.host": "a.example.org"})
    assert changed.components[1].parameters == {"host": "a.example.org"}


@pytest.mark.parametrize("asked", ["port", "apache.port", ".port", "beside.port"])
def test_overridden_when_there_is_no_such_component_then_says_which_there_are(asked: str) -> None:
    with pytest.raises(OverrideUnknown) as failure:
        overridden(RECIPE, {asked: "1"})
    assert asked in failure.value.message
    assert failure.value.context == "The recipe uses nginx, nginx-extra."


def test_circular_parents_then_shows_the_circle() -> None:
    assert CircularParents(("a", "b", "a")).context == "a is built on b is built on a"


def test_recipe_ambiguous_then_names_all_recipes() -> None:
    assert RecipeAmbiguous("web", ("a.yaml", "b.yaml")).context == "a.yaml, b.yaml"
