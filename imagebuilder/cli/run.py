"""`imagebuilder run`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli import run_acts, run_logs, run_show
from imagebuilder.cli.moments import parsed_since
from imagebuilder.cli.options import AsJson, ImageOption, PipelineOption
from imagebuilder.cli.output import moment_text, print_json, print_table, told_errors
from imagebuilder.domain.run import RunQuery, RunState
from imagebuilder.domain.units import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.domain.ids import VersionId
    from imagebuilder.domain.run import Run

app = typer.Typer(help="Runs: builds under way and past.", no_args_is_help=True)
app.command()(run_show.show)
app.command()(run_logs.logs)
app.command()(run_acts.cancel)
app.command()(run_acts.approve)
app.command()(run_acts.reject)
app.command()(run_acts.retry)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command("list")
def list_(  # noqa: PLR0913 - typer takes each option as a parameter
    *,
    pipeline: PipelineOption = None,
    image: ImageOption = None,
    state: Annotated[
        list[RunState] | None,
        typer.Option("--state", help="Only those that stand so; may be given several times."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Only those started since: a moment, or 12h, 7d."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.run_shape import (
            pipeline_text,
            references,
            run_json,
            seconds,
            swept,
        )
        from imagebuilder.domain.ids import ImageName, PipelineName

        application = swept()
        now = application.clock.now()
        runs = application.runs.find(
            RunQuery(
                pipeline=PipelineName(pipeline) if pipeline else None,
                image=ImageName(image) if image else None,
                states=frozenset(state or ()),
                since_at=parsed_since(since, now),
                limit=limit,
            )
        )
        named = references(application, runs)
        if as_json:
            print_json([run_json(run, now, named) for run in runs])
            return
        print_table(
            ("RUN", "IMAGE", "STATE", "STARTED", "TOOK", "RESULT", "PIPELINE"),
            [
                (
                    run.id,
                    run.image,
                    run.state,
                    moment_text(run.started_at),
                    duration_text(seconds(run, now)),
                    _result(run, named),
                    pipeline_text(run),
                )
                for run in runs
            ],
        )


def _result(run: "Run", named: "Mapping[VersionId, str]") -> str:
    if run.version_id is not None:
        return named.get(run.version_id, run.version_id)
    return run.error
