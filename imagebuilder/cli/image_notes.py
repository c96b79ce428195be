"""`imagebuilder image label` and `image describe`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument, label_names
from imagebuilder.cli.output import print_json, print_lines, told_errors

if TYPE_CHECKING:
    from imagebuilder.services.labelling import Labelling, NotedThing

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

OfImage = Annotated[
    bool, typer.Option("--of-image", help="Of the image itself, and so of all its versions.")
]


def label(
    reference: ReferenceArgument,
    labels: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="The labels to set.", show_default=False),
    ] = None,
    *,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove", metavar="NAME", help="A label to take off.", autocompletion=label_names
        ),
    ] = None,
    of_image: OfImage = False,
    as_json: AsJson = False,
) -> None:
    """Put labels on a version or an image, or take them off, and show those that are on then."""
    with told_errors(as_json=as_json):
        from imagebuilder.domain.labels import parse_labels

        added = parse_labels(labels or [])
        found = _labelling().label(reference, added, remove or [], is_of_image=of_image)
        if as_json:
            _print_json(found)
            return
        print_lines(*(f"{name}={value}" for name, value in found.notes.labels.items()))


def describe(
    reference: ReferenceArgument,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="What it is; nothing takes it off.", show_default=False
        ),
    ],
    *,
    of_image: OfImage = False,
    as_json: AsJson = False,
) -> None:
    """Describe a version or an image in free text."""
    with told_errors(as_json=as_json):
        found = _labelling().describe(reference, text, is_of_image=of_image)
        if as_json:
            _print_json(found)
            return
        print_lines(f"{found.subject}: {found.notes.description or 'no description'}")


def _print_json(found: "NotedThing") -> None:
    print_json(
        {
            "subject": found.subject,
            "labels": dict(found.notes.labels),
            "description": found.notes.description,
        }
    )


def _labelling() -> "Labelling":
    from imagebuilder.bootstrap import Application

    return Application().labelling
