"""Runs as the commands show them: as JSON, and the words that several of them use."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from imagebuilder.domain.notice import shown
from imagebuilder.domain.run import Approval, Run, RunOrder, StageRun, StepRun
from imagebuilder.ports.notices import KeptNotice

if TYPE_CHECKING:
    from datetime import datetime

    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.ids import VersionId

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def swept() -> "Application":
    """Give the services, once runs whose process is gone are recorded as interrupted."""
    from imagebuilder.bootstrap import Application

    application = Application()
    application.sweeping.sweep()
    return application


def references(application: "Application", runs: Iterable[Run]) -> "Mapping[VersionId, str]":
    """Give how people name the versions of runs."""
    versions = {run.version_id for run in runs if run.version_id is not None}
    return application.versions.references(versions)


def seconds(run: Run, now: "datetime") -> float:
    """Give how long a run took, or takes until now."""
    return ((run.ended_at or now) - run.started_at).total_seconds()


def pipeline_text(run: Run) -> str:
    """Give the pipeline of a run with its variant; nothing when there is none."""
    order = run.order
    if order is None:
        return ""
    return f"{order.pipeline} [{order.variant}]" if order.variant else order.pipeline


def run_json(run: Run, now: "datetime", named: "Mapping[VersionId, str]") -> "dict[str, Json]":
    """Give a run."""
    return {
        "id": run.id,
        "image": run.image,
        "state": run.state,
        "started_at": run.started_at.isoformat(),
        "ended_at": _moment(run.ended_at),
        "seconds": round(seconds(run, now), 3),
        "version": named.get(run.version_id) if run.version_id else None,
        "version_id": run.version_id,
        "error": {"code": run.error_code or None, "message": run.error} if run.error else None,
        "attempt": run.attempt,
        "queued_at": _moment(run.queued_at),
        "cancelled_by": run.cancelled_by or None,
        "order": None if run.order is None else _order_json(run.order),
    }


def step_json(step: StepRun) -> "dict[str, Json]":
    """Give a step."""
    return {
        "number": step.number,
        "name": step.name,
        "state": step.state,
        "started_at": step.started_at.isoformat(),
        "seconds": round(step.seconds, 3),
        "detail": step.detail,
    }


def stage_json(stage: StageRun) -> "dict[str, Json]":
    """Give a stage; what it resulted in is for who works on the run."""
    return {
        "stage": stage.stage,
        "state": stage.state,
        "attempt": stage.attempt,
        "worker": stage.worker,
        "started_at": stage.started_at.isoformat(),
        "ended_at": _moment(stage.ended_at),
        "error": {"code": stage.error_code, "message": stage.error} if stage.error else None,
    }


def approval_json(approval: Approval | None) -> "dict[str, Json] | None":
    """Give a person's word."""
    if approval is None:
        return None
    return {
        "verdict": approval.verdict,
        "by": approval.actor,
        "at": approval.at.isoformat(),
        "why": approval.why,
    }


def notice_json(notice: KeptNotice) -> "dict[str, Json]":
    """Give whom a notice is for, and how far it got."""
    return {
        "event": notice.event,
        "kind": notice.target.kind,
        "to": shown(notice.target),
        "at": notice.at.isoformat(),
        "attempts": notice.attempts,
        "next_at": _moment(notice.next_at),
        "delivered_at": _moment(notice.delivered_at),
        "error": notice.error or None,
    }


def _order_json(order: RunOrder) -> "dict[str, Json]":
    """Give what a pipeline asked for, without parameters: one may be secret."""
    return {
        "pipeline": order.pipeline,
        "variant": order.variant,
        "trigger": order.trigger,
        "why": order.why,
        "slot_at": _moment(order.slot_at),
        "pool": order.pool,
        "priority": order.priority,
        "channel": order.channel,
        "needs_approval": order.needs_approval,
        "distributions": list(order.distributions),
    }


def _moment(moment: "datetime | None") -> str | None:
    return None if moment is None else moment.isoformat()
