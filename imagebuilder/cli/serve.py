"""`imagebuilder serve`: a process that stays, runs pipelines, and does the work of pools."""

from pathlib import Path
from typing import Annotated

import typer

from imagebuilder.cli.output import told_errors
from imagebuilder.cli.staying import Drain, Pools, pools_of, stay

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def serve(
    *,
    pool: Pools = None,
    control_only: Annotated[
        bool, typer.Option("--control-only", help="Do no pool's work: workers do that.")
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS:PORT", help="Take hooks and give metrics here."),
    ] = None,
    watch: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Apply the pipeline documents there when they change."),
    ] = None,
    drain: Drain = 600,
) -> None:
    """Run pipelines: by their schedules, and when parents, documents, hooks or people want it."""
    with told_errors():
        from imagebuilder.bootstrap import Application
        from imagebuilder.services.pipelines.serving import ServeOrder

        application = Application()
        pools = {} if control_only else pools_of(pool or application.usual_pools)
        order = ServeOrder(
            controls=True,
            pools=pools,
            listen=listen,
            watched=tuple(watch or ()),
            drain_seconds=float(drain),
        )
        stay(application, order)
