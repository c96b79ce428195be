"""Finding the components of a recipe and the recipe of an image, over documents in memory."""

import pytest

from imagebuilder.documents.problems import InvalidDocument
from imagebuilder.domain.component import (
    ComponentAmbiguous,
    ComponentNotForLinux,
    ComponentNotFound,
)
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.recipe import Recipe, RecipeAmbiguous
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.services.authoring import Authoring, ComponentShelf
from tests.fakes.documents import FakeDocumentSource

RECIPE = "/w/recipes/web.yaml"
BROKEN = "name: broken\nschemaVersion: [\n"


def a_component(name: str = "", version: str = "", parameters: str = "", command: str = "x") -> str:
    return (
        (f"name: {name}\n" if name else "")
        + (f"version: {version}\n" if version else "")
        + "schemaVersion: 1.0\n"
        + (f"parameters: {parameters}\n" if parameters else "")
        + "phases: [{name: build, steps: "
        + f"[{{name: A, action: ExecuteBash, inputs: {{commands: ['{command}']}}}}]}}]\n"
    )


def a_recipe(components: str, name: str = "web") -> str:
    head = f"kind: Recipe\nname: {name}\nversion: 1.0.x\nparent: debian:sid\n"
    return f"{head}components: {components}\n"


def authoring(recipe: str, **components: str) -> tuple[Authoring, FakeDocumentSource, Recipe]:
    source = FakeDocumentSource(
        {
            RECIPE: recipe,
            **{f"/w/components/{name}.yaml": text for name, text in components.items()},
        }
    )
    service = Authoring(source)
    return service, source, service.recipe(RECIPE).value


def shelf_of(components: str, **documents: str) -> ComponentShelf:
    service, _, recipe = authoring(a_recipe(components), **documents)
    return service.components_for(recipe, RECIPE)


def test_components_for_when_wildcard_is_open_takes_the_newest_that_matches() -> None:
    versions = {
        f"n{i}": a_component("nginx", v) for i, v in enumerate(["1.2.0", "1.10.0", "2.0.0"])
    }
    shelf = shelf_of("[nginx@1.x, nginx, nginx@1.2.0]", **versions)
    assert [str(item.component.version) for item in shelf.items] == ["1.10.0", "2.0.0", "1.2.0"]
    assert shelf.items[0].path == "/w/components/n1.yaml"


def test_components_for_when_component_is_named_by_path_reads_that_file_only() -> None:
    service, source, recipe = authoring(a_recipe("[../components/a.yaml]"), a=a_component())
    shelf = service.components_for(recipe, RECIPE)
    assert shelf.components[0][0].name == "a"
    assert source.read_paths == [RECIPE, "/w/components/a.yaml"]


def test_components_for_when_recipe_names_none_reads_nothing_more() -> None:
    service, source, recipe = authoring(a_recipe("[]"), a=a_component())
    assert service.components_for(recipe, RECIPE).items == ()
    assert source.read_paths == [RECIPE]


def test_components_for_when_another_component_is_broken_does_not_mind() -> None:
    shelf = shelf_of("[a]", a=a_component(), broken=BROKEN, older=a_component("a", "0.1.0") + "x")
    assert [item.component.name for item in shelf.items] == ["a"]


def test_components_for_when_the_needed_component_is_broken_gives_its_problems() -> None:
    with pytest.raises(InvalidDocument, match=r"/w/components/broken\.yaml has 1 problem"):
        shelf_of("[broken]", broken=BROKEN)


def test_components_for_when_the_version_cannot_be_read_gives_that_problem() -> None:
    with pytest.raises(InvalidDocument) as caught:
        shelf_of("[a@1.x]", a=a_component("a", "newest"))
    assert "'version' should be a version" in caught.value.context


def test_components_for_when_the_name_is_unknown_asks_what_was_meant() -> None:
    with pytest.raises(ComponentNotFound) as caught:
        shelf_of("[ngnix]", nginx=a_component(), base=a_component())
    error = caught.value
    assert (error.message, error.hint) == ("There is no component ngnix.", "Did you mean nginx?")
    assert str(error.origin) == f"{RECIPE}:5:14"
    assert "base, nginx" in error.context


def test_components_for_when_no_version_matches_lists_those_there_are() -> None:
    with pytest.raises(ComponentNotFound) as caught:
        shelf_of("[a@3.x]", a=a_component("a", "1.0.0"), b=a_component("a", "2.10.0"))
    assert caught.value.message == "There is no component a@3.x.x."
    assert caught.value.context == "There are 1.0.0, 2.10.0."


def test_components_for_when_two_documents_are_the_same_version_refuses_to_choose() -> None:
    with pytest.raises(ComponentAmbiguous) as caught:
        shelf_of("[a]", a=a_component("a", "1.0.0"), b=a_component("a"))
    assert caught.value.context == "/w/components/a.yaml, /w/components/b.yaml"


def test_components_for_when_a_path_leads_nowhere_says_so() -> None:
    with pytest.raises(DocumentUnreadable):
        shelf_of("[./missing.yaml]")


def test_components_for_when_parameters_are_given_fills_the_rest_with_defaults() -> None:
    parameters = "[{Port: {type: string, default: 80}}, {Host: {type: string}}]"
    shelf = shelf_of(
        "[{component: a, parameters: {Host: h}}]", a=a_component(parameters=parameters)
    )
    assert shelf.items[0].parameters == {"Port": "80", "Host": "h"}


