"""`imagebuilder recipe`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.checking import Sound
    from imagebuilder.documents.problems import Problem
    from imagebuilder.domain.recipe import Recipe
    from imagebuilder.services.authoring import Authoring

app = typer.Typer(help="Recipes: what an image is made of.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="YAML files.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every fault of recipes, and of the components and parameters that they name."""
    from imagebuilder.cli.checking import check_documents

    check_documents(files, _checked, as_json=as_json)


def _checked(application: "Application", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound
    from imagebuilder.domain.recipe import parent_text

    read = application.authoring.recipe(file)
    warnings = (*read.warnings, *_component_warnings(application.authoring, read.value, file))
    made_of = read.value
    count = len(made_of.components)
    return Sound(
        name=made_of.name,
        version=str(made_of.version),
        warnings=warnings,
        summary=f"recipe {made_of.name} {made_of.version} is sound: "
        f"{count} component{'' if count == 1 else 's'} on {parent_text(made_of.parent)}",
    )


def _component_warnings(
    authoring: "Authoring", made_of: "Recipe", file: str
) -> tuple["Problem", ...]:
    """Look at each component apart, and at the tests, so that the faults of all are told.

    Raises: InvalidDocument.
    """
    from imagebuilder.cli.checking import as_problems
    from imagebuilder.documents.problems import InvalidDocument
    from imagebuilder.domain.errors import InvalidInput
    from imagebuilder.domain.origin import Origin

    faults: list[Problem] = []
    warnings: list[Problem] = []
    for use in made_of.components:
        try:
            shelf = authoring.components_for(replace(made_of, components=(use,)), file)
        except InvalidInput as error:
            faults += as_problems(error, use.origin or Origin(document=file))
        else:
            warnings += shelf.warnings
    try:
        authoring.refuse_unusable_tests(made_of, file)
    except InvalidInput as error:
        faults += as_problems(error, Origin(document=file))
    if faults:
        raise InvalidDocument(faults)
    return tuple(warnings)
