"""`imagebuilder distribution`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.checking import Sound

app = typer.Typer(help="Distributions: documents that say where versions go.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keep check a command of its own, though it is the only one."""


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Documents.", show_default=False)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every fault of distribution documents."""
    from imagebuilder.cli.checking import check_documents  # noqa: PLC0415 - start-up

    check_documents(files, _checked, as_json=as_json)


def _checked(application: "Application", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound  # noqa: PLC0415 - start-up

    read = application.distribution_reading.at(file)
    targets = ", ".join(f"{target.name} ({target.kind})" for target in read.value.targets)
    return Sound(
        name=read.value.name,
        version="",
        warnings=read.warnings,
        summary=f"distribution {read.value.name} is sound: it goes to {targets}",
    )
