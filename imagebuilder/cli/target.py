"""`imagebuilder target`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, OptionalReferenceArgument
from imagebuilder.cli.output import (
    EXIT_STATUS,
    moment_text,
    note,
    print_json,
    print_table,
    told_errors,
)
from imagebuilder.domain.errors import StepFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.cli.output import Json
    from imagebuilder.services.distributing.inspecting import Aim, Looked

app = typer.Typer(
    help="Targets: where distributions put versions, and what became of them there.",
    no_args_is_help=True,
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command("list")
def list_(reference: OptionalReferenceArgument = None, *, as_json: AsJson = False) -> None:
    """List the targets of a version, or of all, and how far it came at each."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        aims = Application().inspecting.aims(reference)
        if as_json:
            print_json([_aim_json(aim) for aim in aims])
            return
        print_table(
            ("VERSION", "TARGET", "STATE", "ID", "SINCE", "FAILURE"),
            [
                (
                    aim.reference,
                    aim.step.target,
                    aim.step.state.value,
                    aim.step.external_id,
                    moment_text(aim.step.ended_at),
                    str(aim.step.failure or ""),
                )
                for aim in aims
            ],
        )


@app.command()
def check(
    reference: OptionalReferenceArgument = None,
    *,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="TARGET", help="Only at this target or entry."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether somebody changed what distributions put at targets."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application

        looked = Application().inspecting.check(reference, target or ())
        if as_json:
            print_json([_looked_json(each) for each in looked])
        else:
            _print_looked(looked)
    if any(each.drifts for each in looked):
        raise SystemExit(EXIT_STATUS[StepFailed])
    if any(each.failure for each in looked):
        raise SystemExit(EXIT_STATUS[Unavailable])


def _print_looked(looked: "Sequence[Looked]") -> None:
    rows = []
    for each in looked:
        named = (each.carried.reference, each.carried.placement.subject)
        if each.failure is not None:
            rows.append((*named, "unknown", str(each.failure), "", ""))
        elif not each.drifts:
            rows.append((*named, "as it was left", "", "", ""))
        rows += [(*named, "changed", d.what, d.wanted, d.found) for d in each.drifts]
    print_table(("VERSION", "PLACEMENT", "STATE", "WHAT", "WANTED", "FOUND"), rows)
    changed = sum(bool(each.drifts) for each in looked)
    unknown = sum(each.failure is not None for each in looked)
    note(f"{len(looked)} looked at, {changed} changed, {unknown} unknown")
    if changed:
        note("Put them right with: imagebuilder distribute REF --to FILE, after withdrawing there")


def _aim_json(aim: "Aim") -> "dict[str, Json]":
    from imagebuilder.cli.distribute_shown import step_json

    placement = aim.placement
    return {
        "reference": aim.reference,
        "distribution": aim.distribution.name,
        **step_json(aim.step),
        "traits": dict(placement.traits) if placement else None,
        "is_withdrawn": placement is not None and placement.withdrawn is not None,
        "is_deleted": placement is not None and placement.is_deleted,
    }


def _looked_json(looked: "Looked") -> "dict[str, Json]":
    from imagebuilder.cli.distribute_shown import failure_json

    placement = looked.carried.placement
    return {
        "reference": looked.carried.reference,
        "target": placement.target,
        "id": placement.external_id,
        "drifts": [{"what": d.what, "wanted": d.wanted, "found": d.found} for d in looked.drifts],
        "failure": failure_json(looked.failure),
    }
