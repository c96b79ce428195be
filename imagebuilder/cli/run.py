"""`imagebuilder run`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ImageOption, RunArgument
from imagebuilder.cli.output import (
    Json,
    moment_text,
    print_json,
    print_lines,
    print_table,
    told_errors,
)
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.units import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.ids import VersionId
    from imagebuilder.domain.run import Run, StepRun

app = typer.Typer(help="Runs: builds under way and past.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@app.command("list")
def list_(
    *,
    image: ImageOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with told_errors(as_json=as_json):
        from imagebuilder.domain.ids import ImageName

        application = _swept()
        runs = application.runs.newest(limit, ImageName(image) if image else None)
        references = _references(application, runs)
        if as_json:
            print_json([_run_json(application, run, references) for run in runs])
            return
        print_table(
            ("RUN", "IMAGE", "STATE", "STARTED", "TOOK", "RESULT"),
            [
                (
                    run.id,
                    run.image,
                    run.state,
                    moment_text(run.started_at),
                    duration_text(_seconds(application, run)),
                    _result(run, references),
                )
                for run in runs
            ],
        )


@app.command()
def show(run: RunArgument, *, as_json: AsJson = False) -> None:
    """Show a run and its steps."""
    with told_errors(as_json=as_json):
        application = _swept()
        found = application.runs.get(run)
        steps = application.runs.steps(found.id)
        references = _references(application, [found])
        if as_json:
            shown = _run_json(application, found, references)
            print_json({**shown, "steps": [_step_json(step) for step in steps]})
            return
        _print_run(application, found, references)
        print_table(
            ("STEP", "STATE", "TOOK", "NAME", "DETAIL"),
            [(str(s.number), s.state, duration_text(s.seconds), s.name, s.detail) for s in steps],
        )


@app.command()
def logs(
    run: RunArgument,
    *,
    step: Annotated[int | None, typer.Option(min=1, help="Only this step's, as it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the steps of a run printed."""
    with told_errors(as_json=as_json):
        application = _swept()
        found = application.runs.get(run)
        steps = application.runs.steps(found.id)
        chosen = [s for s in steps if step in (None, s.number)]
        if step is not None and not chosen:
            raise StepNotFound(found.id, step, len(steps))
        texts = [application.run_files.log(found.id, s.number) for s in chosen]
        if as_json:
            logged: list[Json] = [
                {
                    "number": s.number,
                    "name": s.name,
                    "text": text,
                    "details": [str(f) for f in application.run_files.details(found.id, s.number)],
                }
                for s, text in zip(chosen, texts, strict=True)
            ]
            print_json({"run": found.id, "steps": logged})
            return
        for s, text in zip(chosen, texts, strict=True):
            if step is None:
                print_lines(f"== {s.number} {s.name} ({s.state})")
            print_lines(*text.splitlines())
            if step is None:
                files = application.run_files.details(found.id, s.number)
                print_lines(*(f"== all details: {file}" for file in files))


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


def _swept() -> "Application":
    """Give the services, once runs whose process is gone are recorded as interrupted."""
    from imagebuilder.bootstrap import Application

    application = Application()
    application.sweeping.sweep()
    return application


def _references(application: "Application", runs: "Iterable[Run]") -> "Mapping[VersionId, str]":
    versions = {run.version_id for run in runs if run.version_id is not None}
    return application.versions.references(versions)


def _seconds(application: "Application", run: "Run") -> float:
    return ((run.ended_at or application.clock.now()) - run.started_at).total_seconds()


def _result(run: "Run", references: "Mapping[VersionId, str]") -> str:
    if run.version_id is not None:
        return references.get(run.version_id, run.version_id)
    return run.error


def _run_json(
    application: "Application", run: "Run", references: "Mapping[VersionId, str]"
) -> dict[str, Json]:
    return {
        "id": run.id,
        "image": run.image,
        "state": run.state,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "seconds": round(_seconds(application, run), 3),
        "version": references.get(run.version_id) if run.version_id else None,
        "version_id": run.version_id,
        "error": {"code": run.error_code or None, "message": run.error} if run.error else None,
    }


def _step_json(step: "StepRun") -> dict[str, Json]:
    return {
        "number": step.number,
        "name": step.name,
        "state": step.state,
        "started_at": step.started_at.isoformat(),
        "seconds": round(step.seconds, 3),
        "detail": step.detail,
    }


def _print_run(
    application: "Application", run: "Run", references: "Mapping[VersionId, str]"
) -> None:
    facts: Sequence[tuple[str, str]] = (
        ("run", run.id),
        ("image", run.image),
        ("state", run.state),
        ("started", moment_text(run.started_at)),
        ("ended", moment_text(run.ended_at)),
        ("took", duration_text(_seconds(application, run))),
        ("version", references.get(run.version_id, "") if run.version_id else ""),
        ("error", f"{run.error} ({run.error_code})" if run.error_code else run.error),
    )
    print_lines(*(f"{name:9}{value}" for name, value in facts if value), "")
