"""What a component is known by, and what its phases say of it."""

import pytest

from imagebuilder.domain.component import (
    ActionName,
    ComponentAmbiguous,
    ComponentNotFound,
    PhaseName,
)
from imagebuilder.domain.ids import is_name
from imagebuilder.domain.versions import Version
from tests.build import a_component, a_component_step

UPDATE = a_component_step("Update", ActionName.UPDATE_OS)
BASH = a_component_step("Bash")


@pytest.mark.parametrize(
    ("build", "updates", "only"),
    [
        ([BASH], False, False),
        ([UPDATE], True, True),
        ([UPDATE, BASH], True, False),
        ([], False, True),
    ],
)
def test_component_says_whether_it_upgrades_and_whether_that_is_all(
    build: list[object], *, updates: bool, only: bool
) -> None:
    component = a_component(build=build)  # type: ignore[arg-type]
    assert (component.updates_packages, component.only_updates_packages) == (updates, only)


def test_component_when_only_its_tests_upgrade_then_its_layer_does_not_depend_on_the_day() -> None:
    assert not a_component(test=[UPDATE]).updates_packages


def test_steps_when_there_is_no_such_phase_then_there_are_none() -> None:
    assert a_component().steps(PhaseName.TEST) == ()


def test_digests_when_the_test_phase_changes_then_only_the_whole_one_does() -> None:
    plain, tested = a_component(), a_component(test=[BASH])
    assert plain.layer_digest == tested.layer_digest
    assert plain.digest != tested.digest


def test_digest_when_a_step_moves_to_another_phase_then_is_another() -> None:
    built = a_component(build=[BASH, UPDATE])
    checked = a_component(build=[BASH], validate=[UPDATE])
    assert built.layer_digest != checked.layer_digest


def test_not_found_when_versions_are_there_then_says_which() -> None:
    error = ComponentNotFound("nginx@3.x", versions=(Version(2, 0, 0), Version(1, 4, 2)))
    assert error.message == "There is no component nginx@3.x."
    assert error.context == "There are 1.4.2, 2.0.0."


def test_not_found_when_a_name_is_near_then_asks_whether_it_was_meant() -> None:
    assert ComponentNotFound("ngin", known=("nginx",), near="nginx").hint == "Did you mean nginx?"
    assert ComponentNotFound("ngin").context == "There are no components."


def test_ambiguous_then_names_all_documents() -> None:
    error = ComponentAmbiguous("nginx 1.0.0", ("a.yaml", "b.yaml"), origin=None)
    assert error.message == "2 documents are component nginx 1.0.0."
    assert error.context == "a.yaml, b.yaml"


@pytest.mark.parametrize("text", ["a", "debian-web", "0.x_y", "a" * 127])
def test_name_when_it_is_safe_then_is_one(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "a\n", "-a", ".a", "A", "a/b", "a b", "ü", "a@1", "a" * 128])
def test_name_when_it_is_not_safe_then_is_none(text: str) -> None:
    assert not is_name(text)
