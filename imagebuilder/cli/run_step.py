"""`imagebuilder run-step`: a stage of a run, in a process of its own; who runs it is a worker."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.output import told_errors
from imagebuilder.cli.progress import display
from imagebuilder.cli.stopping import stoppable
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.run import RunStage

if TYPE_CHECKING:
    from imagebuilder.domain.digest import Canonical

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def run_step(
    run: Annotated[str, typer.Argument(help="The run's id.", show_default=False)],
    stage: Annotated[RunStage, typer.Argument(help="The stage.", show_default=False)],
    *,
    report: Annotated[Path, typer.Option(help="Where to leave what came of it, as JSON.")],
) -> None:
    """Do one stage of a run and leave what came of it; a worker asks for this."""
    with told_errors(), stoppable():
        from imagebuilder.bootstrap import Application
        from imagebuilder.services.pipelines.performing import fault_of

        application = Application()
        application.sweeping.sweep()
        try:
            with display(as_json=False, is_quiet=False) as shown:
                result = application.performing.perform(run, stage, shown)
        except ImageBuilderError as error:
            _leave(report, {"fault": asdict(fault_of(error))})
            raise
        _leave(report, {"result": result})


def _leave(report: Path, said: "Canonical") -> None:
    """Write all of it or nothing."""
    partial = report.with_suffix(".partial")
    partial.write_text(json.dumps(said), encoding="utf-8")
    partial.replace(report)
