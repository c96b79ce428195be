"""Layer keys change exactly when what goes into a layer does."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain import resolution
from imagebuilder.domain.component import (
    ActionName,
    Component,
    Network,
    OnFailure,
    Parameter,
    PhaseName,
)
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.packer import PackerSource
from imagebuilder.domain.plan import LayerKind, Plan, PlannedLayer, PlannedTest, Upgrades
from imagebuilder.domain.recipe import DiskSpec, Firmware, Repository, Suite, SuiteParent
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.domain.versions import Version
from tests.build import (
    a_component,
    a_component_step,
    a_digest,
    a_planned_parent,
    a_recipe,
    an_update,
    an_upgrade,
)

NAMES = ("one", "two", "three")


def ingredients(*components: Component, **more: object) -> Ingredients:
    given_all: dict[str, object] = {
        "recipe": a_recipe(),
        "components": [(component, {}) for component in components],
        "parent": a_planned_parent(),
    }
    return Ingredients(**(given_all | more))  # type: ignore[arg-type]


def keys(plan: Plan) -> list[Digest | None]:
    return [layer.key for layer in plan.layers]


def patching(name: str = "patches") -> Component:
    return a_component(name, build=[a_component_step("Upgrade", ActionName.UPDATE_OS)])


THREE = [a_component(name) for name in NAMES]
PLAIN = ingredients(*THREE)


def with_second(change: Callable[[Component], Component]) -> Ingredients:
    return ingredients(THREE[0], change(THREE[1]), THREE[2])


def build_step(component: Component, **changes: object) -> Component:
    return replace(
        component,
        phases=tuple(
            replace(p, steps=(replace(p.steps[0], **changes), *p.steps[1:]))  # type: ignore[arg-type]
            if p.name is PhaseName.BUILD
            else p
            for p in component.phases
        ),
    )


CHANGES_A_LAYER: Mapping[str, Callable[[Component], Component]] = {
    "name": lambda c: replace(c, name=a_component("other").name),
    "network": lambda c: replace(c, network=Network.FULL),
    "constant": lambda c: replace(c, constants={"folder": "/srv"}),
    "parameter": lambda c: replace(c, parameters=(Parameter(name="port", default="80"),)),
    "command": lambda c: build_step(c, inputs={"commands": ["false"]}),
    "step name": lambda c: build_step(c, name="Other"),
    "action": lambda c: build_step(c, action=ActionName.REBOOT),
    "time limit": lambda c: build_step(c, timeout_seconds=None),
    "on failure": lambda c: build_step(c, on_failure=OnFailure.IGNORE),
    "attempts": lambda c: build_step(c, max_attempts=2),
    "another step": lambda c: a_component("two", build=[a_component_step(), a_component_step("B")]),
    "validation": lambda c: a_component("two", validate=[a_component_step("Check")]),
}
CHANGES_NO_LAYER: Mapping[str, Callable[[Component], Component]] = {
    "nothing": lambda c: c,
    "description": lambda c: replace(c, description="Other words."),
    "text": lambda c: replace(c, text="# a comment"),
    "version": lambda c: replace(c, version=Version(9, 9, 9)),
    "place": lambda c: replace(c, origin=Origin(document="elsewhere.yaml", line=9)),
    "test phase": lambda c: a_component("two", test=[a_component_step("Probe")]),
    "step's place": lambda c: build_step(c, origin=Origin(document="x.yaml")),
}


@pytest.mark.parametrize("what", CHANGES_A_LAYER)
def test_keys_when_what_a_component_does_changes_then_its_layer_and_all_above_change(
    what: str,
) -> None:
    before, after = resolve(PLAIN), resolve(with_second(CHANGES_A_LAYER[what]))

    assert keys(after)[:2] == keys(before)[:2]
    assert all(new != old for new, old in zip(keys(after)[2:], keys(before)[2:], strict=True))
    assert after.content_digest != before.content_digest


@pytest.mark.parametrize("what", CHANGES_NO_LAYER)
def test_keys_when_only_words_or_tests_of_a_component_change_then_stay(what: str) -> None:
    assert keys(resolve(with_second(CHANGES_NO_LAYER[what]))) == keys(resolve(PLAIN))


def test_definition_when_a_test_phase_changes_then_is_another() -> None:
    changed = resolve(with_second(CHANGES_NO_LAYER["test phase"]))
    assert changed.definition != resolve(PLAIN).definition
    assert changed.content_digest != resolve(PLAIN).content_digest


@given(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=5),
    st.data(),
    st.dictionaries(st.sampled_from(["port", "title"]), st.text(max_size=5), min_size=1),
)
def test_keys_when_a_parameter_changes_then_exactly_its_layer_and_those_above_change(
    names: list[str], data: st.DataObject, parameters: dict[str, str]
) -> None:
    place = data.draw(st.integers(0, len(names) - 1))
    plain: list[tuple[Component, Mapping[str, str]]] = [(a_component(n), {}) for n in names]
    changed = [*plain]
    changed[place] = (plain[place][0], parameters)

    before = keys(resolve(ingredients(components=plain)))
    after = keys(resolve(ingredients(components=changed)))

    first_above = place + 1  # the parent's layer comes first
    assert [a == b for a, b in zip(after, before, strict=True)] == [
        number < first_above for number in range(len(before))
    ]


@given(st.permutations(NAMES))
def test_keys_when_components_are_ordered_otherwise_then_are_others_from_there_on(
    order: list[str],
) -> None:
    after = keys(resolve(ingredients(*(a_component(name) for name in order))))
    same = next((i for i, (a, b) in enumerate(zip(order, NAMES, strict=True)) if a != b), 3)

    assert [a == b for a, b in zip(after, keys(resolve(PLAIN)), strict=True)] == [
        number <= same or same == 3 for number in range(5)
    ]


@given(st.lists(st.sampled_from(NAMES), max_size=5))
def test_keys_of_one_plan_are_all_different(names: list[str]) -> None:
    found = keys(resolve(ingredients(*(a_component(name) for name in names))))
    assert None not in found
    assert len(set(found)) == len(names) + 2


@pytest.mark.parametrize(
    "more",
    [
        {"parent": a_planned_parent(identity="another")},
        {"source_date_epoch": 1},
    ],
    ids=["parent", "file times"],
)
def test_keys_when_the_bottom_changes_then_all_change(more: dict[str, object]) -> None:
    after = resolve(ingredients(*THREE, **more))
    assert set(keys(after)).isdisjoint(keys(resolve(PLAIN)))


def test_keys_when_the_builders_rules_change_then_all_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = keys(resolve(PLAIN))
    monkeypatch.setattr(resolution, "BUILDER_MODE", "another-1")
    assert set(keys(resolve(PLAIN))).isdisjoint(before)


def test_layers_when_the_parent_is_an_image_of_ours_then_there_is_none_for_it() -> None:
    parent = replace(a_planned_parent(), source=None, contents=(a_digest("base"),))
    plan = resolve(ingredients(*THREE, parent=parent))
    assert [layer.name for layer in plan.layers] == [*NAMES, "finish"]


SOURCE = Repository(url="http://deb.example.org/debian", suites=("bookworm",))
SIGNED = replace(SOURCE, keyring="/keys/a.gpg")
KEYRINGS = {"/keys/a.gpg": a_digest("ring")}


@pytest.mark.parametrize(
    "changed",
    [
        {"recipe": a_recipe("other")},
        {"recipe": a_recipe(disk=DiskSpec(firmware=(Firmware.UEFI,)))},
        {"default_repositories": (replace(SOURCE, url="http://other.example.org"),)},
        {"default_repositories": (replace(SOURCE, suites=("sid",)),)},
        {"default_repositories": (replace(SOURCE, components=("main", "contrib")),)},
    ],
    ids=["name", "firmware", "default url", "default suite", "default component"],
)
def test_finish_key_when_what_it_writes_changes_then_it_alone_changes(
    changed: dict[str, object],
) -> None:
    before, after = resolve(PLAIN), resolve(ingredients(*THREE, **changed))
    assert keys(after)[:-1] == keys(before)[:-1]
    assert keys(after)[-1] != keys(before)[-1]


def test_keys_when_the_recipe_brings_archives_of_its_own_then_all_change() -> None:
    before = resolve(PLAIN)
    after = resolve(ingredients(*THREE, recipe=a_recipe(repositories=(SOURCE,))))

    assert not set(keys(before)) & set(keys(after))


def test_finish_key_when_a_keyring_holds_something_else_then_changes() -> None:
    recipe = a_recipe(repositories=(SIGNED,))
    before = resolve(ingredients(recipe=recipe, keyrings=KEYRINGS))
    after = resolve(ingredients(recipe=recipe, keyrings={"/keys/a.gpg": a_digest("new ring")}))
    assert keys(after)[-1] != keys(before)[-1]
    assert after.definition != before.definition


def test_finish_key_when_only_the_keyrings_place_differs_then_stays() -> None:
    moved = replace(SIGNED, keyring="/elsewhere/a.gpg")
    before = resolve(ingredients(recipe=a_recipe(repositories=(SIGNED,)), keyrings=KEYRINGS))
    after = resolve(
        ingredients(
            recipe=a_recipe(repositories=(moved,)), keyrings={"/elsewhere/a.gpg": a_digest("ring")}
        )
    )
    assert after.content_digest == before.content_digest


def test_finish_key_when_the_disk_only_grows_then_stays_but_the_definition_does_not() -> None:
    grown = resolve(ingredients(*THREE, recipe=a_recipe(disk=DiskSpec(size_bytes=2**40))))
    assert keys(grown) == keys(resolve(PLAIN))
    assert grown.content_digest != resolve(PLAIN).content_digest


def answered(given_all: Ingredients, upgrades: Upgrades) -> Ingredients:
    question = resolve(given_all).open_question
    assert question is not None
    assert question.question is not None
    known = {**given_all.known_upgrades, question.question: upgrades}
    return replace(given_all, known_upgrades=known)


WITH_PATCHES = ingredients(THREE[0], patching(), THREE[2])


def layer(plan: Plan, name: str) -> PlannedLayer:
    return next(layer for layer in plan.layers if layer.name == name)


def test_resolve_when_upgrades_are_unknown_then_their_key_and_all_above_are_open() -> None:
    plan = resolve(WITH_PATCHES)
    assert [key is None for key in keys(plan)] == [False, False, True, True, True]
    assert plan.open_question == layer(plan, "patches")
    assert layer(plan, "three").question is None


def test_resolve_when_upgrades_are_known_then_nothing_is_open() -> None:
    plan = resolve(answered(WITH_PATCHES, {"Upgrade": an_update(an_upgrade())}))
    assert plan.open_question is None
    assert None not in keys(plan)
    assert not layer(plan, "patches").is_empty


def test_resolve_when_there_is_nothing_to_upgrade_then_no_layer_and_keys_above_as_without() -> None:
    plan = resolve(answered(WITH_PATCHES, {"Upgrade": an_update()}))
    without = resolve(ingredients(THREE[0], THREE[2]))
    assert layer(plan, "patches").is_empty
    assert layer(plan, "three").key == layer(without, "three").key
    assert layer(plan, "finish").key == layer(without, "finish").key


def test_resolve_when_the_component_does_more_than_upgrade_then_it_is_never_empty() -> None:
    more = a_component(
        "patches", build=[a_component_step("Upgrade", ActionName.UPDATE_OS), a_component_step()]
    )
    given_all = ingredients(THREE[0], more)
    plan = resolve(answered(given_all, {"Upgrade": an_update()}))
    assert not layer(plan, "patches").is_empty
    assert layer(plan, "patches").key != layer(plan, "one").key


@given(
    st.lists(
        st.builds(an_upgrade, st.sampled_from(["apt", "bash"]), new=st.sampled_from("12")),
        unique=True,
    ),
    st.lists(
        st.builds(an_upgrade, st.sampled_from(["apt", "bash"]), new=st.sampled_from("12")),
        unique=True,
    ),
)
def test_keys_when_upgrade_lists_differ_then_differ_and_else_are_the_same(
    first: list[Upgrade], second: list[Upgrade]
) -> None:
    plans = [resolve(answered(WITH_PATCHES, {"Upgrade": an_update(*u)})) for u in (first, second)]
    assert (keys(plans[0]) == keys(plans[1])) == (first == second)


def test_resolve_when_two_components_upgrade_then_the_second_is_asked_on_top_of_the_first() -> None:
    both = ingredients(patching("early"), THREE[0], patching("late"))
    plan = resolve(both)
    assert plan.open_question == layer(plan, "early")
    half = answered(both, {"Upgrade": an_update(an_upgrade())})
    plan = resolve(half)
    assert plan.open_question == layer(plan, "late")
    assert layer(plan, "early").question != layer(plan, "late").question
    assert resolve(answered(half, {"Upgrade": an_update()})).open_question is None


def test_resolve_when_an_answer_was_for_other_layers_then_it_is_not_taken() -> None:
    known = answered(WITH_PATCHES, {"Upgrade": an_update()}).known_upgrades
    moved = replace(WITH_PATCHES, known_upgrades=known, parent=a_planned_parent(identity="moved"))
    assert resolve(moved).open_question is not None


def test_plan_when_it_follows_another_disk_then_holds_the_same() -> None:
    first = resolve(replace(PLAIN, follows=a_digest("disk 1")))
    second = resolve(replace(PLAIN, follows=a_digest("disk 2")))
    assert first.content_digest == second.content_digest
    assert first.digest != second.digest


def test_plan_when_a_test_file_changes_then_no_key_does_but_the_content_does() -> None:
    tests = (PlannedTest(path="tests/web", digest=a_digest("tests")),)
    after = resolve(ingredients(*THREE, tests=tests))
    assert keys(after) == keys(resolve(PLAIN))
    assert after.content_digest != resolve(PLAIN).content_digest


def test_plan_when_the_parent_was_a_suite_then_the_document_says_so() -> None:
    parent = a_planned_parent(source=SuiteParent(suite=Suite.BOOKWORM))
    document = resolve(ingredients(parent=parent)).document()
    assert isinstance(document, Mapping)
    assert document["suite"] == "bookworm"
    assert document["parent"] == {"asked": parent.asked, "identity": parent.identity}


def test_steps_when_packer_builds_then_are_the_components_and_no_other_layer() -> None:
    source = PackerSource(type="qemu", name="qemu", settings={"memory": 512})
    plan, plain = resolve(of_packer(source)), resolve(PLAIN)

    assert [layer.kind for layer in plan.layers] == [LayerKind.COMPONENT] * len(PLAIN.components)
    assert plan.sources == (source,)
    assert plan.open_question is None
    assert not set(keys(plan)) & set(keys(plain))
    assert plan.definition != plain.definition


def test_steps_when_a_setting_of_the_source_changes_then_all_keys_are_others() -> None:
    before, after = (
        resolve(of_packer(PackerSource(type="qemu", name="qemu", settings={"memory": memory})))
        for memory in (512, 1024)
    )

    assert not set(keys(before)) & set(keys(after))
    assert before.content_digest != after.content_digest


def of_packer(source: PackerSource) -> Ingredients:
    return replace(PLAIN, recipe=replace(PLAIN.recipe, sources=(source,)))
