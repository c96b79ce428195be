"""`imagebuilder run show`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from imagebuilder.cli.options import AsJson, RunArgument
from imagebuilder.cli.output import moment_text, print_json, print_lines, print_table, told_errors
from imagebuilder.cli.timeline import Span, bar
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.ids import VersionId
    from imagebuilder.domain.run import Approval, Run, StageRun, StepRun
    from imagebuilder.ports.notices import KeptNotice
    from imagebuilder.ports.pipelines import KeptDecision
    from imagebuilder.services.distributing.inspecting import Aim

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """All that is shown of a run."""

    run: "Run"
    stages: "Sequence[StageRun]"
    steps: "Sequence[StepRun]"
    approval: "Approval | None"
    notices: "Sequence[KeptNotice]"
    decision: "KeptDecision | None"
    version: str
    targets: "Sequence[Aim]"
    now: datetime


def show(run: RunArgument, *, as_json: AsJson = False) -> None:
    """Show a run, and when its stages and steps were at work."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli import run_shape
        from imagebuilder.cli.distribute_shown import step_json

        application = run_shape.swept()
        found = application.runs.get(run)
        named = run_shape.references(application, [found])
        story = _Story(
            run=found,
            stages=application.runs.stages(found.id),
            steps=application.runs.steps(found.id),
            approval=application.runs.approval(found.id),
            notices=application.notices.of_run(found.id),
            decision=next(iter(application.pipelines.decisions(None, 1, found.id)), None),
            version=named.get(found.version_id, "") if found.version_id else "",
            targets=_targets(application, found, named),
            now=application.clock.now(),
        )
        if as_json:
            print_json(
                {
                    **run_shape.run_json(found, story.now, named),
                    "steps": [run_shape.step_json(step) for step in story.steps],
                    "stages": [run_shape.stage_json(stage) for stage in story.stages],
                    "decision": story.decision.document if story.decision else None,
                    "approval": run_shape.approval_json(story.approval),
                    "notices": [run_shape.notice_json(notice) for notice in story.notices],
                    "targets": [step_json(aim.step) for aim in story.targets],
                }
            )
            return
        print_lines(*(f"{name:9}{value}" for name, value in _facts(story) if value), "")
        print_table(
            ("STEP", "STATE", "AT", "TOOK", "TIMELINE", "NAME", "DETAIL"), list(_rows(story))
        )


def _targets(
    application: "Application", run: "Run", named: "Mapping[VersionId, str]"
) -> "Sequence[Aim]":
    """Give how far the run's version came at each target, when its pipeline distributes it."""
    if run.version_id is None or run.order is None or not run.order.distributions:
        return ()
    return application.inspecting.aims(named[run.version_id])


def _facts(story: _Story) -> Iterator[tuple[str, str]]:
    from imagebuilder.cli.run_shape import pipeline_text, seconds

    run, order = story.run, story.run.order
    yield "run", run.id
    yield "image", run.image
    yield "pipeline", pipeline_text(run)
    yield "state", run.state
    if order is not None:
        yield "trigger", f"{order.trigger}{f': {order.why}' if order.why else ''}"
        yield "slot", moment_text(order.slot_at)
    if story.decision is not None:
        yield "decision", story.decision.verdict
        for text in _reasons(story.decision):
            yield "", f"because {text}"
    yield "queued", moment_text(run.queued_at)
    yield "started", moment_text(run.started_at)
    yield "ended", moment_text(run.ended_at)
    yield "took", duration_text(seconds(run, story.now))
    yield "attempt", str(run.attempt) if run.attempt > 1 else ""
    yield "version", story.version
    # A run that is unchanged, skipped or cancelled says why here, and nothing went wrong with it.
    is_failed = bool(run.error_code)
    yield (
        "error" if is_failed else "result",
        run.error + (f" ({run.error_code})" if is_failed else ""),
    )
    if is_failed:
        yield from (("", line) for line in _more_of_error(story))
    yield "cancel", f"asked for by {run.cancelled_by}" if run.cancelled_by else ""
    if story.approval is not None:
        given = story.approval
        why = f": {given.why}" if given.why else ""
        yield given.verdict, f"by {given.actor}, {moment_text(given.at)}{why}"

    for notice in story.notices:
        yield "notice", _notice_text(notice)
    for aim in story.targets:
        said = aim.step.failure or aim.step.external_id
        yield "target", " ".join(filter(None, (aim.step.target, aim.step.state, str(said))))