def test_components_for_when_parameters_do_not_fit_gives_every_fault_at_its_place() -> None:
    parameters = "[{Port: {type: string}}, {Host: {type: string, description: where}}]"
    uses = "[{component: a, parameters: {Prot: 1, Host: h}}, a, {component: b, parameters: {X: 1}}]"
    with pytest.raises(InvalidDocument) as caught:
        shelf_of(uses, a=a_component(parameters=parameters), b=a_component())
    said = [(p.origin.column, p.message, p.hint) for p in caught.value.problems]
    add = "Give it under parameters, or give it a default in a."
    assert said == [
        (14, "Component a needs the parameter 'Port'.", add),
        (42, "Component a has no parameter 'Prot'.", "Did you mean Port?"),
        (62, "Component a needs the parameter 'Port'.", add),
        (62, "Component a needs the parameter 'Host': where.", add),
        (93, "Component b has no parameter 'X'.", "It has none."),
    ]


def test_components_for_when_a_component_warns_hands_the_warning_on_once() -> None:
    shelf = shelf_of("[a, a]", a=a_component(command="echo {{.Name}}"))
    assert [w.origin.document for w in shelf.warnings] == ["/w/components/a.yaml"]


def test_find_recipe_when_one_makes_the_image_gives_its_path() -> None:
    source = FakeDocumentSource(
        {RECIPE: a_recipe("[]"), "/w/recipes/b.yaml": a_recipe("[]", "base"), "/w/base.yaml": ""}
    )
    found = Authoring(source).find_recipe(ImageName("base"), RECIPE)
    assert found == "/w/recipes/b.yaml"
    assert Authoring(source).find_recipe(ImageName("other"), RECIPE) is None


def test_find_recipe_when_another_recipe_is_broken_does_not_mind() -> None:
    source = FakeDocumentSource({RECIPE: a_recipe("[]"), "/w/recipes/a.yaml": BROKEN})
    assert Authoring(source).find_recipe(ImageName("web"), RECIPE) == RECIPE


def test_find_recipe_when_two_make_the_image_refuses_to_choose() -> None:
    source = FakeDocumentSource({RECIPE: a_recipe("[]"), "/w/recipes/a.yaml": a_recipe("[]")})
    with pytest.raises(RecipeAmbiguous, match="2 recipes make image web"):
        Authoring(source).find_recipe(ImageName("web"), RECIPE)


WINDOWS = a_component().replace("ExecuteBash", "ExecutePowerShell")


def test_components_for_when_a_step_needs_windows_refuses_with_its_place() -> None:
    with pytest.raises(
        ComponentNotForLinux, match=r"Step A \(ExecutePowerShell\) in phase build"
    ) as it:
        shelf_of("[a]", a=WINDOWS)
    assert str(it.value.origin) == "/w/components/a.yaml:2:32"


def test_components_for_when_such_a_step_has_a_condition_takes_it() -> None:
    guarded = WINDOWS.replace("inputs:", "if: {fileExists: /x}, inputs:")
    assert len(shelf_of("[a]", a=guarded).items) == 1


def test_components_for_when_platform_is_another_refuses() -> None:
    with pytest.raises(ComponentNotForLinux, match="Component a cannot run on Linux"):
        shelf_of("[a]", a="platform: Windows\n" + a_component())


SHIPS = (
    "name: a\nschemaVersion: 1.0\nphases:\n- name: build\n  steps:\n"
    "  - {name: Copy, action: CopyTree, inputs: [{source: etc, destination: /etc}]}\n"
    "- name: validate\n  steps:\n"
    "  - {name: Look, action: RunTestinfra, inputs: {paths: [tests/test_a.py]}}\n"
)


def test_component_when_it_ships_files_then_knows_what_they_were() -> None:
    source = FakeDocumentSource(
        {"/c/component.yaml": SHIPS, "/c/etc/a": "1", "/c/tests/test_a.py": "2"}
    )
    before = Authoring(source).component("/c/component.yaml").value
    source.documents["/c/etc/a"] = "2"
    after = Authoring(source).component("/c/component.yaml").value
    assert set(before.files) == {"etc", "tests/test_a.py"}
    assert before.layer_digest != after.layer_digest


def test_components_for_when_a_component_ships_files_then_they_are_in_its_digest() -> None:
    recipe = a_recipe("[a]")
    source = FakeDocumentSource(
        {
            RECIPE: recipe,
            "/w/components/a/component.yaml": SHIPS,
            "/w/components/a/etc/a": "1",
            "/w/components/a/tests/test_a.py": "2",
        }
    )
    source.component_paths = lambda beside: ["/w/components/a/component.yaml"]  # type: ignore[method-assign]
    service = Authoring(source)
    shelf = service.components_for(service.recipe(RECIPE).value, RECIPE)
    assert set(shelf.items[0].component.files) == {"etc", "tests/test_a.py"}


def test_component_when_files_it_ships_are_not_there_then_all_are_named_with_their_place() -> None:
    source = FakeDocumentSource({"/c/component.yaml": SHIPS})
    with pytest.raises(InvalidDocument) as caught:
        Authoring(source).component("/c/component.yaml")
    first, second = caught.value.problems
    assert first.message == "Step Copy ships etc, which cannot be used."
    assert (first.origin.line, second.origin.line) == (6, 9)
    assert "nothing at /c/etc" in first.hint
