"""`imagebuilder placement`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import MomentText, parsed_moment
from imagebuilder.cli.options import AsJson, OptionalReferenceArgument, ReferenceArgument, Why
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
    from imagebuilder.domain.distribution import Placement
    from imagebuilder.services.placing import PlacedVersion, Placing

app = typer.Typer(help="Placements: where versions were put, and are in use.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="Such as aws:ACCOUNT/REGION.", show_default=False)
]
PlacedId = Annotated[
    str, typer.Argument(metavar="ID", help="What it is called there.", show_default=False)
]


@app.command()
def add(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="TARGET", help="Such as aws:ACCOUNT/REGION.", show_default=False
        ),
    ],
    external_id: Annotated[
        str,
        typer.Option("--id", metavar="ID", help="What it is called there.", show_default=False),
    ],
    launched_at: Annotated[
        MomentText, typer.Option("--launched-at", metavar="TIME", help="When it was seen in use.")
    ] = None,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Keep that a version was put at a target, where it has an id."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        application = Application()
        placed = application.placing.add(
            reference, target, external_id, launched_at=parsed_moment(launched_at), why=why
        )
        _tell(placed, f"{placed.reference} is {external_id} at {target}", as_json=as_json)
        # What happened is kept, whatever gates say; whoever did it should know.
        if application.gating.check(placed.reference).objections:
            note(
                f"warning: gates do not let {placed.reference} be distributed; see why with: "
                f"imagebuilder gate check {placed.reference} --for distribution"
            )


@app.command("list")
def list_(reference: OptionalReferenceArgument = None, *, as_json: AsJson = False) -> None:
    """List the placements of a version, or all, in the order of their adding."""
    with told_errors(as_json=as_json):
        found = _placing().list(reference)
        if as_json:
            print_json([placement_json(each.placement, each.reference) for each in found])
            return
        print_table(
            ("VERSION", "TARGET", "ID", "PLACED", "LAUNCHED", "WITHDRAWN"),
            [(each.reference, *placement_cells(each.placement)) for each in found],
        )


@app.command()
def launched(
    target: Target,
    external_id: PlacedId,
    *,
    at: Annotated[
        MomentText, typer.Option("--at", metavar="TIME", help="When; now if it is not said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep that a placement was seen in use, so that retention leaves it alone."""
    with told_errors(as_json=as_json):
        placed = _placing().launched(target, external_id, at=parsed_moment(at))
        last = moment_text(placed.placement.launched_at)
        told = f"{external_id} at {target} ({placed.reference}) was last launched {last}"
        _tell(placed, told, as_json=as_json)


@app.command()
def withdraw(
    target: Target, external_id: PlacedId, *, why: Why = "", as_json: AsJson = False
) -> None:
    """Keep that a placement is gone from its target; it stays on record."""
    with told_errors(as_json=as_json):
        placed = _placing().withdraw(target, external_id, why=why)
        told = f"{external_id} ({placed.reference}) is withdrawn from {target}"
        _tell(placed, told, as_json=as_json)


def placement_json(placement: "Placement", reference: str) -> "dict[str, Json]":
    """Give a placement."""
    launched, withdrawn = placement.launched_at, placement.withdrawn
    return {
        "reference": reference,
        "version_id": placement.version_id,
        "target": placement.target,
        "id": placement.external_id,
        "state": placement.state,
        "placed_at": placement.placed.at.isoformat(),
        "placed_by": placement.placed.actor,
        "why": placement.placed.why,
        "launched_at": None if launched is None else launched.isoformat(),
        "withdrawn_at": None if withdrawn is None else withdrawn.at.isoformat(),
        "withdrawn_by": None if withdrawn is None else withdrawn.actor,
    }


def placement_cells(placement: "Placement") -> tuple[str, str, str, str, str]:
    """Give what a table shows of a placement: where, as what, and since when."""
    withdrawn = placement.withdrawn
    return (
        placement.target,
        placement.external_id,
        moment_text(placement.placed.at),
        moment_text(placement.launched_at),
        moment_text(withdrawn.at if withdrawn else None),
    )


def _tell(placed: "PlacedVersion", told: str, *, as_json: bool) -> None:
    if as_json:
        print_json(placement_json(placed.placement, placed.reference))
        return
    print_lines(told)


def _placing() -> "Placing":
    from imagebuilder.bootstrap import Application

    return Application().placing