def _more_of_error(story: _Story) -> "Iterator[str]":
    """Give what the stage that failed said beyond the run's own error, a line each."""
    failed = [stage for stage in story.stages if stage.error_code]
    for stage in failed[-1:]:
        yield from (line for line in stage.error.splitlines() if line not in story.run.error)


def _reasons(decision: "KeptDecision") -> "Iterator[str]":
    """Give what spoke for a build, or else what was passed over."""
    from imagebuilder.domain.kept import kept_mapping, kept_rows, kept_text

    document = kept_mapping(decision.document)
    rows = kept_rows(document, "reasons") or kept_rows(document, "passed_over")
    return (kept_text(row, "text") for row in rows)


def _notice_text(notice: "KeptNotice") -> str:
    from imagebuilder.domain.notice import shown

    to = f"{notice.event} to {notice.target.kind} {shown(notice.target)}"
    if notice.delivered_at is not None:
        return f"{to}: arrived {moment_text(notice.delivered_at)}"
    if notice.next_at is None:
        return f"{to}: given up after {notice.attempts} attempts: {notice.error}"
    missed = f", attempt {notice.attempts} failed: {notice.error}" if notice.attempts else ""
    return f"{to}: next attempt {moment_text(notice.next_at)}{missed}"


def _rows(story: _Story) -> Iterator[tuple[str, ...]]:
    """Give a row for each stage, and one for each step below the stage that took it."""
    begun = [stage.started_at for stage in story.stages]
    begun += [step.started_at for step in story.steps]
    ended = [_of_step(step, story).ends_at for step in story.steps]
    ended += [_of_stage(stage, story).ends_at for stage in story.stages]
    whole = Span(
        begins_at=min(begun, default=story.run.started_at),
        ends_at=max(ended, default=story.run.ended_at or story.now),
    )
    waiting = list(story.steps)
    for stage in sorted(story.stages, key=lambda stage: stage.started_at):
        while waiting and waiting[0].started_at < stage.started_at:
            yield _step_row(waiting.pop(0), story, whole)
        yield _stage_row(stage, story, whole)
    for step in waiting:
        yield _step_row(step, story, whole)


def _stage_row(stage: "StageRun", story: _Story, whole: Span) -> tuple[str, ...]:
    told = [f"attempt {stage.attempt}"] if stage.attempt > 1 else []
    told += [f"on {stage.worker}"] if stage.worker else []
    told += [f"{stage.error.splitlines()[0]} ({stage.error_code})"] if stage.error else []
    times = _times(_of_stage(stage, story), whole)
    return (stage.stage, stage.state, *times, "", ", ".join(told))


def _step_row(step: "StepRun", story: _Story, whole: Span) -> tuple[str, ...]:
    times = _times(_of_step(step, story), whole)
    return (str(step.number), step.state, *times, step.name, step.detail)


def _times(part: Span, whole: Span) -> tuple[str, str, str]:
    after = (part.begins_at - whole.begins_at).total_seconds()
    return f"+{duration_text(after)}", duration_text(part.seconds), bar(part, whole)


def _of_stage(stage: "StageRun", story: _Story) -> Span:
    end = stage.ended_at or story.run.ended_at or story.now
    return Span(begins_at=stage.started_at, ends_at=max(end, stage.started_at))


def _of_step(step: "StepRun", story: _Story) -> Span:
    end = step.started_at + timedelta(seconds=step.seconds)
    if step.state is StepState.RUNNING:
        end = max(step.started_at, story.run.ended_at or story.now)
    return Span(begins_at=step.started_at, ends_at=end)
