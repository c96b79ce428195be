"""`imagebuilder image copy`."""

from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument, Why
from imagebuilder.cli.output import note, print_json, print_lines, told_errors


def copy(
    reference: ReferenceArgument,
    *,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="The image it becomes a version of.")
    ],
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Take over a version's bits under another image's name."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up

        application = Application()
        copied = application.copying.copy(reference, name, why=why)
        complaint = application.attesting.sign_recorded(copied)
        if complaint:
            note(complaint)
        if as_json:
            print_json(
                {
                    "reference": copied.reference,
                    "id": copied.id,
                    "copied_from": copied.copied_from,
                }
            )
            return
        print_lines(copied.reference)
