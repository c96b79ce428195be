"""`imagebuilder run logs`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, RunArgument
from imagebuilder.cli.output import Json, note, print_json, print_lines, told_errors, write
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.run import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.run import Run, StepRun

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def logs(
    run: RunArgument,
    *,
    step: Annotated[int | None, typer.Option(min=1, help="Only this step's, as it is.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show what comes, until the run is over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the steps of a run printed."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.run_shape import swept

        application = swept()
        found = application.runs.get(run)
        _tell_where(application, found)
        if follow:
            _follow(application, found, step, as_json=as_json)
            return
        steps = application.runs.steps(found.id)
        chosen = [s for s in steps if step in (None, s.number)]
        if step is not None and not chosen:
            raise StepNotFound(found.id, step, len(steps))
        if as_json:
            print_json({"run": found.id, "steps": _logged(application, found, chosen)})
            return
        _print_logs(application, found, chosen, is_whole=step is None)


def _tell_where(application: "Application", run: "Run") -> None:
    """Say so when what was printed lies on another machine: logs stay where they were written."""
    workers = {stage.worker for stage in application.runs.stages(run.id) if stage.worker}
    far = sorted(worker for worker in workers if not worker.startswith(f"{application.host}-"))
    if far:
        note(f"Of {', '.join(far)} the logs are on that machine: type the same command there.")


def _logged(application: "Application", run: "Run", steps: "Sequence[StepRun]") -> list[Json]:
    files = application.run_files
    return [
        {
            "number": step.number,
            "name": step.name,
            "text": files.log(run.id, step.number),
            "details": [str(file) for file in files.details(run.id, step.number)],
        }
        for step in steps
    ]


def _print_logs(
    application: "Application", run: "Run", steps: "Sequence[StepRun]", *, is_whole: bool
) -> None:
    files = application.run_files
    for step in steps:
        if is_whole:
            print_lines(f"== {step.number} {step.name} ({step.state})")
        print_lines(*files.log(run.id, step.number).splitlines())
        if is_whole:
            details = files.details(run.id, step.number)
            print_lines(*(f"== all details: {file}" for file in details))


def _follow(application: "Application", run: "Run", number: int | None, *, as_json: bool) -> None:
    for printed in application.following.follow(run.id, number):
        step = printed.step
        if as_json:
            line = {"number": step.number, "name": step.name, "text": printed.text}
            write(json.dumps(line, ensure_ascii=False) + "\n")
        elif printed.text:
            print_lines(*printed.text.splitlines())
        elif number is None:
            print_lines(f"== {step.number} {step.name}")
        sys.stdout.flush()
    ended = application.runs.get(run.id)
    note(f"run {ended.id} is {ended.state}{f': {ended.error}' if ended.error else ''}")
    if ended.state is RunState.AWAITING_APPROVAL:
        note(f"let it go on with: imagebuilder run approve {ended.id}")


class StepNotFound(WrongState):
    """A run has no step of that number."""

    code = "step-not-found"

    def __init__(self, run_id: str, asked: int, count: int) -> None:
        """Say how many there are."""
        super().__init__(
            f"Run {run_id} has no step {asked}.",
            context=f"Its steps are 1 to {count}." if count else "It has no steps.",
            hint=f"List them with: imagebuilder run show {run_id}",
        )
