"""`imagebuilder pipeline run`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, PipelineArgument, Why
from imagebuilder.cli.output import note, print_json, print_lines, told_errors
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.run import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.run import Run

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_GOOD = (RunState.SUCCEEDED, RunState.UNCHANGED, RunState.AWAITING_APPROVAL)


def run(  # noqa: PLR0913 - one for each option that people may give
    name: PipelineArgument,
    *,
    variant: Annotated[
        list[str] | None, typer.Option("--variant", help="Only this variant, of a matrix.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COMPONENT.PARAMETER=VALUE", help="Set a parameter."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Build from scratch, whether or not anything changed.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show what the runs print, until they are over.")
    ] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Let a pipeline run now, also a paused one; `imagebuilder serve` does the work."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.build import setting_of
        from imagebuilder.domain.pipeline import Trigger
        from imagebuilder.services.triggering import StartOrder

        application = Application()
        overrides = dict(setting_of(text) for text in set_ or ())
        application.applying.refuse_overrides(name, overrides)
        order = StartOrder(
            pipeline=name,
            trigger=Trigger.PERSON,
            by=application.settings.actor,
            why=why,
            variants=tuple(variant or ()),
            overrides=overrides,
            is_forced=force,
        )
        runs = application.triggering.start(order)
        if not as_json:
            print_lines(*(f"{run.id} queued: {run.image}" for run in runs))
        if not application.is_served:
            note("No `imagebuilder serve` is there now; the runs begin when one is.")
        if wait:
            runs = [_waited(application, run) for run in runs]
        if as_json:
            _print_json(application, runs)
        _refuse_failed(runs if wait else ())


def _print_json(application: "Application", runs: "Sequence[Run]") -> None:
    from imagebuilder.cli.run_shape import references, run_json

    named = references(application, runs)
    print_json([run_json(run, application.clock.now(), named) for run in runs])


def _waited(application: "Application", run: "Run") -> "Run":
    """Show what a run prints, and give it as it ended."""
    for printed in application.following.follow(run.id):
        if printed.text:
            for line in printed.text.splitlines():
                note(line)
        else:
            note(f"== {printed.step.number} {printed.step.name}")
    ended = application.runs.get(run.id)
    note(f"run {ended.id} is {ended.state}{f': {ended.error}' if ended.error else ''}")
    return ended


def _refuse_failed(runs: "Sequence[Run]") -> None:
    for run in runs:
        if run.state not in _GOOD:
            raise RunNotGood(run)


class RunNotGood(StepFailed):
    """A run that was waited for did not end well."""

    code = "run-not-good"

    def __init__(self, run: "Run") -> None:
        """Say which, and how it ended."""
        super().__init__(
            f"Run {run.id} is {run.state}.",
            context=run.error,
            hint=f"See what happened: imagebuilder run show {run.id}",
        )
