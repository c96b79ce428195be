"""`imagebuilder schema`."""

from enum import StrEnum
from typing import Annotated

import typer

from imagebuilder.cli.output import told_errors, write


class Kind(StrEnum):
    """The documents people write."""

    RECIPE = "recipe"
    COMPONENT = "component"
    RETENTION = "retention"
    PIPELINE = "pipeline"
    DISTRIBUTION = "distribution"


def schema(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="recipe, component, retention, pipeline or distribution.",
            metavar="KIND",
            show_default=False,
        ),
    ],
) -> None:
    """Print the JSON Schema of a kind of document, for editors."""
    with told_errors():
        from imagebuilder.documents.json_schema import (  # noqa: PLC0415 - start-up
            DocumentKind,
            schema_text,
        )

        write(schema_text(DocumentKind(kind.value)))
