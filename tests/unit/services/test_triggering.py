from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from imagebuilder.domain.cascade import Publication
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName, RunId
from imagebuilder.domain.matrix import Matrix, VariantUnknown
from imagebuilder.domain.need import decision_of
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import (
    NoticeKind,
    NoticeTarget,
    Overlap,
    Pipeline,
    StartCondition,
    Timing,
    Trigger,
)
from imagebuilder.domain.run import Run, RunState
from imagebuilder.domain.schedule import cron_schedule, spread_seconds
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.ports.pipelines import Pause, PipelineNotFound, PipelinePaused
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.services.triggering import StartOrder, TriggerDesk, Triggering, slot_run_id
from tests.build import a_pipeline, an_applied
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.notices import FakeTeller
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.runs import FakeRunStore
from tests.fakes.transactions import FakeTransactions

APPLIED_AT = datetime(2026, 3, 1, tzinfo=UTC)
NIGHT = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = PipelineName("nightly-web")
DAILY = cron_schedule("0 3 * * *", ZoneInfo("UTC"))
PAUSE = Pause(at=APPLIED_AT, actor="eva", why="freeze")
TOLD = (NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org"),)


class Office:
    """Triggering on fakes, at the moment of a slot."""

    def __init__(self) -> None:
        self.pipelines, self.runs, self.clock = (
            FakePipelineStore(),
            FakeRunStore(),
            FakeClock(NIGHT),
        )
        self.teller = FakeTeller()
        desk = TriggerDesk(
            pipelines=self.pipelines,
            runs=self.runs,
            transactions=FakeTransactions(),
            clock=self.clock,
            ids=FakeIds(),
            teller=self.teller,
        )
        self.triggering = Triggering(desk)

    def apply(self, pipeline: Pipeline | None = None, **more: Any) -> None:
        values: dict[str, Any] = {"first_applied_at": APPLIED_AT, "cursor_at": NIGHT - DAY} | more
        self.pipelines.put(an_applied(pipeline or daily(), **values))

    def fire(self, slot_at: datetime = NIGHT, *names: PipelineName) -> Sequence[Run]:
        due = [DueSlot(pipeline=name, slot_at=slot_at) for name in names or (NAME,)]
        return self.triggering.fire(due)

    def start(self, trigger: Trigger = Trigger.PERSON, **more: Any) -> Sequence[Run]:
        values: dict[str, Any] = {"pipeline": NAME, "by": "ann"} | more
        return self.triggering.start(StartOrder(trigger=trigger, **values))

    def cursor(self) -> datetime:
        return self.pipelines.get(NAME).cursor_at

    def end(self, run: Run, state: RunState) -> None:
        ended = replace(run, state=state, ended_at=self.clock.now())
        self.runs.save(ended)
        self.triggering.ended(ended)


def daily(**more: Any) -> Pipeline:
    timing = {name: more.pop(name) for name in list(more) if name in TIMING}
    return a_pipeline(timing=Timing(schedule=DAILY, **timing), **more)


TIMING = frozenset(Timing.__dataclass_fields__)


@pytest.fixture
def office() -> Office:
    return Office()


def test_fire_when_due_then_a_run_with_all_that_the_pipeline_says_waits(office: Office) -> None:
    office.apply(
        daily(
            starts=StartCondition.ALWAYS,
            is_security_only=True,
            max_age_seconds=86_400,
            parameters={"nginx.port": "80"},
            priority=3,
            pool="build.arm64",
            channel=ChannelName("candidate"),
            needs_approval=True,
            time_limit_seconds=600,
            attempts=2,
        )
    )

    [run] = office.fire()

    order = run.order
    assert order is not None
    assert (run.state, run.image, run.queued_at) == (RunState.QUEUED, "debian-web", NIGHT)
    assert (order.trigger, order.slot_at, order.not_before_at) == (Trigger.SCHEDULE, NIGHT, None)
    assert order.why == "due by its schedule, 0 3 * * *"
    assert (order.starts, order.is_security_only) == (StartCondition.ALWAYS, True)
    assert (order.max_age_seconds, order.time_limit_seconds, order.attempts) == (86_400, 600, 2)
    assert (order.priority, order.pool, order.channel) == (3, "build.arm64", "candidate")
    assert (order.recipe_path, order.needs_approval) == ("/recipes/debian-web.yaml", True)
    assert (order.overrides, order.is_forced) == ({"nginx.port": "80"}, False)
    assert office.runs.get(run.id) == run
    assert office.cursor() == NIGHT


def test_fire_when_a_slot_was_seen_to_by_another_then_there_is_no_second_run(
    office: Office,
) -> None:
    office.apply()
    first = office.fire()

    assert office.fire() == []
    assert office.runs.newest(10) == first


def test_fire_when_another_scheduler_knows_an_older_cursor_then_the_slot_stays_the_only_one(
    office: Office,
) -> None:
    office.apply()
    first = office.fire()
    office.pipelines.pipelines[NAME] = replace(office.pipelines.get(NAME), cursor_at=NIGHT - DAY)

    assert office.fire() == []
    assert office.runs.newest(10) == first


def test_fire_when_there_is_a_matrix_then_each_variant_has_a_run(office: Office) -> None:
    office.apply(daily(matrix=Matrix(axes={"pool": ("build.amd64", "build.arm64")})))

    runs = office.fire()

    assert [(run.image, run.order and run.order.pool) for run in runs] == [
        ("debian-web-amd64", "build.amd64"),
        ("debian-web-arm64", "build.arm64"),
    ]
    assert len({run.id for run in runs}) == 2


def test_fire_when_paused_then_nothing_runs_and_the_slot_is_seen_to(office: Office) -> None:
    office.apply(pause=PAUSE)

    assert office.fire() == []
    assert office.cursor() == NIGHT
    assert office.runs.newest(10) == []


def test_fire_when_the_pipeline_was_removed_then_nothing_runs(office: Office) -> None:
    assert office.fire() == []


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (1, "due by its schedule, 0 3 * * *"),
        (2, "due by its schedule, 0 3 * * *; 1 earlier slot was missed"),
        (8, "due by its schedule, 0 3 * * *; 7 earlier slots were missed"),
        (2000, "due by its schedule, 0 3 * * *; more than 999 earlier slots were missed"),
    ],
)
def test_fire_when_slots_were_missed_then_one_run_says_how_many(
    office: Office, days: int, why: str
) -> None:
    office.apply(cursor_at=NIGHT - days * DAY, first_applied_at=NIGHT - days * DAY)

    [run] = office.fire()

    assert run.order is not None
    assert run.order.why == why


