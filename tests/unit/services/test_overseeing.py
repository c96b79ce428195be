"""What people want of runs is kept whole, told, and refused where it makes no sense."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.audit import AuditAction
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import (
    ApprovalGiven,
    ApproverUnknown,
    CancelAsked,
    Run,
    RunByHand,
    RunOver,
    RunStage,
    RunState,
    StageRun,
    StepState,
    Verdict,
)
from imagebuilder.ports.runs import RunNotFound
from imagebuilder.services.overseeing import Overseeing, Watch
from tests.build import SOME_DAY, a_run, an_order
from tests.fakes.audit import FakeAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.notices import FakeTeller
from tests.fakes.runs import FakeRunStore
from tests.fakes.transactions import FakeTransactions

RUN = RunId("run-1")
FINAL = [state for state in RunState if state.is_final]


@dataclass(frozen=True, slots=True)
class Office:
    """Runs that somebody oversees."""

    runs: FakeRunStore
    teller: FakeTeller
    audit: FakeAuditLog
    clock: FakeClock
    recorded: dict[str, set[str]] = field(default_factory=dict)

    def of(self, actor: str) -> Overseeing:
        watch = Watch(
            runs=self.runs,
            recorded=self.recorded.get,
            teller=self.teller,
            audit=self.audit,
            transactions=FakeTransactions(),
            clock=self.clock,
        )
        return Overseeing(watch, actor)

    def has(self, state: RunState, **more: Any) -> Run:
        ended = SOME_DAY if state.is_final else None
        run = a_run(state=state, ended_at=ended, **{"order": an_order(), **more})
        self.runs.save(run)
        return run

    @property
    def actions(self) -> list[tuple[AuditAction, str, str]]:
        return [(e.action, e.act.actor, e.act.why) for e in self.audit.kept]


@pytest.fixture
def office() -> Office:
    return Office(FakeRunStore(), FakeTeller(), FakeAuditLog(), FakeClock(SOME_DAY))


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.AWAITING_APPROVAL])
def test_cancel_when_the_run_waits_then_it_is_over_at_once(office: Office, state: RunState) -> None:
    office.has(state)
    office.clock.advance(60)

    after = office.of("eva").cancel("run-1", why="wrong day")

    assert after == office.runs.get(RUN)
    assert (after.state, after.cancelled_by) == (RunState.CANCELLED, "eva")
    assert after.ended_at == SOME_DAY + timedelta(seconds=60)
    assert office.actions == [(AuditAction.RUN_CANCELLED, "eva", "wrong day")]
    assert office.teller.told == [(RUN, RunState.CANCELLED)]


def test_cancel_when_the_run_is_at_work_then_it_is_only_marked(office: Office) -> None:
    office.has(RunState.RUNNING)

    after = office.of("eva").cancel("run-1")

    assert (after.state, after.cancelled_by) == (RunState.RUNNING, "eva")
    assert office.runs.get(RUN) == after
    assert office.teller.told == []
    assert [action for action, _, _ in office.actions] == [AuditAction.RUN_CANCELLED]


def test_cancel_when_another_asked_before_then_says_who(office: Office) -> None:
    office.has(RunState.RUNNING)
    office.of("eva").cancel("run-1")

    with pytest.raises(CancelAsked, match="already") as caught:
        office.of("max").cancel("run-1")

    assert "eva asked" in caught.value.context
    assert len(office.audit.kept) == 1


@pytest.mark.parametrize("state", FINAL)
def test_cancel_when_the_run_is_over_then_says_so(office: Office, state: RunState) -> None:
    office.has(state)

    with pytest.raises(RunOver, match=f"cannot be cancelled: it is {state}"):
        office.of("eva").cancel("run-1")

    assert office.audit.kept == []


def test_approve_then_the_run_is_queued_for_another_attempt(office: Office) -> None:
    office.has(RunState.AWAITING_APPROVAL)
    office.clock.advance(60)

    after = office.of("eva").approve("run-1", why="looks good")

    now = SOME_DAY + timedelta(seconds=60)
    assert (after.state, after.attempt, after.queued_at) == (RunState.QUEUED, 2, now)
    assert office.runs.get(RUN) == after
    given = office.runs.approval(RUN)
    assert given is not None
    assert (given.verdict, given.actor, given.at) == (Verdict.APPROVED, "eva", now)
    assert given.why == "looks good"
    assert office.actions == [(AuditAction.RUN_APPROVED, "eva", "looks good")]
    assert office.teller.told == [(RUN, RunState.QUEUED)]


def test_reject_then_the_run_is_over(office: Office) -> None:
    office.has(RunState.AWAITING_APPROVAL)

    after = office.of("eva").reject("run-1", why="too large")

    assert (after.state, after.error) == (RunState.REJECTED, "eva rejected it: too large")
    assert after.ended_at == SOME_DAY
    assert office.teller.told == [(RUN, RunState.REJECTED)]
    assert office.actions == [(AuditAction.RUN_REJECTED, "eva", "too large")]


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
def test_word_when_one_was_given_then_says_whose(office: Office, first: str, second: str) -> None:
    office.has(RunState.AWAITING_APPROVAL)
    getattr(office.of("eva"), first)("run-1")
    stands = office.runs.get(RUN)

    with pytest.raises(ApprovalGiven) as caught:
        getattr(office.of("max"), second)("run-1")

    assert "By eva" in caught.value.context
    assert office.runs.get(RUN) == stands
    assert len(office.audit.kept) == 1


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    "state", [state for state in RunState if state is not RunState.AWAITING_APPROVAL]
)
def test_word_when_the_run_does_not_wait_for_one_then_is_refused(
    office: Office, verb: str, state: RunState
) -> None:
    office.has(state)

    with pytest.raises(RunOver):
        getattr(office.of("eva"), verb)("run-1")

    assert office.runs.approval(RUN) is None


def test_approve_when_the_run_is_to_end_then_is_refused(office: Office) -> None:
    office.has(RunState.AWAITING_APPROVAL)
    office.runs.cancel(RUN, "max")

    with pytest.raises(CancelAsked):
        office.of("eva").approve("run-1")


@pytest.mark.parametrize("actor", ["", "  ", "uid 0"])
def test_approve_when_nobody_is_named_then_asks_for_a_name(office: Office, actor: str) -> None:
    office.has(RunState.AWAITING_APPROVAL)

    with pytest.raises(ApproverUnknown) as caught:
        office.of(actor).approve("run-1")

    assert "IMAGEBUILDER_ACTOR" in caught.value.hint
    assert office.runs.approval(RUN) is None
    assert office.runs.get(RUN).state is RunState.AWAITING_APPROVAL


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED])
def test_retry_then_the_run_is_queued_as_if_nobody_had_ended_it(
    office: Office, state: RunState
) -> None:
    office.has(RunState.RUNNING)
    office.runs.cancel(RUN, "max")
    office.has(state, error="It broke.", error_code="component-failed", attempt=3)
    office.clock.advance(60)

    after = office.of("eva").retry("run-1", why="disk is larger now")

    assert office.runs.get(RUN) == after
    assert (after.state, after.attempt, after.ended_at) == (RunState.QUEUED, 4, None)
    assert (after.error, after.error_code, after.cancelled_by) == ("", "", "")
    assert after.queued_at == SOME_DAY + timedelta(seconds=60)
    assert office.actions == [(AuditAction.RUN_RETRIED, "eva", "disk is larger now")]
    assert office.teller.told == [(RUN, RunState.QUEUED)]


@pytest.mark.parametrize(
    ("is_elsewhere", "is_recorded", "is_told", "done"),
    [
        (True, False, False, 1),
        (True, True, True, 4),
        (True, True, False, 3),
        (False, False, False, 3),
    ],
)
def test_retry_when_the_image_is_elsewhere_and_no_versions_then_it_is_to_be_made_anew(
    office: Office, *, is_elsewhere: bool, is_recorded: bool, is_told: bool, done: int
) -> None:
    office.has(RunState.FAILED, error_code="parent-unusable")
    good = StageRun(stage=RunStage.RESOLVE, state=StepState.SUCCEEDED, started_at=SOME_DAY)
    built = replace(good, stage=RunStage.BUILD, result={"is_elsewhere": is_elsewhere})
    seen, failed = replace(good, stage=RunStage.VALIDATE), StepState.FAILED
    state = StepState.SUCCEEDED if is_told else failed
    if is_recorded:
        office.recorded[RUN] = {"ami-1"}
    for stage in (good, built, seen, replace(good, stage=RunStage.RECORD, state=state)):
        office.runs.save_stage(RUN, stage)

    office.of("eva").retry("run-1")

    kept = office.runs.stages(RUN)
    names = [stage.stage.value for stage in kept if stage.state is StepState.SUCCEEDED]
    assert names == list(RunStage)[:done]


@pytest.mark.parametrize(
    "state",
    [
        RunState.QUEUED,
        RunState.RUNNING,
        RunState.AWAITING_APPROVAL,
        RunState.SUCCEEDED,
        RunState.UNCHANGED,
        RunState.SKIPPED,
        RunState.REJECTED,
    ],
)
def test_retry_when_there_is_nothing_to_try_again_then_is_refused(
    office: Office, state: RunState
) -> None:
    office.has(state)

    with pytest.raises(RunOver, match="cannot be retried"):
        office.of("eva").retry("run-1")

    assert office.runs.get(RUN).attempt == 1


@pytest.mark.parametrize("verb", ["cancel", "approve", "reject", "retry"])
@pytest.mark.parametrize(
    ("state", "instead"), [(RunState.FAILED, "imagebuilder build"), (RunState.RUNNING, "Ctrl-C")]
)
def test_any_when_the_run_is_of_no_pipeline_then_says_what_to_do_instead(
    office: Office, verb: str, state: RunState, instead: str
) -> None:
    office.has(state, order=None)

    with pytest.raises(RunByHand) as caught:
        getattr(office.of("eva"), verb)("run-1")

    assert instead in caught.value.hint


@pytest.mark.parametrize("verb", ["cancel", "approve", "reject", "retry"])
def test_any_when_there_is_no_such_run_then_says_so(office: Office, verb: str) -> None:
    with pytest.raises(RunNotFound):
        getattr(office.of("eva"), verb)("run-9")


def test_cancel_when_the_run_ends_in_that_moment_then_says_how_it_stands(office: Office) -> None:
    class Racing(FakeRunStore):
        def cancel(self, run_id: RunId, actor: str) -> bool:
            self.save(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))
            return super().cancel(run_id, actor)

    racing = Office(Racing(), office.teller, office.audit, office.clock)
    racing.has(RunState.RUNNING)

    with pytest.raises(ImageBuilderError, match="it is succeeded"):
        racing.of("eva").cancel("run-1")
