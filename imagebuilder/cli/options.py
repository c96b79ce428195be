"""Arguments and options that several commands take, and what the shell completes them with."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.domain.errors import ImageBuilderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imagebuilder.bootstrap import Application

_FORMS = "name, name@1.x, name@1.2.3, name@1.2.3/4, or the start of an id"


def _completed(begun: str, known: "Callable[[Application], Iterable[str]]") -> list[str]:
    from imagebuilder.bootstrap import Application  # noqa: PLC0415 - only completion needs it

    try:
        return [word for word in known(Application()) if word.startswith(begun)]
    except ImageBuilderError:
        # Nobody asked for an answer yet: the command itself will say what is wrong.
        return []


def image_names(incomplete: str) -> list[str]:
    """Complete the name of an image."""
    return _completed(incomplete, lambda a: a.cataloguing.images())


def references(incomplete: str) -> list[str]:
    """Complete a version's reference."""
    if "@" not in incomplete:
        return image_names(incomplete)
    image = incomplete.partition("@")[0]
    return _completed(incomplete, lambda a: (s.reference for s in a.cataloguing.list(image)))


def _channels(incomplete: str) -> list[str]:
    def known(application: "Application") -> "Iterable[str]":
        channels = application.channels.channels(None, application.clock.now())
        return (channel.reference for channel in channels)

    return _completed(incomplete, known)


def _run_ids(incomplete: str) -> list[str]:
    return _completed(incomplete, lambda a: (run.id for run in a.runs.newest(50)))


def waivers(incomplete: str) -> list[str]:
    """Complete the id of a waiver."""
    return _completed(incomplete, lambda a: (waiver.id for waiver in a.waivers.all()))


def open_waivers(incomplete: str) -> list[str]:
    """Complete the id of a waiver that nobody revoked and that did not run out."""

    def known(application: "Application") -> "Iterable[str]":
        now = application.clock.now()
        return (each.id for each in application.waivers.all() if each.is_in_force(now))

    return _completed(incomplete, known)


def _components(incomplete: str) -> list[str]:
    return _completed(incomplete, lambda a: a.browsing.names(HERE))


def label_names(incomplete: str) -> list[str]:
    """Complete the name of a label that is in use."""
    return _completed(incomplete, lambda a: a.labels.names())


def channel_names(incomplete: str) -> list[str]:
    """Complete the name of a channel that any image has."""

    def known(application: "Application") -> "Iterable[str]":
        channels = application.channels.channels(None, application.clock.now())
        return sorted({channel.name for channel in channels})

    return _completed(incomplete, known)


def column_names(incomplete: str) -> list[str]:
    """Complete the last of some columns."""
    from imagebuilder.cli.version_columns import COLUMNS  # noqa: PLC0415 - only completion needs it

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in COLUMNS if name.startswith(begun)]


def state_names(incomplete: str) -> list[str]:
    """Complete a state."""
    from imagebuilder.domain.standing import State  # noqa: PLC0415 - only completion needs it

    return [state for state in State if state.startswith(incomplete)]


def pipeline_names(incomplete: str) -> list[str]:
    """Complete the name of a pipeline."""
    return _completed(incomplete, lambda a: (each.pipeline.name for each in a.pipelines.all()))


HERE = "any.yaml"
"""A document in the working folder, beside which others are looked for."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ImageArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="Only this image.", autocompletion=image_names, show_default=False
    ),
]

ImageOption = Annotated[
    str | None,
    typer.Option("--image", metavar="NAME", help="Only this image.", autocompletion=image_names),
]

PipelineOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline", metavar="NAME", help="Only this pipeline.", autocompletion=pipeline_names
    ),
]

PipelineArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The pipeline.", autocompletion=pipeline_names, show_default=False
    ),
]

ComponentArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="The component: name, name@1.2.3, or its YAML file.",
        autocompletion=_components,
        show_default=False,
    ),
]

ReferenceArgument = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help=f"The image version: {_FORMS}.",
        autocompletion=references,
        show_default=False,
    ),
]

OptionalReferenceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[REF]",
        help=f"Only of this image version: {_FORMS}.",
        autocompletion=references,
        show_default=False,
    ),
]

ChannelArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME@CHANNEL",
        help="The channel with its image, such as web@stable.",
        autocompletion=_channels,
        show_default=False,
    ),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what it would come to; change nothing.")
]

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit.")]

LaterReferenceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NEW]",
        help="The newer version; without it, OLD is compared with the one before it.",
        autocompletion=references,
        show_default=False,
    ),
]

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="The run's id, or its start.",
        autocompletion=_run_ids,
        show_default=False,
    ),
]