def test_fire_when_the_cursor_is_ahead_of_time_then_the_slot_has_its_run(office: Office) -> None:
    office.apply(cursor_at=NIGHT + 400 * DAY)

    assert len(office.fire()) == 1
    assert office.fire() == []


def test_fire_when_the_clock_was_set_back_then_slots_that_had_runs_get_no_others(
    office: Office,
) -> None:
    office.apply()
    office.fire(NIGHT)
    office.clock.advance(-3600)

    assert office.fire(NIGHT) == []


def test_fire_when_starts_are_spread_then_the_slot_stays_and_the_run_waits(office: Office) -> None:
    office.apply(daily(spread_seconds=3600))

    [run] = office.fire()

    assert run.order is not None
    assert run.order.slot_at == NIGHT
    assert run.order.not_before_at == NIGHT + timedelta(seconds=spread_seconds(NAME, 3600))
    assert run.order.not_before_at > NIGHT


def test_slot_run_id_is_the_same_for_a_slot_and_another_for_all_else() -> None:
    slots = [(NAME, "", NIGHT), (NAME, "a", NIGHT), (NAME, "", NIGHT + DAY)]
    slots.append((PipelineName("other"), "", NIGHT))
    ids = [slot_run_id(*slot) for slot in slots]

    assert ids == [slot_run_id(*slot) for slot in slots]
    assert len(set(ids)) == len(ids)
    assert all(run_id.startswith("run-2026030") and len(run_id) <= 64 for run_id in ids)


