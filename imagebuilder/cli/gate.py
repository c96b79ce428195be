"""`imagebuilder gate`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import MomentText, ends_text, parsed_until
from imagebuilder.cli.options import AsJson, ReferenceArgument, channel_names, pipeline_names
from imagebuilder.cli.output import moment_text, print_json, print_lines, told_errors
from imagebuilder.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagebuilder.cli.output import Json
    from imagebuilder.domain.waiver import Waiver
    from imagebuilder.services.gating import Checked

_SHOWN = 20
"""A kernel alone may have hundreds of findings."""

app = typer.Typer(help="Gates: what stands in a version's way.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.callback()
def _root() -> None:
    """Keep `check` a word of its own, though it is the only one."""


class Purpose(StrEnum):
    """What a version is to be let pass for."""

    DISTRIBUTION = "distribution"


class GateAskedTwice(InvalidInput):
    """Gates of different kinds are asked for at once."""

    code = "gate-asked-twice"

    def __init__(self) -> None:
        """Say which there are."""
        super().__init__(
            "It is not clear which gates are to be asked.",
            context="--for distribution asks those of the channels that mean the version, and of "
            "the pipelines that make its image; --channel and --pipeline name one.",
            hint="Leave one of them out.",
        )


@app.command()
def check(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    channel: Annotated[
        str | None,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="May it enter this channel?",
            autocompletion=channel_names,
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            "--pipeline",
            metavar="NAME",
            help="Do this pipeline's gates let it pass?",
            autocompletion=pipeline_names,
        ),
    ] = None,
    purpose: Annotated[
        Purpose | None,
        typer.Option("--for", help="May it be put where others use it? So if nothing is said."),
    ] = None,
    at: Annotated[
        MomentText,
        typer.Option("--at", metavar="WHEN", help="At a moment to come: 30d, or 2026-12-31."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Show every reason; else the worst 20. JSON has them all.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what stands in a version's way, and how to clear it; end with 4 if something does."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.output import EXIT_STATUS
        from imagebuilder.domain.errors import Refused

        if purpose is not None and (channel or pipeline):
            raise GateAskedTwice
        application = Application()
        moment = None if at is None else parsed_until(at, application.clock.now())
        checked = application.gating.check(reference, channel=channel, pipeline=pipeline, at=moment)
        if as_json:
            print_json(_json(checked))
        else:
            print_lines(*_lines(checked, None if all_ else _SHOWN))
        if checked.objections:
            raise SystemExit(EXIT_STATUS[Refused])


def _lines(checked: "Checked", limit: int | None) -> "Iterator[str]":
    count = len(checked.objections)
    said = "passes" if not count else f"does not pass, for {count} reason{'s' if count > 1 else ''}"
    yield f"{checked.reference} {said} (as of {moment_text(checked.at)})"
    for whose, parts in checked.gates:
        yield f"  {whose}: {'; '.join(parts) or 'asks for nothing of its own'}"
    for number, objection in enumerate(checked.objections[:limit], start=1):
        yield ""
        yield f"{number}. {objection.reason}"
        yield f"   {objection.remedy}."
    if limit is not None and count > limit:
        yield ""
        yield f"... and {count - limit} more: --all shows them."
    waived = _waived(checked)
    if waived:
        yield ""
        yield f"{len(waived)} waived:"
    for finding, waiver in waived:
        until = f"{moment_text(waiver.expires_at)} ({ends_text(waiver.expires_at, checked.at)})"
        yield f"  {finding} until {until}, {waiver.owner}: {waiver.reason}"


def _waived(checked: "Checked") -> "Sequence[tuple[str, Waiver]]":
    """Give what waivers accept, those first that end first. Shape: finding, its waiver."""
    found = {
        (judged.finding.id, judged.finding.scope): (judged.finding.id, judged.waiver)
        for verdict in checked.verdicts
        for judged in verdict.judged
        if judged.waiver is not None
    }
    return sorted(found.values(), key=lambda pair: (pair[1].expires_at, pair[0]))


def _json(checked: "Checked") -> "dict[str, Json]":
    return {
        "reference": checked.reference,
        "at": checked.at.isoformat(),
        "is_pass": not checked.objections,
        "gates": [{"of": whose, "asks": list(parts)} for whose, parts in checked.gates],
        "objections": [{"reason": o.reason, "remedy": o.remedy} for o in checked.objections],
        "waived": [
            {"finding": finding, "waiver": waiver.id, "expires_at": waiver.expires_at.isoformat()}
            for finding, waiver in _waived(checked)
        ],
    }
