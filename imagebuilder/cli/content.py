"""`imagebuilder content`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
)

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.content import AddedContent
    from imagebuilder.services.equipping import Equipping, Kept

app = typer.Typer(
    help="Content: the rules that images are scanned by, as packs.", no_args_is_help=True
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="ssg-debian12, ssg-debian12@0.1.82, or how its digest begins."
    ),
]


@app.command()
def add(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A SCAP data stream: ssg-debian12-ds.xml.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Keep a file of content, with its digest and version; the same once more changes nothing."""
    with told_errors(as_json=as_json):
        _print_kept([_equipping().add(file)], as_json=as_json)


@app.command()
def fetch(*, as_json: AsJson = False) -> None:
    """Keep what Debian's newest package of content holds, from the archive that builds use.

    Its signature is checked. It is data for all of Debian's releases; nothing is installed.
    """
    with told_errors(as_json=as_json):
        if sys.stderr.isatty() and not as_json:
            note("Fetching package ssg-debian ...")
        _print_kept(_equipping().fetch(), as_json=as_json)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show the packs there are."""
    with told_errors(as_json=as_json):
        found = _equipping().list()
        if as_json:
            print_json([_content_json(each) for each in found])
            return
        print_table(
            ("CONTENT", "VERSION", "FOR", "PROFILES", "DIGEST", "ADDED"),
            [
                (
                    each.pack.name,
                    each.pack.version,
                    ", ".join(each.pack.releases) or "-",
                    str(len(each.pack.profiles)),
                    each.pack.digest.short,
                    moment_text(each.added_at),
                )
                for each in found
            ],
        )
        if not found:
            note("hint: Get Debian's with: imagebuilder content fetch")


@app.command()
def show(name: NameArgument, *, as_json: AsJson = False) -> None:
    """Show what a pack tells of itself, and its profiles."""
    with told_errors(as_json=as_json):
        found = _equipping().show(name)
        if as_json:
            print_json(_content_json(found))
            return
        pack = found.pack
        print_lines(
            f"content    {pack.reference}",
            f"benchmark  {pack.benchmark}",
            f"for        {', '.join(pack.releases) or 'no release that is known'}",
            f"digest     {pack.digest}",
            f"added      {moment_text(found.added_at)}",
            "",
        )
        print_table(("PROFILE", "TITLE"), [(each.name, each.title) for each in pack.profiles])


@app.command()
def remove(
    name: NameArgument,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do it; else it is only told what would be done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a pack; versions that were judged by it keep their results, and its file."""
    with told_errors(as_json=as_json):
        dropped = _equipping().remove(name, is_rehearsal=not yes)
        if as_json:
            told: dict[str, Json] = {"is_removed": yes, "versions": dropped.versions}
            print_json(told | _content_json(dropped.content))
            return
        word = "removed" if yes else "would remove"
        pack = dropped.content.pack
        print_lines(f"{word} {pack.reference} ({pack.digest.short})")
        if dropped.versions:
            note(f"{dropped.versions:,} versions were judged by it; they keep what it said.")
        if not yes:
            note("Nothing was done. Do it with: --yes")


def _equipping() -> "Equipping":
    from imagebuilder.bootstrap import Application

    return Application().equipping


def _print_kept(kept: Sequence["Kept"], *, as_json: bool) -> None:
    if as_json:
        print_json([{"is_new": each.is_new, **_content_json(each.content)} for each in kept])
        return
    for each in kept:
        pack = each.content.pack
        word = "added" if each.is_new else "unchanged"
        made_for = f", for {', '.join(pack.releases)}" if pack.releases else ""
        print_lines(f"{word}  {pack.reference} ({pack.digest.short}){made_for}")
    note("See what images can be scanned for: imagebuilder compliance profiles")


def _content_json(content: "AddedContent") -> "dict[str, Json]":
    pack = content.pack
    return {
        "name": pack.name,
        "version": pack.version,
        "digest": str(pack.digest),
        "benchmark": pack.benchmark,
        "releases": list(pack.releases),
        "profiles": [
            {"name": each.name, "id": each.id, "title": each.title} for each in pack.profiles
        ],
        "added_at": content.added_at.isoformat(),
    }
