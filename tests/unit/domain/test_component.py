"""What a component is known by, and what its phases say of it."""

from dataclasses import replace

import pytest

from imagebuilder.domain.component import (
    ActionName,
    ComponentAmbiguous,
    ComponentNotFound,
    ComponentStep,
    Phase,
    PhaseName,
)
from imagebuilder.domain.conditions import (
    AllOf,
    AnyOf,
    Branch,
    Comparison,
    Guard,
    Not,
    Operator,
)
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import is_name
from imagebuilder.domain.loops import CountingLoop, ListLoop, SplitLoop
from imagebuilder.domain.versions import Version
from tests.build import a_component, a_component_step, a_digest

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


SHIPPING: dict[ActionName, tuple[Canonical, tuple[str, ...]]] = {
    ActionName.COPY_TREE: ([{"source": "etc", "destination": "/etc"}], ("etc",)),
    ActionName.RUN_TESTINFRA: ({"paths": ["tests", "more.py"]}, ("tests", "more.py")),
    ActionName.EXECUTE_BASH: ({"commands": ["true"]}, ()),
}


@pytest.mark.parametrize("action", SHIPPING)
def test_ships_then_names_what_the_step_needs_beside_the_document(action: ActionName) -> None:
    inputs, shipped = SHIPPING[action]
    assert replace(a_component_step("Do", action), inputs=inputs).ships == shipped


@pytest.mark.parametrize(
    ("inputs", "shipped"),
    [
        ({"role": "roles/a"}, ("roles/a",)),
        ({"playbook": "ansible/site.yml"}, ("ansible/site.yml", "ansible")),
        ({"playbook": "site.yml"}, ("site.yml", ".")),
        (None, ()),
    ],
)
def test_ships_of_ansible_then_is_the_role_or_the_folder_of_the_playbook(
    inputs: Canonical, shipped: tuple[str, ...]
) -> None:
    step = replace(a_component_step("Do", ActionName.RUN_ANSIBLE), inputs=inputs)
    assert step.ships == shipped


def test_digests_when_a_shipped_file_changes_then_are_others_where_it_is_used() -> None:
    copies = replace(
        a_component_step("Copy", ActionName.COPY_TREE),
        inputs=[{"source": "etc", "destination": "/etc"}],
    )
    tests = replace(a_component_step("Test", ActionName.RUN_TESTINFRA), inputs={"paths": ["tests"]})
    component = a_component(build=[copies], test=[tests])
    digests = [
        (changed.layer_digest, changed.digest)
        for changed in (
            replace(component, files={"etc": a_digest(etc), "tests": a_digest(test)})
            for etc, test in (("1", "1"), ("2", "1"), ("1", "2"))
        )
    ]
    plain, copied, tested = digests
    assert len({plain[1], copied[1], tested[1]}) == 3
    assert copied[0] != plain[0] == tested[0]


THERE = Comparison(operator=Operator.FILE_EXISTS, operand="/a")
SKIPPED = replace(BASH, guard=Guard(condition=THERE))
REPEATED = replace(BASH, loop=ListLoop(items=("a", "b")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BASH, SKIPPED),
        (SKIPPED, replace(SKIPPED, guard=Guard(condition=Not(condition=THERE)))),
        (SKIPPED, replace(SKIPPED, guard=Guard(condition=THERE, otherwise=Branch.ABORT))),
        (SKIPPED, replace(SKIPPED, guard=Guard(condition=AllOf(conditions=(THERE,))))),
        (
            replace(SKIPPED, guard=Guard(condition=AnyOf(conditions=(THERE, THERE)))),
            replace(SKIPPED, guard=Guard(condition=AllOf(conditions=(THERE, THERE)))),
        ),
        (BASH, REPEATED),
        (REPEATED, replace(REPEATED, loop=ListLoop(items=("a", "b"), name="x"))),
        (REPEATED, replace(REPEATED, loop=ListLoop(items=("b", "a")))),
        (
            replace(BASH, loop=SplitLoop(text="a", delimiter=",")),
            replace(BASH, loop=SplitLoop(text="a", delimiter=";")),
        ),
        (
            replace(BASH, loop=CountingLoop(start=1, end=2, update_by=1)),
            replace(BASH, loop=CountingLoop(start=1, end=3, update_by=1)),
        ),
    ],
)
def test_layer_digest_when_a_condition_or_loop_is_another_then_is_another(
    one: ComponentStep, other: ComponentStep
) -> None:
    assert a_component(build=[one]).layer_digest != a_component(build=[other]).layer_digest


def test_layer_digest_when_only_output_is_hidden_stays() -> None:
    hidden = a_component(build=[replace(BASH, hides_output=True)])
    assert hidden.layer_digest == a_component(build=[BASH]).layer_digest


def test_digest_when_a_phase_of_another_name_changes_then_only_the_whole_one_does() -> None:
    plain = a_component()
    more = replace(plain, phases=(*plain.phases, Phase(name="verify", steps=(BASH,))))
    assert plain.layer_digest == more.layer_digest
    assert plain.digest != more.digest


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
