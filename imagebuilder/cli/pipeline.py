"""`imagebuilder pipeline`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, DryRun, PipelineArgument, Why
from imagebuilder.cli.output import note, print_json, print_lines, print_table, told_errors
from imagebuilder.cli.pipeline_graph import graph
from imagebuilder.cli.pipeline_run import run

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.checking import Sound
    from imagebuilder.domain.ids import RunId
    from imagebuilder.domain.run import RunOrder
    from imagebuilder.services.applying.applying import Applying

app = typer.Typer(
    help="Pipelines: when recipes are built, in which variants, and what happens then.",
    no_args_is_help=True,
)
app.command()(graph)
app.command()(run)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_MOST_SLOTS = 1000


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Documents.", show_default=False)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every fault of pipelines, and of the recipes and parameters that they name."""
    from imagebuilder.cli.checking import check_documents

    check_documents(files, _checked, as_json=as_json)


def _checked(application: "Application", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound
    from imagebuilder.cli.pipeline_text import schedule_text

    read = application.applying.check(file)
    made = read.value
    images = [product.image for product in made.products]
    many = f"{images[0]} and {len(images) - 1} more" if len(images) > 1 else images[0]
    when = schedule_text(made) or "without a schedule"
    summary = f"pipeline {made.name} is sound: {many}, {when}"
    return Sound(name=made.name, version="", warnings=read.warnings, summary=summary)


@app.command()
def apply(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Documents, or folders of them.", show_default=False
        ),
    ],
    *,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let documents be in force, all of them or none; what is in force already stays as it is."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import change_json, change_text

        paths = [str(place) for place in places]
        changes = _applying().apply(paths, why=why, is_dry=dry_run)
        if as_json:
            print_json([change_json(change) for change in changes])
            return
        for change in changes:
            for warning in change.warnings:
                note(f"warning: {warning}")
            if change.also_made_by:
                others = ", ".join(change.also_made_by)
                note(f"warning: {change.pipeline.name} makes an image that {others} makes too")
        print_lines(*map(change_text, changes))
        if dry_run:
            note("Nothing was changed.")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the pipelines in force, and when each is due next."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import HEADINGS, pipeline_json, pipeline_row

        applying = _applying()
        found = [(each, applying.next_runs(each, 1)) for each in applying.list()]
        if as_json:
            print_json([pipeline_json(each, runs) for each, runs in found])
            return
        print_table(HEADINGS, [pipeline_row(each, runs) for each, runs in found])


@app.command()
def show(name: PipelineArgument, *, as_json: AsJson = False) -> None:
    """Show a pipeline as it is in force, and whether its recipe still is what it was."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import pipeline_json, print_pipeline

        applying = _applying()
        applied = applying.show(name)
        runs, drift = applying.next_runs(applied, 1), applying.drift(applied.pipeline)
        if as_json:
            print_json({**pipeline_json(applied, runs), "drift": drift or None})
            return
        print_pipeline(applied, runs)
        if drift:
            note(f"{drift} Look into its recipe, and apply the pipeline again.")


@app.command("next")
def next_(
    name: PipelineArgument,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=_MOST_SLOTS, help="So many.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Show when a pipeline is due next, in UTC and as the clocks of its zone show it."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import run_json, run_row

        applying = _applying()
        applied = applying.show(name)
        schedule, runs = applied.pipeline.timing.schedule, applying.next_runs(applied, count)
        if as_json:
            print_json([run_json(run, schedule) for run in runs])
            return
        print_table(("SLOT", "LOCAL TIME", "BEGINS"), [run_row(run, schedule) for run in runs])
        if not runs:
            note(f"{name} is never due by itself." if schedule is None else f"{name} is over.")
        if applied.pause is not None:
            note("It is paused, so nothing of that begins until it is resumed.")


@app.command()
def pause(
    name: PipelineArgument,
    *,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a pipeline start nothing by itself until it is resumed; people still can."""
    _switch(name, why, is_paused=True, as_json=as_json)


@app.command()
def resume(name: PipelineArgument, *, why: Why = "", as_json: AsJson = False) -> None:
    """Let a paused pipeline go on from now; what was due meanwhile is not made up for."""
    _switch(name, why, is_paused=False, as_json=as_json)


def _switch(name: str, why: str, *, is_paused: bool, as_json: bool) -> None:
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import pause_text, pipeline_json

        applying = _applying()
        is_new = applying.pause(name, why) if is_paused else applying.resume(name, why)
        applied = applying.show(name)
        if as_json:
            print_json(pipeline_json(applied, applying.next_runs(applied, 1)))
            return
        if applied.pause is not None:
            print_lines(f"{name} is {'' if is_new else 'already '}{pause_text(applied.pause)}")
        else:
            print_lines(f"{name} {'goes on' if is_new else 'was not paused'}")


@app.command()
def remove(
    name: PipelineArgument, *, why: Why = "", dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Take a pipeline out of force; its runs, decisions and versions stay."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.pipeline_text import pipeline_json

        removed = _applying().remove(name, why, is_dry=dry_run)
        if as_json:
            print_json(pipeline_json(removed, ()))
            return
        print_lines(f"removed {name}, which {removed.pipeline.path} wrote")
        if dry_run:
            note("Nothing was changed.")


@app.command()
def why(
    name: PipelineArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show what was decided last for a pipeline: why it ran, built or skipped, and why that."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.pipeline_text import decision_json, decision_row

        application = Application()
        found = application.applying.why(name, limit)
        told = [(each, _order_of(application, each.run_id)) for each in found]
        if as_json:
            print_json([decision_json(*each) for each in told])
            return
        headings = ("DECIDED", "SLOT", "VARIANT", "DUE BECAUSE", "DECISION", "WHY", "RUN")
        print_table(headings, [decision_row(*each) for each in told])
        if not found:
            note(f"Nothing was decided for {name} yet.")


def _order_of(application: "Application", run_id: "RunId") -> "RunOrder | None":
    """Give what was asked of a run; nothing when it is not there any more."""
    from imagebuilder.ports.runs import RunNotFound

    try:
        return application.runs.get(run_id).order
    except RunNotFound:
        return None


def _applying() -> "Applying":
    from imagebuilder.bootstrap import Application

    return Application().applying
