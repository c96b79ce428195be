"""`imagebuilder image diff`."""

from enum import StrEnum
from typing import Annotated

import typer

from imagebuilder.cli.options import AsJson, LaterReferenceArgument, ReferenceArgument
from imagebuilder.cli.output import print_json, print_lines, told_errors

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


class DiffFormat(StrEnum):
    """For whom a difference is written: a person, a program, the readers of a release."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def diff(  # noqa: PLR0913 - one for each option that people may give
    old: ReferenceArgument,
    new: LaterReferenceArgument = None,
    *,
    with_files: Annotated[
        bool, typer.Option("--files", help="List the files, not only how many.")
    ] = False,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="GLOB", help="Only files that match, such as '/etc/*'."),
    ] = None,
    format_: Annotated[
        DiffFormat, typer.Option("--format", help="json as with --json; markdown: release notes.")
    ] = DiffFormat.TEXT,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions, or between one and the one before it."""
    as_json = as_json or format_ is DiffFormat.JSON
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.file_changes import PathPattern

        wanted = None if path is None else PathPattern.parse(path)
        found = Application().comparing.diff(old, new, wanted=wanted)
        if as_json:
            from imagebuilder.cli.image_diff_shape import diff_json

            print_json(diff_json(found, with_files=with_files))
        elif format_ is DiffFormat.MARKDOWN:
            from imagebuilder.cli.image_release_notes import release_notes

            print_lines(*release_notes(found, with_files=with_files))
        else:
            from imagebuilder.cli.image_diff_text import print_diff

            print_diff(found, with_files=with_files)
