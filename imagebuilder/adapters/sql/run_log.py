"""What is kept of runs is logged as it is kept; of a transaction that is undone, too much is."""

import logging
from collections.abc import Mapping

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import Run, RunState, StageRun, StepState

_LOG = logging.getLogger("imagebuilder.runs")
_LOG.addHandler(logging.NullHandler())  # else a command would print what is wrong twice


def log_run(run: Run) -> None:
    """Tell how a run stands now."""
    order = run.order
    level = logging.WARNING if run.state is RunState.FAILED else logging.INFO
    more = {
        "run": run.id,
        "state": run.state.value,
        "image": run.image,
        "pipeline": order.pipeline if order else None,
        "variant": order.variant if order else None,
        "trigger": order.trigger.value if order else None,
        "attempt": run.attempt,
        "error_code": run.error_code,
        "error": run.error,
    }
    _LOG.log(level, "run %s is %s", run.id, run.state, extra=_given(more))


def log_stage(run_id: RunId, stage: StageRun) -> None:
    """Tell how a stage of a run stands now."""
    level = logging.WARNING if stage.state is StepState.FAILED else logging.INFO
    seconds = (stage.ended_at - stage.started_at).total_seconds() if stage.ended_at else None
    more = {
        "run": run_id,
        "stage": stage.stage.value,
        "state": stage.state.value,
        "attempt": stage.attempt,
        "worker": stage.worker,
        "seconds": seconds,
        "error_code": stage.error_code,
        "error": stage.error,
    }
    _LOG.log(level, "stage %s is %s", stage.stage, stage.state, extra=_given(more))


def log_cancel(run_id: RunId, actor: str) -> None:
    """Tell that somebody wants a run to end."""
    _LOG.info("run %s is to end", run_id, extra={"run": run_id, "by": actor})


def _given(more: Mapping[str, str | float | None]) -> dict[str, str | float]:
    return {name: value for name, value in more.items() if value not in (None, "")}
