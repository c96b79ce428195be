"""`imagebuilder component`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import told_errors

if TYPE_CHECKING:
    from imagebuilder.cli.checking import Sound
    from imagebuilder.services.authoring import Authoring

app = typer.Typer(help="Components: reusable pieces of build work.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="YAML files.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every fault of components."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.checking import check_files

        authoring = Application().authoring
        check_files(files, lambda file: _checked(authoring, file), as_json=as_json)


def _checked(authoring: "Authoring", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound

    read = authoring.component(file)
    found = read.value
    steps = [f"{phase.name} {len(phase.steps)}" for phase in found.phases]
    return Sound(
        name=found.name,
        version=str(found.version),
        warnings=read.warnings,
        summary=f"component {found.name} {found.version} is sound: steps {', '.join(steps)}",
    )
