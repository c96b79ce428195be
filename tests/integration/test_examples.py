"""Every document in recipes/ and components/ is sound, can be planned, and is really an example."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.system.document_files import FileDocumentSource
from imagebuilder.domain.component import PhaseName
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.plan import LayerKind, Plan, PlannedParent, planned_test
from imagebuilder.domain.recipe import ImageParent, Recipe, Suite, SuiteParent
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.services.authoring import Authoring
from tests.integration.downloaded import DOWNLOADED

ROOT = Path(__file__).parents[2]
COMPONENTS = sorted((ROOT / "components").glob("**/component.yaml"))
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))

LIBRARY = {
    *("base-system", "security-updates", "ssh-server", "time-sync", "nginx"),
    *("kernel-cloud", "cloud-init", "users-and-sudo", "ssh-hardening", "unattended-upgrades"),
    *("podman", "node-exporter", "motd-build-info", "sanitize", "cis-hardening"),
    *("amazon-ssm-agent", "aws-cli"),
}

component = pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.parent.name)
recipe = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


@pytest.fixture(name="documents")
def _documents() -> FileDocumentSource:
    return FileDocumentSource()


@pytest.fixture(name="authoring")
def _authoring(documents: FileDocumentSource) -> Authoring:
    return Authoring(documents)


def _plan(path: Path, authoring: Authoring, documents: FileDocumentSource) -> Plan:
    """Plan a recipe as a build does, but for its parent, which is not asked for anything."""
    read = authoring.recipe(str(path)).value
    match read.parent:
        case SuiteParent(suite=suite):
            parent = PlannedParent(
                asked=f"debian:{suite}", identity=str(suite), source=read.parent, suite=suite
            )
        case ImageParent(name=name):
            parent = PlannedParent(asked=f"image:{name}", identity=name)
        case _:
            pytest.fail("no example starts from a tar file")
    return resolve(
        Ingredients(
            recipe=read,
            components=authoring.components_for(read, str(path)).components,
            parent=parent,
            tests=tuple(
                planned_test(test, documents.folder_digest(documents.locate(test.path, str(path))))
                for test in read.tests
            ),
        )
    )


def _recipes(authoring: Authoring) -> Iterator[Recipe]:
    return (authoring.recipe(str(path)).value for path in RECIPES)


def test_examples_when_looked_for_then_all_are_there() -> None:
    assert {path.parent.name for path in COMPONENTS} == LIBRARY
    assert {path.stem for path in RECIPES} == {
        *("debian-base", "debian-web", "debian-trixie", "debian-sid"),
        *("debian-cloud", "debian-container-host", "debian-hardened"),
    }


@component
def test_component_when_read_then_nothing_is_wrong_or_worth_a_warning(
    path: Path, authoring: Authoring
) -> None:
    read = authoring.component(str(path))

    assert [str(warning) for warning in read.warnings] == []


@component
def test_component_when_read_then_it_explains_itself(path: Path, authoring: Authoring) -> None:
    read = authoring.component(str(path)).value

    assert read.name == path.parent.name
    assert read.description
    assert "version:" in read.text
    assert [p.name for p in read.parameters if not p.description] == []
    assert (path.parent / "README.md").read_text().startswith(f"# {read.name}\n")


@component
def test_component_when_read_then_it_checks_what_it_built(path: Path, authoring: Authoring) -> None:
    read = authoring.component(str(path)).value

    assert read.steps(PhaseName.BUILD)
    assert read.steps(PhaseName.VALIDATE)


@component
def test_component_when_its_readme_is_read_then_it_tells_what_a_recipe_needs(
    path: Path, authoring: Authoring
) -> None:
    read = authoring.component(str(path)).value
    readme = (path.parent / "README.md").read_text()

    assert [p.name for p in read.parameters if f"| `{p.name}` | " not in readme] == []
    assert f"Network: `{read.network}`" in readme
    assert "```yaml\n" in readme


@component
def test_component_when_the_library_is_listed_then_its_row_is_right(
    path: Path, authoring: Authoring
) -> None:
    read = authoring.component(str(path)).value
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in (ROOT / "docs/library.md").read_text().splitlines()
        if row.startswith(f"| [{read.name}](../components/{read.name}/README.md) |")
    ]

    assert [row[2:] for row in rows] == [
        [", ".join(f"`{p.name}`" for p in read.parameters) or "none", f"`{read.network}`"]
    ]


@component
def test_component_when_it_is_shipped_then_tests_are_with_it(path: Path) -> None:
    name = path.parent.name.replace("-", "_")

    assert "def test_" in (path.parent / f"tests/test_{name}.py").read_text()


@recipe
def test_recipe_when_read_then_nothing_is_wrong_or_worth_a_warning(
    path: Path, authoring: Authoring
) -> None:
    read = authoring.recipe(str(path))

    assert read.value.name == path.stem
    assert read.value.description
    assert [str(warning) for warning in read.warnings] == []


@recipe
def test_recipe_when_planned_then_each_component_has_its_layer_in_order(
    path: Path, authoring: Authoring, documents: FileDocumentSource
) -> None:
    asked = [use.name for use in authoring.recipe(str(path)).value.components]

    plan = _plan(path, authoring, documents)

    planned = [layer.name for layer in plan.layers if layer.kind is LayerKind.COMPONENT]
    assert planned == asked
    assert plan.tests


@recipe
def test_recipe_when_planned_twice_then_the_plan_is_the_same(
    path: Path, authoring: Authoring, documents: FileDocumentSource
) -> None:
    assert _plan(path, authoring, documents) == _plan(path, authoring, documents)


@recipe
def test_recipe_when_its_parent_is_an_image_then_a_recipe_beside_it_makes_that(
    path: Path, authoring: Authoring
) -> None:
    parent = authoring.recipe(str(path)).value.parent
    seen = [path.stem]
    while isinstance(parent, ImageParent):
        found = authoring.find_recipe(ImageName(parent.name), str(path))
        assert found is not None
        assert parent.name not in seen
        seen.append(parent.name)
        parent = authoring.recipe(found).value.parent

    assert isinstance(parent, SuiteParent)


def test_recipes_when_all_are_taken_then_every_suite_is_a_parent(authoring: Authoring) -> None:
    parents = [read.parent for read in _recipes(authoring)]

    assert {parent.suite for parent in parents if isinstance(parent, SuiteParent)} == set(Suite)


def test_recipes_when_all_are_taken_then_every_component_is_used(authoring: Authoring) -> None:
    used = {use.name for read in _recipes(authoring) for use in read.components}

    # What is downloaded has a version and a checksum that only its users can know.
    assert used | DOWNLOADED.keys() == {path.parent.name for path in COMPONENTS}


def test_recipes_when_all_are_taken_then_every_test_folder_of_theirs_is_used(
    authoring: Authoring,
) -> None:
    used = {test.path for read in _recipes(authoring) for test in read.tests}

    folders = {f"tests/{path.name}" for path in (ROOT / "recipes/tests").iterdir() if path.is_dir()}
    assert {path for path in used if not path.startswith(("../", "pack:"))} == folders


@recipe
def test_recipe_when_it_names_a_component_then_the_tests_of_that_are_its_own(
    path: Path, authoring: Authoring
) -> None:
    read = authoring.recipe(str(path)).value

    of_components = [test.path for test in read.tests if test.path.startswith("../")]
    assert of_components == [f"../components/{use.name}/tests" for use in read.components]
