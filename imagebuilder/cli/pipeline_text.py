"""Pipelines and what was decided for them: for people, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence

from imagebuilder.cli.output import Json, moment_text, print_lines, print_table
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.pipeline import NoticeTarget, Pipeline, StartCondition
from imagebuilder.domain.run import RunOrder
from imagebuilder.domain.schedule import Schedule
from imagebuilder.domain.units import span_text
from imagebuilder.ports.pipelines import AppliedPipeline, KeptDecision, Pause
from imagebuilder.services.applying.applying import Change, NextRun

HEADINGS = ("PIPELINE", "IMAGE", "SCHEDULE", "NEXT", "STATE", "APPLIED")


def schedule_text(pipeline: Pipeline) -> str:
    """Say when a pipeline is due; nothing when it is not by itself."""
    schedule = pipeline.timing.schedule
    return "" if schedule is None else f"{schedule.text} {schedule.zone.key}"


def change_text(change: Change) -> str:
    """Say what applying a document came to in a line."""
    fields = f" ({', '.join(change.fields)})" if change.fields else ""
    return f"{change.kind} {change.pipeline.name}{fields}"


def change_json(change: Change) -> dict[str, Json]:
    """Give what applying a document came to as JSON."""
    return {
        "pipeline": change.pipeline.name,
        "path": change.pipeline.path,
        "change": change.kind.value,
        "fields": list(change.fields),
        "images": [product.image for product in change.pipeline.products],
        "warnings": [str(warning) for warning in change.warnings],
        "also_made_by": list(change.also_made_by),
    }


def pipeline_row(applied: AppliedPipeline, runs: Sequence[NextRun]) -> Sequence[str]:
    """Give a pipeline as a row of the list."""
    pipeline = applied.pipeline
    products = pipeline.products
    more = f" and {len(products) - 1} more" if len(products) > 1 else ""
    return (
        pipeline.name,
        f"{products[0].image}{more}",
        schedule_text(pipeline) or "-",
        moment_text(runs[0].slot_at) if runs else "-",
        "paused" if applied.pause else _state_text(applied.failures),
        moment_text(applied.applied_at),
    )


def _state_text(failures: int) -> str:
    return f"{failures} failed" if failures else "active"


def pipeline_json(applied: AppliedPipeline, runs: Sequence[NextRun]) -> dict[str, Json]:
    """Give a pipeline as JSON: what its document says, what it makes, and how it stands."""
    said = applied.pipeline.document()
    pause = applied.pause
    return {
        **(said if isinstance(said, Mapping) else {}),
        "path": applied.pipeline.path,
        "products": [
            {
                "variant": product.variant or None,
                "image": product.image,
                "pool": product.pool,
                "parameters": dict(product.overrides),
            }
            for product in applied.pipeline.products
        ],
        "first_applied_at": applied.first_applied_at.isoformat(),
        "applied_at": applied.applied_at.isoformat(),
        "applied_by": applied.applied_by,
        "seen_to_at": applied.cursor_at.isoformat(),
        "failures": applied.failures,
        "paused": {"at": pause.at.isoformat(), "by": pause.actor, "why": pause.why}
        if pause
        else None,
        "next_at": runs[0].slot_at.isoformat() if runs else None,
    }


def print_pipeline(applied: AppliedPipeline, runs: Sequence[NextRun]) -> None:
    """Show a pipeline: how it stands, what its document says, and what it makes."""
    facts = (*_standing(applied, runs), *_said(applied.pipeline))
    print_lines(*(f"{name:13}{value}" for name, value in facts if value), "")
    print_table(
        ("VARIANT", "IMAGE", "POOL", "PARAMETERS"),
        [
            (
                product.variant or "-",
                product.image,
                product.pool,
                ", ".join(f"{key}={value}" for key, value in product.overrides.items()),
            )
            for product in applied.pipeline.products
        ],
    )


def _standing(applied: AppliedPipeline, runs: Sequence[NextRun]) -> Iterator[tuple[str, str]]:
    yield "pipeline", applied.pipeline.name
    yield "about", applied.pipeline.description
    yield "state", pause_text(applied.pause) if applied.pause else _state_text(applied.failures)
    yield "next", moment_text(runs[0].slot_at) if runs else ""
    yield "applied", f"{moment_text(applied.applied_at)} by {applied.applied_by}"
    yield "document", applied.pipeline.path


def _said(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    timing = pipeline.timing
    yield "recipe", pipeline.recipe_path
    yield "built on", pipeline.parent + ("" if pipeline.follows_parent else ", not followed")
    yield "schedule", schedule_text(pipeline)
    if timing.starts is StartCondition.ALWAYS:
        yield "builds", "whenever it is due"
    else:
        only = " for security" if timing.is_security_only else ""
        yield "builds", f"when something changed, or there are updates{only}"
    yield "spread", _span(timing.spread_seconds)
    yield "max age", _span(timing.max_age_seconds)
    yield "pause after", f"{timing.pause_after} failures" if timing.pause_after else ""
    yield "overlap", pipeline.overlap.value
    yield "priority", str(pipeline.priority)
    approval = " after approval" if pipeline.needs_approval else ""
    yield "channel", f"{pipeline.channel}{approval}" if pipeline.channel else ""
    yield "gates", "; ".join(pipeline.gates.parts) if pipeline.gates else ""
    yield "goes to", ", ".join(pipeline.distributions)
    yield "timeout", _span(pipeline.time_limit_seconds)
    yield "attempts", str(pipeline.attempts)
    yield "tells", ", ".join(map(_target_text, pipeline.notify))


def _span(seconds: int | None) -> str:
    return span_text(seconds) if seconds else ""


def _target_text(target: NoticeTarget) -> str:
    on = f" of {', '.join(target.events)}" if target.events else ""
    return f"{target.kind} {target.to}{on}"


def pause_text(pause: Pause) -> str:
    """Say that a pipeline is paused."""
    why = f": {pause.why}" if pause.why else ""
    return f"paused since {moment_text(pause.at)} by {pause.actor}{why}"


def run_row(run: NextRun, schedule: Schedule | None) -> Sequence[str]:
    """Give a slot as a row."""
    local = run.slot_at.astimezone(schedule.zone) if schedule else run.slot_at
    return moment_text(run.slot_at), f"{local:%a %F %T %Z}", moment_text(run.starts_at)


def run_json(run: NextRun, schedule: Schedule | None) -> dict[str, Json]:
    """Give a slot as JSON."""
    local = run.slot_at.astimezone(schedule.zone) if schedule else run.slot_at
    return {
        "slot_at": run.slot_at.isoformat(),
        "local_at": local.isoformat(),
        "starts_at": run.starts_at.isoformat(),
    }


def decision_row(kept: KeptDecision, order: RunOrder | None) -> Sequence[str]:
    """Give a decision as a row, with why the run that it is of was due."""
    return (
        moment_text(kept.at),
        moment_text(kept.slot_at) or "-",
        kept.variant or "-",
        (order.why or order.trigger) if order else "-",
        kept.verdict,
        "; ".join(_reasons(kept.document)),
        kept.run_id,
    )


def decision_json(kept: KeptDecision, order: RunOrder | None) -> dict[str, Json]:
    """Give a decision as JSON; `decision` is all of it, as it was kept."""
    return {
        "pipeline": kept.pipeline,
        "variant": kept.variant or None,
        "at": kept.at.isoformat(),
        "slot_at": kept.slot_at.isoformat() if kept.slot_at else None,
        "run": kept.run_id,
        "trigger": order.trigger if order else None,
        "due_because": order.why if order else None,
        "verdict": kept.verdict,
        "reasons": _reasons(kept.document),
        "decision": kept.document,
    }


def _reasons(document: Canonical) -> list[str]:
    """Give the reasons of a decision in words, whoever took it; what is still right if none."""
    if not isinstance(document, Mapping):
        return []
    reasons = _texts(document.get("reasons"))
    if reasons:
        return reasons
    beside = _texts(document.get("passed_over"))
    version = document.get("version")
    if not version:
        return beside
    if not beside:
        return [f"nothing changed since {version}"]
    return [f"nothing changed since {version} that counts: {'; '.join(beside)}"]


def _texts(rows: Canonical) -> list[str]:
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return []
    return [str(row["text"]) for row in rows if isinstance(row, Mapping) and "text" in row]
