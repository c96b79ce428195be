"""`imagebuilder image reactivate`."""

from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import print_json, print_lines, told_errors

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def reactivate(
    reference: ReferenceArgument,
    *,
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="The reason.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Let a version that retention deprecated or disabled be active again."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        application = Application()
        version = application.cataloguing.show(reference)
        application.retiring.reactivate(version, why)
        if as_json:
            print_json({"version": version.reference, "state": "active"})
            return
        print_lines(f"{version.reference} is active again")
