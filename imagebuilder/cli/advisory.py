"""`imagebuilder advisory`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, image_names
from imagebuilder.cli.output import note, print_json, print_lines, print_table, told_errors

if TYPE_CHECKING:
    from imagebuilder.domain.advisory import AdvisoryState
    from imagebuilder.services.matching import Matching, Rescan

app = typer.Typer(
    help="Advisories: what is said of packages, and which versions have those.",
    no_args_is_help=True,
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

ImageOption = Annotated[
    str | None,
    typer.Option("--image", metavar="NAME", help="Only its versions.", autocompletion=image_names),
]


@app.command()
def update(
    *,
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="DIR|FILE",
            help="A mirrored file, or a folder of them: Debian's security tracker, OSV, KEV, EPSS.",
        ),
    ],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Keep nothing that was imported before.")
    ] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Then look at all versions with it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import advisories from files, in place of what the same feeds said before."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.advisory_text import rescan_json, rescan_lines, state_json, state_rows

        application = Application()
        matching = application.matching
        with _counting() as on_count:
            state = matching.update(sources, on_count, keeps_others=not fresh)
        found = _rescan(matching, None, only_look=False) if rescan else None
        if as_json:
            told = state_json(state, application.clock.now())
            print_json(told if found is None else {**told, "rescan": rescan_json(found)})
            return
        print_table(*state_rows(state, application.clock.now()))
        _note_left_out(state)
        if found is None:
            note("Look at all versions with it: imagebuilder advisory rescan")
        else:
            print_lines(*rescan_lines(found))


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what was imported, of when it is, and of which releases it speaks."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.advisory_text import release_rows, state_json, state_rows

        application = Application()
        state, now = application.matching.state(), application.clock.now()
        unchecked = application.matching.unchecked()
        if as_json:
            print_json({**state_json(state, now), "unchecked_versions": unchecked})
            return
        print_lines(f"digest {state.digest.short}")
        print_table(*state_rows(state, now))
        print_lines("")
        print_table(*release_rows(state, now))
        _note_left_out(state)
        _note_unchecked(unchecked)


@app.command()
def show(
    cve: Annotated[str, typer.Argument(metavar="CVE", help="CVE-2026-1234.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what is said of a CVE: in which source packages of which releases it is, and is not."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.advisory_text import cve_json, cve_lines, cve_rows
        from imagebuilder.domain.search import CveUnknown

        application = Application()
        said = application.matching.said_of(cve.upper())
        if not said:
            raise CveUnknown(cve)
        if as_json:
            print_json(cve_json(cve.upper(), said))
            return
        print_lines(*cve_lines(cve.upper(), said))
        print_table(*cve_rows(said))
        note(f"Which versions have it: imagebuilder image find --cve {cve.upper()}")


@app.command()
def rescan(
    *,
    image: ImageOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be found.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at what all versions hold with the advisories of now; no image is touched."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.advisory_text import rescan_json, rescan_lines

        found = _rescan(Application().matching, image, only_look=dry_run)
        if as_json:
            print_json({"is_dry_run": dry_run, **rescan_json(found)})
            return
        print_lines(*rescan_lines(found))


def _rescan(matching: "Matching", image: str | None, *, only_look: bool) -> "Rescan":
    with _showing("sets of packages") as shown:
        return matching.rescan(
            lambda done, of: shown(f"{done:,} of {of:,}"), image, only_look=only_look
        )


@contextmanager
def _counting() -> Iterator[Callable[[str, int], None]]:
    """Show how much came of each file so far, when somebody watches."""
    with _showing("statements") as shown:
        yield lambda name, count: shown(f"{name}: {count:,}")


@contextmanager
def _showing(what: str) -> Iterator[Callable[[str], None]]:
    """Show how far some work is on one line of a terminal that is gone afterwards."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from imagebuilder.cli.output import console, printable

    with console(is_error=True).status("") as status_line:
        yield lambda text: status_line.update(printable(f"{text} {what}"))


def _note_left_out(state: "AdvisoryState") -> None:
    counts: dict[str, int] = {}
    for left_out in {source.name: source.left_out for source in state.sources}.values():
        for reason, count in left_out.items():
            counts[reason] = counts.get(reason, 0) + count
    for reason, count in sorted(counts.items()):
        note(f"left out: {count:,} {reason}")


def _note_unchecked(count: int) -> None:
    if count:
        from imagebuilder.cli.advisory_text import counted

        versions = counted(count, "version")
        note(f"nothing is known of {versions}: imagebuilder advisory rescan says why")
