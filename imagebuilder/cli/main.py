"""The command line's root: every noun and the daily verbs."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from imagebuilder import __version__
from imagebuilder.cli import build, component, doctor, image, recipe, schema
from imagebuilder.cli import run as runs
from imagebuilder.cli.output import told_errors

app = typer.Typer(
    name="imagebuilder",
    help="Self-hosted golden images: layered builds, tested before recorded, lineage that answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(build.build)
app.add_typer(image.app, name="image")
app.add_typer(runs.app, name="run")
app.add_typer(recipe.app, name="recipe")
app.add_typer(component.app, name="component")
app.command()(schema.schema)
app.command()(doctor.doctor)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"imagebuilder {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Build, test, record and trace machine images."""


@app.command()
def version() -> None:
    """Show the version of imagebuilder."""
    typer.echo(f"imagebuilder {__version__}")


def run() -> None:
    """Run the command that was typed."""
    # What a file name or a package holds may be no text in the terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with told_errors():
        app()