def test_overlap_when_queued_then_the_later_run_waits_too(office: Office) -> None:
    office.apply()
    office.fire(NIGHT)
    office.clock.advance(86_400)

    [run] = office.fire(NIGHT + DAY)

    assert run.state is RunState.QUEUED
    assert [run.cancelled_by for run in office.runs.newest(10)] == ["", ""]


@pytest.mark.parametrize(
    "state", [RunState.QUEUED, RunState.RUNNING, RunState.AWAITING_APPROVAL], ids=str
)
def test_overlap_when_skipped_then_the_later_run_says_why_and_so_does_its_decision(
    office: Office, state: RunState
) -> None:
    office.apply(daily(overlap=Overlap.SKIP, notify=TOLD))
    [first] = office.fire(NIGHT)
    office.runs.save(replace(first, state=state))
    office.clock.advance(86_400)

    [run] = office.fire(NIGHT + DAY)

    [decision] = office.pipelines.decisions(NAME, 10)
    why = f"Run {first.id} of the same pipeline is not over: it is {state}."
    assert (run.state, run.ended_at, run.error) == (RunState.SKIPPED, NIGHT + DAY, why)
    assert (decision.run_id, decision.verdict, decision.slot_at) == (run.id, "skip", NIGHT + DAY)
    assert decision_of(decision.document).text == why
    assert office.teller.told == [(first.id, RunState.QUEUED), (run.id, RunState.SKIPPED)]
    assert office.cursor() == NIGHT + DAY


def test_overlap_when_skipped_and_the_first_is_over_then_the_later_run_waits(
    office: Office,
) -> None:
    office.apply(daily(overlap=Overlap.SKIP))
    [first] = office.fire(NIGHT)
    office.end(first, RunState.SUCCEEDED)

    [run] = office.fire(NIGHT + DAY)

    assert run.state is RunState.QUEUED
    assert office.pipelines.decisions(NAME, 10) == []


def test_overlap_when_skipped_and_another_variant_runs_then_the_later_run_waits(
    office: Office,
) -> None:
    axes = {"pool": ("build.amd64", "build.arm64")}
    office.apply(daily(overlap=Overlap.SKIP, matrix=Matrix(axes=axes)))
    amd64, _ = office.fire(NIGHT)
    office.end(amd64, RunState.SUCCEEDED)

    states = [run.state for run in office.fire(NIGHT + DAY)]

    assert states == [RunState.QUEUED, RunState.SKIPPED]


def test_overlap_when_replaced_then_the_older_run_ends_if_it_waits(office: Office) -> None:
    office.apply(daily(overlap=Overlap.REPLACE, notify=TOLD))
    [first] = office.fire(NIGHT)
    office.clock.advance(86_400)

    [run] = office.fire(NIGHT + DAY)

    ended = office.runs.get(first.id)
    assert run.state is RunState.QUEUED
    assert (ended.state, ended.ended_at) == (RunState.CANCELLED, NIGHT + DAY)
    assert (ended.error, ended.cancelled_by) == (f"Run {run.id} replaces it.", f"run {run.id}")
    assert office.teller.told[1:] == [(first.id, RunState.CANCELLED), (run.id, RunState.QUEUED)]


def test_overlap_when_replaced_then_the_older_run_is_asked_to_end_if_it_is_at_work(
    office: Office,
) -> None:
    office.apply(daily(overlap=Overlap.REPLACE))
    [first] = office.fire(NIGHT)
    office.runs.save(replace(first, state=RunState.RUNNING))

    [run] = office.fire(NIGHT + DAY)

    asked = office.runs.get(first.id)
    assert (asked.state, asked.cancelled_by) == (RunState.RUNNING, f"run {run.id}")


