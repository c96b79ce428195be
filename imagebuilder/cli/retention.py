"""`imagebuilder retention`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import moment_text, note, print_json, print_table, told_errors
from imagebuilder.domain.errors import Refused

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.checking import Sound
    from imagebuilder.domain.retirement import RetentionPlan

app = typer.Typer(
    help="Retention: which versions are kept, and what becomes of the others.",
    no_args_is_help=True,
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Documents.", show_default=False)
]
PlanArgument = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="The plan's id, or its start.", show_default=False),
]
_SHOWN_PLANS = 50


@app.command()
def check(files: Files, *, as_json: AsJson = False) -> None:
    """Show every fault of retention documents."""
    from imagebuilder.cli.checking import check_documents

    check_documents(files, _checked, as_json=as_json)


def _checked(application: "Application", file: str) -> "Sound":
    from imagebuilder.cli.checking import Sound
    from imagebuilder.cli.retention_text import rule_text

    read = application.authoring.retention(file)
    return Sound(
        name=read.value.name, version="", warnings=read.warnings, summary=rule_text(read.value)
    )


@app.command()
def plan(
    files: Files,
    *,
    image: Annotated[
        str, typer.Option("--image", metavar="GLOB", help="Only images that match.")
    ] = "",
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="What it would be then; such a plan is not kept."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it as JSON as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide on every version that documents select, and keep that as a plan; nothing changes."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.moments import parsed_moment
        from imagebuilder.cli.retention_text import plan_json, print_plan
        from imagebuilder.services.retiring import PlanRequest

        application = _application()
        request = PlanRequest(
            paths=[str(file) for file in files], image=image, at=parsed_moment(at)
        )
        made = application.retiring.plan(request)
        if out is not None:
            _write(out, made)
        if as_json:
            print_json(plan_json(made))
            return
        print_plan(made, application.clock.now())


@app.command()
def show(plan_id: PlanArgument, *, as_json: AsJson = False) -> None:
    """Show a plan as it was made."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.retention_text import plan_json, print_plan

        application = _application()
        found = application.retiring.show(plan_id)
        if as_json:
            print_json(plan_json(found))
            return
        print_plan(found, found.at)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the plans made last."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.retention_text import plan_json
        from imagebuilder.domain.units import size_text

        found = _application().retiring.list(_SHOWN_PLANS)
        if as_json:
            print_json([plan_json(each) for each in found])
            return
        print_table(
            ("PLAN", "MADE", "BY", "STEPS", "FREES", "APPLIED"),
            [
                (
                    each.id,
                    moment_text(each.made.at),
                    each.made.actor,
                    str(len(each.steps)),
                    size_text(each.freed_bytes),
                    moment_text(each.applied_at),
                )
                for each in found
            ],
        )


@app.command()
def apply(
    plan_id: PlanArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    max_age: Annotated[
        int, typer.Option("--max-age", min=1, metavar="HOURS", help="How old the plan may be.")
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Do just what a plan says; what came into use since is left as it is, and told."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.distribute import withdraw_overdue
        from imagebuilder.cli.retention_text import applied_json, print_applied, steps_text
        from imagebuilder.cli.stopping import stoppable

        application = _application()
        retiring = application.retiring
        found = retiring.applicable(plan_id, max_age)
        if not yes:
            _ask(steps_text(found))
        told = note if sys.stderr.isatty() and not as_json else _nothing
        with stoppable():
            applied = retiring.apply(found, told)
        if as_json:
            print_json(applied_json(applied))
        else:
            print_applied(applied)
        withdraw_overdue(application, f"retention plan {found.id}", as_json=as_json)


def _nothing(_: str) -> None:
    """Tell nothing: nobody watches."""


def _ask(what: str) -> None:
    """Let a person decide. Raises: NotConfirmed: nobody is there, or it was not wanted."""
    if not sys.stdin.isatty():
        raise NotConfirmed(what, "Nobody can be asked here.")
    note(what)
    if not typer.confirm("Go on?", err=True):
        raise NotConfirmed(what, "It was not wanted.")


class NotConfirmed(Refused):
    """What cannot be undone is done only when somebody says so."""

    code = "not-confirmed"

    def __init__(self, what: str, reason: str) -> None:
        """Say what would have been done."""
        super().__init__(
            "Nothing was done.", context=f"{reason} {what}", hint="Add --yes to do it unasked."
        )


class PlanUnwritten(Refused):
    """A plan's file cannot be written."""

    code = "plan-unwritten"

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and what the system said."""
        super().__init__(
            f"{path} cannot be written.",
            context=reason,
            hint="Name another file; the plan itself is kept, see: imagebuilder retention list",
        )


def _write(path: Path, made: "RetentionPlan") -> None:
    import json

    from imagebuilder.cli.retention_text import plan_json

    try:
        path.write_text(json.dumps(plan_json(made), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise PlanUnwritten(path, error.strerror or str(error)) from error


def _application() -> "Application":
    from imagebuilder.bootstrap import Application

    return Application()
