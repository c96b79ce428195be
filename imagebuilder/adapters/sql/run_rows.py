"""Rows of runs, their stages and orders, from domain values and back; no queries."""

import json
from datetime import datetime

from sqlalchemy import RowMapping

from imagebuilder.adapters.sql.mapping import Values, storable, version_id
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.gate import gate_document, gate_of
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName, RunId
from imagebuilder.domain.pipeline import StartCondition, Trigger
from imagebuilder.domain.run import (
    Approval,
    Run,
    RunOrder,
    RunStage,
    RunState,
    StageRun,
    StepState,
    UnfinishedRun,
    Verdict,
)


def run_values(run: Run) -> Values:
    """Give the row of a run, but for who cancelled it."""
    order = run.order
    return {
        "id": run.id,
        "image": run.image,
        "state": run.state.value,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "version_id": run.version_id,
        "error_code": run.error_code,
        "error": storable(run.error),
        "pipeline": order.pipeline if order else None,
        "variant": order.variant if order else None,
        "slot_at": order.slot_at if order else None,
        "ordered": _order_text(order) if order else None,
        "queued_at": run.queued_at,
        "attempt": run.attempt,
        "place": run.place,
    }


def run(row: RowMapping) -> Run:
    """Give the run of a row."""
    return Run(
        id=RunId(row["id"]),
        image=ImageName(row["image"]),
        state=RunState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        version_id=version_id(row["version_id"]),
        error_code=row["error_code"],
        error=row["error"],
        order=_order(row) if row["ordered"] is not None else None,
        queued_at=row["queued_at"],
        attempt=1 if row["attempt"] is None else row["attempt"],
        cancelled_by=row["cancelled_by"] or "",
        place=row["place"] or "",
    )


def unfinished_run(row: RowMapping) -> UnfinishedRun:
    """Give what of the row of a run that is not over tells what is to be done with it."""
    return UnfinishedRun(
        id=RunId(row["id"]),
        state=RunState(row["state"]),
        attempt=row["attempt"],
        is_cancelled=bool(row["cancelled_by"]),
    )


def stage_values(run_id: RunId, stage: StageRun) -> Values:
    """Give the row of a stage."""
    return {
        "run_id": run_id,
        "stage": stage.stage.value,
        "state": stage.state.value,
        "attempt": stage.attempt,
        "worker": stage.worker,
        "started_at": stage.started_at,
        "ended_at": stage.ended_at,
        "result": None if stage.result is None else canonical_json(stage.result).decode(),
        "error_code": stage.error_code,
        "error": storable(stage.error),
    }


def stage(row: RowMapping) -> StageRun:
    """Give the stage of a row."""
    return StageRun(
        stage=RunStage(row["stage"]),
        state=StepState(row["state"]),
        attempt=row["attempt"],
        worker=row["worker"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        result=None if row["result"] is None else json.loads(row["result"]),
        error_code=row["error_code"],
        error=row["error"],
    )


def approval_values(approval: Approval) -> Values:
    """Give the row of a person's word."""
    return {
        "run_id": approval.run_id,
        "verdict": approval.verdict.value,
        "at": approval.at,
        "actor": approval.actor,
        "why": storable(approval.why),
    }


def approval(row: RowMapping) -> Approval:
    """Give the person's word of a row."""
    return Approval(
        run_id=RunId(row["run_id"]),
        verdict=Verdict(row["verdict"]),
        at=row["at"],
        actor=row["actor"],
        why=row["why"],
    )


def _order_text(order: RunOrder) -> str:
    """Give what of an order has no column of its own."""
    return canonical_json(
        {
            "recipe_path": order.recipe_path,
            "trigger": order.trigger.value,
            "why": storable(order.why),
            "not_before_at": order.not_before_at.isoformat() if order.not_before_at else None,
            "overrides": dict(order.overrides),
            "starts": order.starts.value,
            "is_security_only": order.is_security_only,
            "is_forced": order.is_forced,
            "max_age_seconds": order.max_age_seconds,
            "priority": order.priority,
            "pool": order.pool,
            "channel": order.channel,
            "needs_approval": order.needs_approval,
            "gates": gate_document(order.gates),
            "distributions": list(order.distributions),
            "time_limit_seconds": order.time_limit_seconds,
            "attempts": order.attempts,
        }
    ).decode()


def _order(row: RowMapping) -> RunOrder:
    kept = json.loads(row["ordered"])
    channel, not_before_at = kept["channel"], kept["not_before_at"]
    return RunOrder(
        pipeline=PipelineName(row["pipeline"]),
        variant=row["variant"],
        slot_at=row["slot_at"],
        recipe_path=kept["recipe_path"],
        trigger=Trigger(kept["trigger"]),
        why=kept["why"],
        not_before_at=datetime.fromisoformat(not_before_at) if not_before_at else None,
        overrides=kept["overrides"],
        starts=StartCondition(kept["starts"]),
        is_security_only=kept["is_security_only"],
        is_forced=kept["is_forced"],
        max_age_seconds=kept["max_age_seconds"],
        priority=kept["priority"],
        pool=kept["pool"],
        channel=ChannelName(channel) if channel else None,
        needs_approval=kept["needs_approval"],
        gates=gate_of(kept.get("gates")),
        distributions=tuple(kept.get("distributions", ())),
        time_limit_seconds=kept["time_limit_seconds"],
        attempts=kept["attempts"],
    )
