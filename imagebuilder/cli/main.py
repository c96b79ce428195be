"""The command line's root: every noun and the daily verbs."""

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer
import typer.core

from imagebuilder import __version__
from imagebuilder.cli.output import told_errors

_COMMANDS = {
    "build": "build",
    "image": "app",
    "run": "app",
    "recipe": "app",
    "pipeline": "app",
    "component": "app",
    "pack": "app",
    "channel": "app",
    "placement": "app",
    "distribution": "app",
    "distribute": "app",
    "target": "app",
    "finding": "app",
    "waiver": "app",
    "gate": "app",
    "serve": "serve",
    "worker": "worker",
    "key": "app",
    "verify": "verify",
    "catalogue": "app",
    "advisory": "app",
    "content": "app",
    "compliance": "app",
    "audit": "app",
    "retention": "app",
    "gc": "gc",
    "schema": "schema",
    "doctor": "doctor",
    "run-step": "run_step",
}
"""What each word stands for in the module of its name."""
_HIDDEN = frozenset(("run-step",))
"""Said by programs, not by people."""


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """Give the command line; of all commands only the one the words begin with, if they do.

    To load all of them takes longer than to see that nothing changed.
    """
    # Typer escapes "[required]" for rich where rich is installed, though its markup is off here.
    typer.core.HAS_RICH = False
    app = typer.Typer(
        name="imagebuilder",
        help="Self-hosted golden images: "
        "layered builds, tested before recorded, lineage that answers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(root)
    for name in words[:1] if words[:1] and words[0] in _COMMANDS else _COMMANDS:
        found = getattr(
            import_module(f"imagebuilder.cli.{name.replace('-', '_')}"), _COMMANDS[name]
        )
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, hidden=name in _HIDDEN)(found)
    app.command("version")(version)
    return app


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"imagebuilder {__version__}")
        raise typer.Exit


def root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Build, test, record and trace machine images."""


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
        command_line(sys.argv[1:])()
