"""`imagebuilder compliance`."""

from typing import Annotated

import typer

from imagebuilder.cli import compliance_report, compliance_shown
from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import note, print_json, print_table, told_errors

app = typer.Typer(
    help="Compliance: what images are scanned for, and what scans said.", no_args_is_help=True
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

app.command()(compliance_shown.show)
app.command()(compliance_report.report)
app.command()(compliance_shown.trend)


@app.command()
def profiles(
    *,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            metavar="RELEASE",
            help="Only those for it, of its newest content: debian:bookworm.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the profiles that images can be scanned for, of all content that was added."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        equipping = Application().equipping
        found = equipping.list() if release is None else [equipping.made_for(release)]
        if as_json:
            print_json(
                [
                    {
                        "profile": profile.name,
                        "title": profile.title,
                        "id": profile.id,
                        "content": each.pack.name,
                        "content_version": each.pack.version,
                        "releases": list(each.pack.releases),
                    }
                    for each in found
                    for profile in each.pack.profiles
                ]
            )
            return
        print_table(
            ("RELEASE", "PROFILE", "TITLE", "CONTENT"),
            [
                (
                    ", ".join(each.pack.releases) or "-",
                    profile.name,
                    profile.title,
                    each.pack.reference,
                )
                for each in found
                for profile in each.pack.profiles
            ],
        )
        if not found:
            note("hint: Get Debian's with: imagebuilder content fetch")
