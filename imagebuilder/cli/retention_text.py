"""Retention for people, and as JSON."""

from collections.abc import Sequence
from datetime import datetime

from imagebuilder.cli.output import Json, moment_text, note, print_lines, print_table
from imagebuilder.domain.retention import Decision, RetentionRule, Verdict
from imagebuilder.domain.retirement import RetentionPlan
from imagebuilder.domain.units import size_text, span_text
from imagebuilder.services.freeing import Freed
from imagebuilder.services.retiring import Applied

_DAY = 86400


def rule_text(rule: RetentionRule) -> str:
    """Say what a document comes to in a line."""
    then = rule.then
    steps = (
        ("deprecated", then.deprecate_after),
        ("disabled", then.disable_after),
        ("deleted", then.delete_after),
    )
    said = ", ".join(f"{what} after {span_text(s)}" for what, s in steps if s is not None)
    images = ", ".join(rule.select.images)
    return f"retention {rule.name} is sound: of {images}, what nothing keeps is {said}"


def print_plan(plan: RetentionPlan, now: datetime) -> None:
    """Write every decision, and what they come to."""
    print_table(
        ("VERSION", "STATE", "DECISION", "REASON", "AGE", "FREES"),
        [_row(plan, decision, now) for decision in plan.decisions],
    )
    for document in plan.documents if not plan.decisions else ():
        note(f"{document.name} selects no version that is there.")
    note(steps_text(plan))
    if not plan.id:
        note(f"So it would be at {moment_text(plan.at)}; this plan is not kept.")
    elif plan.steps and plan.applied_at is None:
        note(f"Do it with: imagebuilder retention apply {plan.id}")
    elif plan.applied_at is not None:
        note(f"It was applied at {moment_text(plan.applied_at)}.")


def steps_text(plan: RetentionPlan) -> str:
    """Say how many versions a plan changes, and how much that frees."""
    counts = ", ".join(f"{plan.count(v)} {v}" for v in Verdict if plan.count(v))
    frees = f"; frees {size_text(plan.freed_bytes)}" if plan.deletes else ""
    return f"{plan.id or 'plan'}: {counts or 'nothing to decide'}{frees}"


def _row(plan: RetentionPlan, decision: Decision, now: datetime) -> Sequence[str]:
    frees = plan.frees_bytes.get(decision.id)
    age = max(0, int((now - decision.created_at).total_seconds())) // _DAY * _DAY
    return (
        decision.reference,
        decision.lifecycle.value,
        decision.verdict.value,
        f"{'; '.join(decision.reasons)} ({', '.join(decision.rules)})",
        span_text(age),
        "" if frees is None else size_text(frees),
    )


def plan_json(plan: RetentionPlan) -> dict[str, Json]:
    """Give a plan as JSON."""
    return {
        "id": plan.id or None,
        "made_at": plan.made.at.isoformat(),
        "made_by": plan.made.actor,
        "at": plan.at.isoformat(),
        "applied_at": plan.applied_at.isoformat() if plan.applied_at else None,
        "image": plan.image or None,
        "documents": [
            {"path": d.name, "digest": str(d.digest), "text": d.text} for d in plan.documents
        ],
        "decisions": [
            {**decision_json(d), "frees_bytes": plan.frees_bytes.get(d.id)} for d in plan.decisions
        ],
        "counts": {verdict.value: plan.count(verdict) for verdict in Verdict},
        "freed_bytes": plan.freed_bytes,
    }


def decision_json(decision: Decision) -> dict[str, Json]:
    """Give a decision as JSON."""
    return {
        "id": decision.id,
        "version": decision.reference,
        "created_at": decision.created_at.isoformat(),
        "state": decision.lifecycle.value,
        "decision": decision.verdict.value,
        "reasons": list(decision.reasons),
        "documents": list(decision.rules),
        "next_step": decision.next_step.value if decision.next_step else None,
        "due_at": decision.due_at.isoformat() if decision.due_at else None,
    }


def print_applied(applied: Applied) -> None:
    """Write what was done, what was not and why, and what was freed."""
    print_lines(*(f"{d.verdict} {d.reference}" for d in (*applied.before, *applied.done)))
    for skipped in applied.skipped:
        decision = skipped.decision
        because = "; ".join(skipped.because)
        note(f"skipped: {decision.verdict} {decision.reference}: {because}")
    note(
        f"{applied.plan.id}: {len(applied.done) + len(applied.before)} done, "
        f"{len(applied.skipped)} skipped; freed {freed_text(applied.freed)}"
    )


def applied_json(applied: Applied) -> dict[str, Json]:
    """Give what applying came to as JSON."""
    return {
        "id": applied.plan.id,
        "done": [decision_json(d) for d in applied.done],
        "done_before": [decision_json(d) for d in applied.before],
        "skipped": [
            {**decision_json(s.decision), "because": list(s.because)} for s in applied.skipped
        ],
        "freed": freed_json(applied.freed),
    }


def freed_text(freed: Freed) -> str:
    """Say what was freed."""
    parts = [
        f"{freed.layers} layers ({size_text(freed.layer_bytes)})",
        f"{freed.blobs} files ({size_text(freed.blob_bytes)})",
        *(f"{each.count} {each.what} ({size_text(each.size_bytes)})" for each in freed.leftovers),
    ]
    return ", ".join(parts)


def freed_json(freed: Freed) -> dict[str, Json]:
    """Give what was freed as JSON."""
    return {
        "size_bytes": freed.size_bytes,
        "layers": {"count": freed.layers, "size_bytes": freed.layer_bytes},
        "files": {"count": freed.blobs, "size_bytes": freed.blob_bytes},
        "leftovers": [
            {"what": each.what, "count": each.count, "size_bytes": each.size_bytes}
            for each in freed.leftovers
        ],
    }