def test_overlap_when_replaced_and_the_slot_is_fired_twice_then_its_run_is_not_ended(
    office: Office,
) -> None:
    office.apply(daily(overlap=Overlap.REPLACE))
    [run] = office.fire(NIGHT)
    office.pipelines.pipelines[NAME] = replace(office.pipelines.get(NAME), cursor_at=NIGHT - DAY)

    assert office.fire(NIGHT) == []
    assert office.runs.get(run.id) == run


def test_fire_when_nobody_is_to_be_told_then_nothing_is_kept_for_telling(office: Office) -> None:
    office.apply()
    office.fire()

    assert office.teller.told == []


def test_start_when_a_person_asks_then_it_says_who_and_why(office: Office) -> None:
    office.apply(daily(parameters={"nginx.port": "80", "nginx.host": "a"}))

    [run] = office.start(why="a fix", overrides={"nginx.port": "81"}, is_forced=True)

    order = run.order
    assert order is not None
    assert (order.trigger, order.why) == (Trigger.PERSON, "asked for by ann: a fix")
    assert (order.slot_at, order.is_forced) == (None, True)
    assert order.overrides == {"nginx.port": "81", "nginx.host": "a"}
    assert office.cursor() == NIGHT - DAY


def test_start_when_variants_are_named_then_only_they_run(office: Office) -> None:
    axes = {"pool": ("build.amd64", "build.arm64", "build.riscv64")}
    office.apply(daily(matrix=Matrix(axes=axes)))

    runs = office.start(variants=("riscv64", "amd64"))

    assert [run.order and run.order.variant for run in runs] == ["amd64", "riscv64"]
    assert len(office.start()) == 3


@pytest.mark.parametrize(
    ("axes", "context"),
    [
        ({}, "The pipeline has no matrix."),
        ({"pool": ("build.amd64", "build.arm64")}, "There are amd64, arm64."),
    ],
    ids=["no matrix", "a matrix"],
)
def test_start_when_a_variant_is_unknown_then_nothing_runs(
    office: Office, axes: dict[str, tuple[str, ...]], context: str
) -> None:
    office.apply(daily(matrix=Matrix(axes=axes) if axes else None))

    with pytest.raises(VariantUnknown) as caught:
        office.start(variants=("amd46",))

    assert caught.value.context == context
    assert office.runs.newest(10) == []


def test_start_when_paused_then_only_a_person_may(office: Office) -> None:
    office.apply(pause=PAUSE)

    with pytest.raises(PipelinePaused) as caught:
        office.start(Trigger.HOOK)

    assert caught.value.context == "Since 2026-03-01 00:00:00Z, by eva: freeze."
    assert len(office.start()) == 1


def test_start_when_the_pipeline_is_unknown_then_is_refused(office: Office) -> None:
    with pytest.raises(PipelineNotFound):
        office.start()


def test_start_when_overlapping_runs_are_skipped_then_a_persons_run_waits_all_the_same(
    office: Office,
) -> None:
    office.apply(daily(overlap=Overlap.SKIP))
    office.fire()

    [by_hook] = office.start(Trigger.HOOK)
    [by_person] = office.start()

    assert (by_hook.state, by_person.state) == (RunState.SKIPPED, RunState.QUEUED)


BASE = Publication(image=ImageName("debian-base"), version=BuildVersion.parse("1.0.0/2"))


def test_cascade_when_a_parent_is_published_then_those_that_follow_it_run_and_say_why(
    office: Office,
) -> None:
    axes = {"pool": ("build.amd64", "build.arm64")}
    office.apply(daily(matrix=Matrix(axes=axes)))
    office.apply(a_pipeline("other", parent="image:other@1.x"))
    office.apply(a_pipeline("grandchild", parent="image:debian-web-amd64@1.x"))

    runs = office.triggering.cascade(BASE, NIGHT)

    orders = [run.order for run in runs if run.order]
    assert [(order.pipeline, order.variant) for order in orders] == [
        (NAME, "amd64"),
        (NAME, "arm64"),
    ]
    assert {order.trigger for order in orders} == {Trigger.PARENT}
    why = "debian-base@1.0.0/2 was published; it is built on image:debian-base@1.x"
    assert {order.why for order in orders} == {why}
    assert {order.slot_at for order in orders} == {None}


