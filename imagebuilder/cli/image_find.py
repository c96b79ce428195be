"""`imagebuilder image find` and `image list`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import MomentText, parsed_moment
from imagebuilder.cli.options import (
    AsJson,
    ImageArgument,
    channel_names,
    column_names,
    label_names,
    state_names,
)
from imagebuilder.cli.output import note, print_json, print_table, told_errors
from imagebuilder.domain.search import SortKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.domain.search import Page
    from imagebuilder.services.searching import SearchAsked, Searching

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_LIST = ("version", "created", "parent", "packages", "size", "state", "channels")
_FIND = ("version", "created", "state", "channels", "matched")

Texts = list[str] | None
Labels = Annotated[
    Texts,
    typer.Option(
        "--label",
        metavar="NAME[=VALUE]",
        help="With this label, its own or its image's.",
        autocompletion=label_names,
    ),
]
Packages = Annotated[
    Texts,
    typer.Option(
        "--package", metavar="QUERY", help="Holds it: openssl, 'openssl<3.0.15', 'a>=1,<2'."
    ),
]
Components = Annotated[
    Texts, typer.Option("--component", metavar="NAME[@1.x]", help="Made with it.")
]
Cves = Annotated[Texts, typer.Option("--cve", metavar="CVE", help="Vulnerable to it.")]
Before = Annotated[
    MomentText, typer.Option("--built-before", metavar="TIME", help="Built before then.")
]
After = Annotated[
    MomentText, typer.Option("--built-after", metavar="TIME", help="Built after then.")
]
Channels = Annotated[
    Texts,
    typer.Option("--channel", metavar="NAME", help="Meant by it.", autocompletion=channel_names),
]
States = Annotated[
    Texts,
    typer.Option(
        "--state", metavar="STATE", help="Standing so, or so.", autocompletion=state_names
    ),
]
Glob = Annotated[str, typer.Option("--image", metavar="GLOB", help="Of such images: 'debian-*'.")]
Words = Annotated[
    str, typer.Option("--text", metavar="WORDS", help="Named, described or labelled so.")
]
Sort = Annotated[SortKey, typer.Option("--sort", help="What to put first.")]
Reverse = Annotated[bool, typer.Option("--reverse", help="The other way round.")]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=0, help="So many on a page; 0 is all.")
]
PageNumber = Annotated[int, typer.Option("--page", metavar="N", min=1, help="Which page.")]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME,...",
        help="The columns to show.",
        autocompletion=column_names,
    ),
]


def list_(  # noqa: PLR0913 - typer takes each option as a parameter
    name: ImageArgument = None,
    *,
    label: Labels = None,
    sort: Sort = SortKey.NAME,
    reverse: Reverse = False,
    limit: Limit = 1000,
    page: PageNumber = 1,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """List versions by name, the last built first."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.version_columns import chosen_columns
        from imagebuilder.domain.labels import parse_label_query
        from imagebuilder.domain.search import VersionQuery
        from imagebuilder.services.searching import SearchAsked

        shown = chosen_columns(columns, _LIST)
        query = VersionQuery(
            labels=tuple(map(parse_label_query, label or ())), sort=sort, is_reversed=reverse
        )
        asked = SearchAsked(query=query, limit=limit, page=page)
        _print_page(asked, _searching().list(name, asked), shown, as_json=as_json)


def find(  # noqa: PLR0913 - typer takes each option as a parameter
    *,
    package: Packages = None,
    component: Components = None,
    cve: Cves = None,
    built_before: Before = None,
    built_after: After = None,
    channel: Channels = None,
    label: Labels = None,
    state: States = None,
    image: Glob = "",
    text: Words = "",
    sort: Sort = SortKey.NAME,
    reverse: Reverse = False,
    limit: Limit = 100,
    page: PageNumber = 1,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """Find versions by what they hold and what was said of them; all that is asked must fit."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.version_columns import chosen_columns
        from imagebuilder.domain.channel import checked_channel_name
        from imagebuilder.domain.labels import parse_label_query
        from imagebuilder.domain.package_query import PackageQuery
        from imagebuilder.domain.search import (
            ComponentQuery,
            VersionQuery,
            parse_state,
        )
        from imagebuilder.services.searching import SearchAsked

        shown = chosen_columns(columns, _FIND)
        query = VersionQuery(
            packages=tuple(map(PackageQuery.parse, package or ())),
            components=tuple(map(ComponentQuery.parse, component or ())),
            labels=tuple(map(parse_label_query, label or ())),
            words=tuple(text.split()),
            image=image,
            built_before=parsed_moment(built_before),
            built_after=parsed_moment(built_after),
            sort=sort,
            is_reversed=reverse,
        )
        asked = SearchAsked(
            query=query,
            cves=tuple(cve or ()),
            channels=tuple(map(checked_channel_name, channel or ())),
            states=frozenset(map(parse_state, state or ())),
            limit=limit,
            page=page,
        )
        _print_page(asked, _searching().find(asked), shown, as_json=as_json)
        if cve:
            _note_unchecked()


def _note_unchecked() -> None:
    """Say of how many versions advisories tell nothing: that they were not found is no answer."""
    from imagebuilder.bootstrap import Application

    count = Application().matching.unchecked()
    if count:
        note(
            f"{count:,} version{'s' if count > 1 else ''} could not be checked by advisories: "
            "imagebuilder advisory rescan says why"
        )


def _print_page(
    asked: "SearchAsked", page: "Page", columns: "Sequence[str]", *, as_json: bool
) -> None:
    from imagebuilder.cli.version_columns import found_json, version_cells

    if as_json:
        print_json([found_json(found) for found in page.found])
    else:
        headings = [name.upper() for name in columns]
        print_table(headings, [version_cells(found, columns) for found in page.found])
    if page.left > 0:
        following = f"the next ones: --page {asked.page + 1}, all: --limit 0"
        note(f"{len(page.found):,} of {page.count:,}; {following}")
    elif page.count and not page.found:
        note(f"there is no page {asked.page}: {page.count:,} were found")


def _searching() -> "Searching":
    from imagebuilder.bootstrap import Application

    return Application().searching
