"""Triggering: slots, people, hooks and changes of documents and parents become runs that wait.

A run is a row, and the row is the truth: whoever may do it finds it there. Each of a matrix's
variants has a run of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from imagebuilder.domain.cascade import Publication, cascade_of, followers_of
from imagebuilder.domain.digest import digest_of
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.matrix import VariantUnknown
from imagebuilder.domain.need import overlap_decision
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import Overlap, Pipeline, Product, Trigger
from imagebuilder.domain.run import UNFINISHED, WAITING, Run, RunOrder, RunQuery, RunState
from imagebuilder.domain.schedule import count_slots, spread_seconds
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.notices import Teller
from imagebuilder.ports.pipelines import (
    AppliedPipeline,
    KeptDecision,
    Pause,
    PipelinePaused,
    PipelineStore,
)
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.ports.transactions import Transactions

_MOST_COUNTED = 1000
_SELF = "imagebuilder"
_GOOD_ENDS = frozenset({RunState.SUCCEEDED, RunState.UNCHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDesk:
    """Where pipelines and runs are kept, and who is told of what becomes of them."""

    pipelines: PipelineStore
    runs: RunStore
    teller: Teller
    transactions: Transactions
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrder:
    """That somebody or something wants a pipeline to run; without variants, all of them.

    `by` is who asks. Shape: `overrides` maps component.parameter to a value.
    """

    pipeline: str
    trigger: Trigger
    by: str
    why: str = ""
    variants: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False


class Triggering:
    """Makes runs. Durable: runs are kept with all that goes with them, or nothing is."""

    def __init__(self, desk: TriggerDesk) -> None:
        """Work with what is on `desk`."""
        self._desk = desk
        self._pipelines = desk.pipelines
        self._runs = desk.runs

    def fire(self, due: Sequence[DueSlot]) -> Sequence[Run]:
        """Keep a run for each slot and variant, see to the cursors, and give the runs.

        A slot that was seen to before, by whomever, gets none; nor does one of a paused pipeline.
        Raises: StoreUnavailable: nothing was kept, and the cursors stand where they stood.
        """
        slots = {slot.pipeline: slot.slot_at for slot in due}
        with self._desk.transactions.together():
            now = self._desk.clock.now()
            wanted: list[tuple[AppliedPipeline, Run]] = []
            for applied in self._pipelines.named(slots):
                slot_at = slots[applied.pipeline.name]
                # A cursor ahead of time was set while a clock was wrong, and tells nothing.
                is_seen_to = slot_at <= applied.cursor_at <= now
                if not is_seen_to and applied.pause is None:
                    wanted += self._of_slot(applied, slot_at, now)
            kept = self._kept(wanted, now)
            self._pipelines.set_cursors(slots)
        return kept

    def start(self, order: StartOrder) -> Sequence[Run]:
        """Keep the runs that are asked for now, and give them.

        A person gets a run though the pipeline is paused, or skips what overlaps.
        Raises: PipelineNotFound; VariantUnknown; PipelinePaused; StoreUnavailable.
        """
        with self._desk.transactions.together():
            applied = self._pipelines.get(order.pipeline)
            pipeline = applied.pipeline
            if applied.pause is not None and order.trigger is not Trigger.PERSON:
                raise PipelinePaused(pipeline.name, applied.pause)
            now = self._desk.clock.now()
            asked = _asked(order)
            wanted = [
                (applied, self._run(self._desk.ids.new("run"), pipeline, product, asked, now))
                for product in _products(pipeline, order.variants)
            ]
            return self._kept(wanted, now)

    def cascade(self, publication: Publication, at: datetime) -> Sequence[Run]:
        """Keep the runs that a publication makes due, in the caller's transaction, and give them.

        What is published in a moment makes each variant due once, however often it is told. What
        stands on those runs' images is due when they publish something themselves.
        """
        followers = {
            applied.pipeline.name: applied
            for applied in self._pipelines.following(publication.image)
            if applied.pause is None
        }
        now = self._desk.clock.now()
        pipelines = (applied.pipeline for applied in followers.values())
        wanted = []
        for step in cascade_of(followers_of(pipelines), publication):
            applied = followers[step.follower.pipeline]
            [product] = _products(applied.pipeline, [step.follower.variant])
            of = (applied.pipeline.name, product.variant, *_published(publication))
            asked = _Asked(trigger=Trigger.PARENT, why=step.why)
            run = self._run(_run_id(at, *of), applied.pipeline, product, asked, now)
            wanted.append((applied, run))
        return self._kept(wanted, now)

    def ended(self, run: Run) -> None:
        """Count how a scheduled run ended, and pause its pipeline when too many failed.

        It is a part of the caller's transaction, which keeps the end itself, once.
        """
        order = run.order
        if order is None or order.trigger is not Trigger.SCHEDULE:
            return
        is_failure = run.state is RunState.FAILED
        if not is_failure and run.state not in _GOOD_ENDS:
            return
        failures = self._pipelines.count_end(order.pipeline, is_failure=is_failure)
        for applied in self._pipelines.named([order.pipeline]):
            limit = applied.pipeline.timing.pause_after
            if limit is not None and failures >= limit:
                self._pause(order.pipeline, f"{_runs_failed(failures)}, the last was {run.id}")

    def _pause(self, name: PipelineName, why: str) -> None:
        pause = Pause(at=self._desk.clock.now(), actor=_SELF, why=why)
        if self._pipelines.set_pause(name, pause):
            self._desk.teller.tell_of_pipeline(name, Event.PAUSED, why)

    def _of_slot(
        self, applied: AppliedPipeline, slot_at: datetime, now: datetime
    ) -> Iterable[tuple[AppliedPipeline, Run]]:
        pipeline = applied.pipeline
        spread = spread_seconds(pipeline.name, pipeline.timing.spread_seconds)
        asked = _Asked(
            trigger=Trigger.SCHEDULE,
            why=_why(applied, slot_at),
            slot_at=slot_at,
            not_before_at=slot_at + timedelta(seconds=spread) if spread else None,
        )
        for product in pipeline.products:
            run_id = slot_run_id(pipeline.name, product.variant, slot_at)
            yield applied, self._run(run_id, pipeline, product, asked, now)

    def _run(
        self, run_id: str, pipeline: Pipeline, product: Product, asked: "_Asked", now: datetime
    ) -> Run:
        return Run(
            id=RunId(run_id),
            image=product.image,
            state=RunState.QUEUED,
            started_at=now,
            queued_at=now,
            order=_order(pipeline, product, asked),
        )

    def _kept(self, wanted: Sequence[tuple[AppliedPipeline, Run]], now: datetime) -> Sequence[Run]:
        """Keep new runs as their pipelines' overlap has it, and give those that are kept now."""
        pipelines = {run.id: applied.pipeline for applied, run in wanted}
        others = {run.id: self._others(applied.pipeline, run) for applied, run in wanted}
        runs = [
            _skipped(run, others[run.id], now)
            if others[run.id] and _is_skipped(applied.pipeline, run)
            else run
            for applied, run in wanted
        ]
        kept = self._runs.add_all(runs)
        for run in kept:
            pipeline = pipelines[run.id]
            if run.state is RunState.SKIPPED:
                self._pipelines.add_decision(_skip(run, now))
            elif pipeline.overlap is Overlap.REPLACE:
                for other in others[run.id]:
                    self._replace(pipeline, other, run, now)
            self._tell(pipeline, run)
        return kept

    def _others(self, pipeline: Pipeline, run: Run) -> Sequence[Run]:
        """Give the runs of a pipeline and variant that are not over, where that matters."""
        if pipeline.overlap is Overlap.QUEUE or run.order is None:
            return ()
        query = RunQuery(
            pipeline=pipeline.name,
            variant=run.order.variant,
            states=UNFINISHED,
            limit=_MOST_COUNTED,
        )
        return [other for other in self._runs.find(query) if other.id != run.id]

    def _replace(self, pipeline: Pipeline, other: Run, run: Run, now: datetime) -> None:
        """End a run for a newer one, at once if it waits; else whoever does it is asked to."""
        actor = f"run {run.id}"
        if not self._runs.cancel(other.id, actor):
            return
        ended = replace(
            other,
            state=RunState.CANCELLED,
            ended_at=now,
            error=f"Run {run.id} replaces it.",
            cancelled_by=actor,
        )
        if self._runs.move(ended, WAITING):
            self._tell(pipeline, ended)

    def _tell(self, pipeline: Pipeline, run: Run) -> None:
        # Most pipelines tell nobody, and hundreds may be due in the same second.
        if pipeline.notify:
            self._desk.teller.tell(run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What makes a run due, and what of it the pipeline does not say."""

    trigger: Trigger
    why: str
    slot_at: datetime | None = None
    not_before_at: datetime | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    is_forced: bool = False


def slot_run_id(pipeline: PipelineName, variant: str, slot_at: datetime) -> RunId:
    """Give the id of a slot's run: the same wherever and whenever it is asked for."""
    return _run_id(slot_at, pipeline, variant)


def _run_id(at: datetime, *of: str) -> RunId:
    """Give an id that sorts by its moment, and is another for each thing it is of."""
    return RunId(f"run-{at:%Y%m%dT%H%M%S%f}-{digest_of([*of, at.isoformat()]).hex[:16]}")


def _published(publication: Publication) -> tuple[str, ...]:
    return ("published", publication.reference, publication.channel or "")


def _asked(order: StartOrder) -> _Asked:
    said = f": {order.why}" if order.why else ""
    return _Asked(
        trigger=order.trigger,
        why=f"asked for by {order.by}{said}",
        overrides=order.overrides,
        is_forced=order.is_forced,
    )


def _products(pipeline: Pipeline, variants: Sequence[str]) -> Sequence[Product]:
    known = {product.variant: product for product in pipeline.products}
    for name in variants:
        if name not in known:
            raise VariantUnknown(name, tuple(known))
    return [product for name, product in known.items() if not variants or name in variants]


def _order(pipeline: Pipeline, product: Product, asked: _Asked) -> RunOrder:
    timing = pipeline.timing
    return RunOrder(
        pipeline=pipeline.name,
        recipe_path=pipeline.recipe_path,
        trigger=asked.trigger,
        why=asked.why,
        variant=product.variant,
        slot_at=asked.slot_at,
        not_before_at=asked.not_before_at,
        overrides={**product.overrides, **asked.overrides},
        starts=timing.starts,
        is_security_only=timing.is_security_only,
        is_forced=asked.is_forced,
        max_age_seconds=timing.max_age_seconds,
        priority=pipeline.priority,
        pool=product.pool,
        channel=pipeline.channel,
        needs_approval=pipeline.needs_approval,
        gates=pipeline.gates,
        distributions=pipeline.distributions,
        time_limit_seconds=pipeline.time_limit_seconds,
        attempts=pipeline.attempts,
    )


def _why(applied: AppliedPipeline, slot_at: datetime) -> str:
    """Say that a run is due by its schedule, and for which slots before it stands, too."""
    schedule = applied.pipeline.timing.schedule
    if schedule is None:
        return "due by the schedule that the pipeline had"
    passed = count_slots(
        schedule,
        applied.cursor_at,
        slot_at,
        anchor=applied.first_applied_at,
        limit=_MOST_COUNTED + 1,
    )
    missed = passed - 1
    if missed <= 0:
        return f"due by its schedule, {schedule.text}"
    count = f"more than {_MOST_COUNTED - 1}" if missed >= _MOST_COUNTED else str(missed)
    slots = "slot was" if missed == 1 else "slots were"
    return f"due by its schedule, {schedule.text}; {count} earlier {slots} missed"


def _is_skipped(pipeline: Pipeline, run: Run) -> bool:
    """Whether a run gives way to one that is not over; a person's never does."""
    is_asked_for = run.order is not None and run.order.trigger is Trigger.PERSON
    return pipeline.overlap is Overlap.SKIP and not is_asked_for


def _skipped(run: Run, others: Sequence[Run], now: datetime) -> Run:
    other = others[0]
    said = f"Run {other.id} of the same pipeline is not over: it is {other.state}."
    return replace(run, state=RunState.SKIPPED, ended_at=now, error=said)


def _skip(run: Run, now: datetime) -> KeptDecision:
    if run.order is None:
        raise TypeError("a run that gives way to another has an order")
    decision = overlap_decision(run.error)
    return KeptDecision(
        pipeline=run.order.pipeline,
        variant=run.order.variant,
        at=now,
        slot_at=run.order.slot_at,
        run_id=run.id,
        verdict=decision.verdict.value,
        document=decision.document(),
    )


def _runs_failed(count: int) -> str:
    return "a scheduled run failed" if count == 1 else f"{count} scheduled runs failed in a row"