def test_cascade_when_told_twice_then_each_runs_once(office: Office) -> None:
    office.apply()
    first = office.triggering.cascade(BASE, NIGHT)

    assert office.triggering.cascade(BASE, NIGHT) == []
    assert office.runs.newest(10) == first


def test_cascade_when_published_again_later_then_they_run_again(office: Office) -> None:
    office.apply(daily(parent="image:debian-base@stable"))
    moved = replace(BASE, channel=ChannelName("stable"))

    runs = [office.triggering.cascade(moved, NIGHT + DAY * day) for day in range(3)]

    assert [len(each) for each in runs] == [1, 1, 1]


def test_cascade_when_a_follower_is_paused_then_it_does_not_run(office: Office) -> None:
    office.apply(pause=PAUSE)

    assert office.triggering.cascade(BASE, NIGHT) == []


def test_cascade_when_a_follower_says_that_it_does_not_follow_then_it_does_not_run(
    office: Office,
) -> None:
    office.apply(daily(follows_parent=False))

    assert office.triggering.cascade(BASE, NIGHT) == []


def ended(office: Office, *states: RunState) -> None:
    for number, state in enumerate(states):
        office.clock.advance(86_400)
        [run] = office.fire(NIGHT + (number + 1) * DAY)
        office.end(run, state)


def test_ended_when_too_many_scheduled_runs_failed_in_a_row_then_the_pipeline_is_paused(
    office: Office,
) -> None:
    office.apply(daily(pause_after=3))

    ended(office, *[RunState.FAILED] * 3)

    pause = office.pipelines.get(NAME).pause
    last = slot_run_id(NAME, "", NIGHT + 3 * DAY)
    why = f"3 scheduled runs failed in a row, the last was {last}"
    assert pause == Pause(at=office.clock.now(), actor="imagebuilder", why=why)
    assert office.teller.of_pipelines == [(NAME, Event.PAUSED, why)]


@pytest.mark.parametrize(
    "between",
    [RunState.SUCCEEDED, RunState.UNCHANGED],
    ids=str,
)
def test_ended_when_one_in_between_went_well_then_counts_anew(
    office: Office, between: RunState
) -> None:
    office.apply(daily(pause_after=2))

    ended(office, RunState.FAILED, between, RunState.FAILED)

    assert office.pipelines.get(NAME).pause is None
    assert office.pipelines.get(NAME).failures == 1


@pytest.mark.parametrize(
    "between", [RunState.CANCELLED, RunState.REJECTED, RunState.INTERRUPTED], ids=str
)
def test_ended_when_a_person_ended_one_in_between_then_it_does_not_count(
    office: Office, between: RunState
) -> None:
    office.apply(daily(pause_after=2))

    ended(office, RunState.FAILED, between, RunState.FAILED)

    assert office.pipelines.get(NAME).pause is not None


def test_ended_when_no_limit_is_set_then_the_pipeline_goes_on(office: Office) -> None:
    office.apply()

    ended(office, *[RunState.FAILED] * 5)

    assert office.pipelines.get(NAME).pause is None
    assert office.pipelines.get(NAME).failures == 5


def test_ended_when_a_persons_run_failed_then_it_does_not_count(office: Office) -> None:
    office.apply(daily(pause_after=1))

    [run] = office.start()
    office.end(run, RunState.FAILED)

    assert office.pipelines.get(NAME).failures == 0


def test_ended_when_the_pipeline_was_removed_then_nothing_happens(office: Office) -> None:
    office.apply(daily(pause_after=1))
    [run] = office.fire()
    office.pipelines.remove(NAME)

    office.end(run, RunState.FAILED)

    assert office.teller.of_pipelines == []
    assert office.runs.get(RunId(run.id)).state is RunState.FAILED
