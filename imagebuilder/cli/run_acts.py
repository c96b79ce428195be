"""`imagebuilder run cancel`, `approve`, `reject` and `retry`."""

from typing import TYPE_CHECKING

from imagebuilder.cli.options import AsJson, RunArgument, Why
from imagebuilder.cli.output import print_json, print_lines, told_errors
from imagebuilder.domain.run import RunState

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.run import Run

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def cancel(run: RunArgument, *, why: Why = "", as_json: AsJson = False) -> None:
    """End a run of a pipeline; one that waits at once, one at work as soon as it is seen."""
    with told_errors(as_json=as_json):
        application = _swept()
        after = application.overseeing.cancel(run, why=why)
        is_over = after.state is RunState.CANCELLED
        told = "is cancelled" if is_over else "is told to end"
        _tell(application, after, told, as_json=as_json)


def approve(run: RunArgument, *, why: Why = "", as_json: AsJson = False) -> None:
    """Let a run that waits for approval go on."""
    with told_errors(as_json=as_json):
        application = _swept()
        after = application.overseeing.approve(run, why=why)
        _tell(application, after, "is approved and goes on", as_json=as_json)


def reject(run: RunArgument, *, why: Why = "", as_json: AsJson = False) -> None:
    """End a run that waits for approval; the version it recorded stays, and is not promoted."""
    with told_errors(as_json=as_json):
        application = _swept()
        after = application.overseeing.reject(run, why=why)
        _tell(application, after, "is rejected", as_json=as_json)


def retry(run: RunArgument, *, why: Why = "", as_json: AsJson = False) -> None:
    """Let a run of a pipeline that failed, or was ended, go on at the stage where it did."""
    with told_errors(as_json=as_json):
        application = _swept()
        after = application.overseeing.retry(run, why=why)
        _tell(application, after, f"is queued for attempt {after.attempt}", as_json=as_json)


def _swept() -> "Application":
    from imagebuilder.cli.run_shape import swept

    return swept()


def _tell(application: "Application", run: "Run", told: str, *, as_json: bool) -> None:
    from imagebuilder.cli.run_shape import references, run_json

    if as_json:
        print_json(run_json(run, application.clock.now(), references(application, [run])))
        return
    print_lines(f"{run.id} {told}")
