"""`imagebuilder gc`."""

from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import note, print_json, print_lines, told_errors
from imagebuilder.domain.errors import InvalidInput

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def gc(
    *,
    unused: Annotated[
        str, typer.Option("--unused", metavar="TIME", help="How long nobody must have used it.")
    ] = "30d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be freed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Free layers, files, packages and locks that no version needs and nobody used for long."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.retention_text import freed_json, freed_text

        application = Application()
        freed = application.freeing.collect(_seconds(unused), only_look=dry_run)
        settings = application.settings
        if settings.shared_store is not None and settings.has_own_catalogue:
            note("The shared store is left as it is: this catalogue is not that of all machines.")
        if as_json:
            print_json({"is_dry_run": dry_run, **freed_json(freed)})
            return
        print_lines(f"{'would free' if dry_run else 'freed'}: {freed_text(freed)}")


def _seconds(text: str) -> int:
    from imagebuilder.domain.units import duration_seconds

    try:
        return 0 if text == "0d" else duration_seconds(text)
    except ValueError as error:
        raise UnusedMalformed(text) from error


class UnusedMalformed(InvalidInput):
    """A --unused that is no length of time."""

    code = "unused-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"--unused {text!r} is not a length of time.", hint="Write --unused 30d or 12h."
        )
