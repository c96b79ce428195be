from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.distribution import DistributionIncomplete
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.need import Decision, Reason, ReasonKind, Verdict, decision_of
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.domain.run import (
    Approval,
    Run,
    RunInterrupted,
    RunOrder,
    RunStage,
    RunState,
    StageRun,
    StepState,
)
from imagebuilder.domain.run import Verdict as Word
from imagebuilder.ports.blobs import BlobMissing
from imagebuilder.ports.building import MirrorUnreachable
from imagebuilder.ports.engine import GoOn, StageEnd
from imagebuilder.ports.stage_processes import FaultKind, StageFault
from imagebuilder.services.pipelines.performing import fault_of
from imagebuilder.services.pipelines.running import Books, Running
from tests.build import SOME_DAY, a_digest, a_run
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakePresence
from tests.fakes.notices import FakeTeller
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.runs import FakeRunStore
from tests.fakes.stage_processes import FakeStageProcesses
from tests.fakes.transactions import FakeTransactions

BUILD = Decision(
    verdict=Verdict.BUILD, reasons=(Reason(kind=ReasonKind.NEVER_BUILT, text="never built"),)
)
LATER = StageFault(kind=FaultKind.LATER, code="away", message="The mirror is away.")
FINAL = StageFault(kind=FaultKind.FINAL, code="test-failed", message="A test failed.")
BUSY = StageFault(kind=FaultKind.BUSY, code="in-progress", message="Somebody is at it.")
OVER = StageEnd(go_on=GoOn.OVER)
RUN = RunId("run-1")


@dataclass
class FakeStaff:
    decision: Decision = BUILD
    error: Exception | None = None
    promoted: list[str | None] = field(default_factory=list)
    over: list[RunState] = field(default_factory=list)

    def decide(self, order: RunOrder, wanted_at: datetime) -> Decision:
        if self.error is not None:
            raise self.error
        return self.decision

    def promote(self, run: Run) -> Canonical:
        self.promoted.append(run.version_id)
        return {"channel": None}

    def ended(self, run: Run) -> None:
        self.over.append(run.state)


class Scene:
    """A run of a pipeline that is handed to Running."""

    def __init__(self, **order: object) -> None:
        self.runs = FakeRunStore()
        self.pipelines = FakePipelineStore()
        self.teller = FakeTeller()
        self.staff = FakeStaff()
        self.processes = FakeStageProcesses()
        self.presence = FakePresence()
        self.clock = FakeClock(SOME_DAY)
        books = Books(
            runs=self.runs,
            pipelines=self.pipelines,
            teller=self.teller,
            transactions=FakeTransactions(),
            clock=self.clock,
        )
        self.running = Running(books, self.staff, self.processes, self.presence)
        values: dict[str, object] = {
            "pipeline": PipelineName("nightly"),
            "recipe_path": "web.yaml",
            "trigger": Trigger.SCHEDULE,
            "attempts": 3,
        }
        made = RunOrder(**(values | order))  # type: ignore[arg-type]
        self.runs.add(a_run(RUN, state=RunState.QUEUED, order=made))

    def do(self, stage: RunStage) -> StageEnd:
        return self.running.do(RUN, stage, "worker-1")

    def through(self, last: RunStage = RunStage.DISTRIBUTE) -> list[GoOn]:
        """Do all stages up to one, as an engine does."""
        ends = []
        for stage in RunStage:
            ends.append(self.do(stage).go_on)
            if stage is last or ends[-1] is not GoOn.NEXT:
                break
        return ends

    @property
    def run(self) -> Run:
        return self.runs.get(RUN)

    def stage(self, stage: RunStage) -> StageRun:
        return next(known for known in self.runs.stages(RUN) if known.stage is stage)


def test_run_when_all_goes_well_then_each_stage_is_done_and_it_succeeded() -> None:
    scene = Scene()

    ends = scene.through()

    assert ends == [GoOn.NEXT] * 4 + [GoOn.OVER]
    assert scene.run.state is RunState.SUCCEEDED
    assert scene.run.version_id == "version-1"
    assert scene.staff.promoted == ["version-1"]
    assert [state for _, state in scene.teller.told] == [RunState.RUNNING, RunState.SUCCEEDED]
    assert scene.staff.over == [RunState.SUCCEEDED]


def test_decision_when_taken_then_it_is_kept_with_the_run() -> None:
    scene = Scene()

    scene.do(RunStage.RESOLVE)

    (kept,) = scene.pipelines.decisions(PipelineName("nightly"), 10)
    assert (kept.run_id, kept.verdict, kept.document) == (RUN, "build", BUILD.document())


def test_run_when_there_is_no_need_then_it_is_unchanged_and_nothing_is_built() -> None:
    scene = Scene()
    scene.staff.decision = Decision(verdict=Verdict.SKIP, version="web@1.0.0/1")

    assert scene.do(RunStage.RESOLVE) == OVER
    assert scene.run.state is RunState.UNCHANGED
    assert scene.processes.done == []


def test_run_when_building_finds_nothing_changed_then_it_ends_with_the_version_there_is() -> None:
    scene = Scene()
    scene.processes.reports[RunStage.BUILD] = {
        "built": "b",
        "is_unchanged": True,
        "version_id": "version-0",
    }

    assert scene.through()[-1] is GoOn.OVER
    assert scene.run.state is RunState.UNCHANGED
    assert scene.run.version_id == "version-0"


def test_run_when_its_pipeline_distributes_then_that_is_its_last_stage() -> None:
    scene = Scene(distributions=("/docs/everywhere.yaml",))

    ends = scene.through()

    assert ends == [GoOn.NEXT] * 5 + [GoOn.OVER]
    assert scene.processes.done[-1] is RunStage.DISTRIBUTE
    assert scene.run.state is RunState.SUCCEEDED


def test_run_when_it_is_not_distributed_everywhere_then_it_failed_with_its_version() -> None:
    scene = Scene(distributions=("/docs/everywhere.yaml",))
    scene.through(RunStage.PROMOTE)
    incomplete = DistributionIncomplete("web@1.0.0/1", (), 2)
    scene.processes.faults = [fault_of(incomplete)]

    assert scene.do(RunStage.DISTRIBUTE) == OVER
    assert (scene.run.state, scene.run.error_code) == (RunState.FAILED, "distribution-incomplete")
    assert scene.run.version_id == "version-1"
    assert scene.stage(RunStage.DISTRIBUTE).state is StepState.FAILED


@pytest.mark.parametrize("stage", list(RunStage)[:-1])
def test_stage_when_asked_for_again_then_it_is_not_done_again(stage: RunStage) -> None:
    scene = Scene(distributions=("/docs/everywhere.yaml",))
    first = scene.through(stage)[-1]
    done, decided = list(scene.processes.done), len(scene.pipelines.kept_decisions)

    again = scene.do(stage)

    assert again.go_on is first
    assert scene.processes.done == done
    assert len(scene.pipelines.kept_decisions) == decided


def test_stage_when_its_process_was_killed_in_it_then_whoever_takes_over_does_it() -> None:
    scene = Scene()
    scene.through(RunStage.RESOLVE)
    scene.runs.save_stage(
        RUN,
        StageRun(
            stage=RunStage.BUILD, state=StepState.RUNNING, started_at=SOME_DAY, worker="worker-0"
        ),
    )

    assert scene.do(RunStage.BUILD).go_on is GoOn.NEXT
    assert scene.stage(RunStage.BUILD).worker == "worker-1"
    assert scene.stage(RunStage.BUILD).attempt == 1


@pytest.mark.parametrize("state", [StepState.RUNNING, StepState.SUCCEEDED], ids=str)
@pytest.mark.parametrize("faults", [[], [FINAL]], ids=["went well", "failed"])
def test_stage_when_another_was_told_to_do_it_meanwhile_then_nothing_of_ours_is_written(
    state: StepState, faults: list[StageFault]
) -> None:
    scene = Scene()
    scene.through(RunStage.VALIDATE)
    other = StageRun(
        stage=RunStage.RECORD,
        state=state,
        started_at=SOME_DAY,
        worker="worker-2",
        result={"version_id": "version-2"} if state is StepState.SUCCEEDED else None,
    )
    scene.processes.faults = faults
    scene.processes.meanwhile = lambda: scene.runs.save_stage(RUN, other)

    with pytest.raises(RunInterrupted):
        scene.do(RunStage.RECORD)

    assert scene.stage(RunStage.RECORD) == other
    assert (scene.run.state, scene.run.version_id) == (RunState.RUNNING, None)


def test_fault_when_it_may_pass_then_the_stage_is_tried_again_after_longer_waits() -> None:
    scene = Scene()
    scene.through(RunStage.RESOLVE)
    scene.processes.faults = [LATER, LATER]

    waits = [scene.do(RunStage.BUILD).wait_seconds for _ in range(2)]

    assert waits == [5.0, 10.0]
    assert scene.do(RunStage.BUILD).go_on is GoOn.NEXT
    assert scene.stage(RunStage.BUILD).attempt == 3


def test_fault_when_it_came_as_often_as_allowed_then_the_run_failed() -> None:
    scene = Scene(attempts=2)
    scene.through(RunStage.RESOLVE)
    scene.processes.faults = [LATER, LATER]

    assert [scene.do(RunStage.BUILD).go_on for _ in range(2)] == [GoOn.AGAIN, GoOn.OVER]
    assert scene.run.state is RunState.FAILED
    assert (scene.run.error_code, scene.run.error) == ("away", "The mirror is away.")


def test_fault_when_it_is_final_then_the_run_failed_and_the_stage_tells_why() -> None:
    scene = Scene()
    scene.through(RunStage.BUILD)
    scene.processes.faults = [FINAL]

    assert scene.do(RunStage.VALIDATE) == OVER
    assert scene.run.state is RunState.FAILED
    assert scene.stage(RunStage.VALIDATE).error == "A test failed."
    assert scene.staff.over == [RunState.FAILED]


def test_image_when_somebody_else_works_on_it_then_waiting_costs_no_attempt() -> None:
    scene = Scene(attempts=1)
    scene.through(RunStage.RESOLVE)
    scene.processes.faults = [BUSY, BUSY, BUSY]

    ends = [scene.do(RunStage.BUILD).go_on for _ in range(4)]

    assert ends == [GoOn.AGAIN] * 3 + [GoOn.NEXT]
    assert scene.stage(RunStage.BUILD).attempt == 1


def test_run_when_retried_after_a_failure_then_it_goes_on_where_it_failed() -> None:
    scene = Scene(attempts=1)
    scene.through(RunStage.BUILD)
    scene.processes.faults = [LATER]
    scene.do(RunStage.VALIDATE)
    scene.runs.save(replace(scene.run, state=RunState.QUEUED, ended_at=None, attempt=2))
    scene.processes.done.clear()

    assert scene.through()[-1] is GoOn.OVER
    assert scene.run.state is RunState.SUCCEEDED
    assert scene.processes.done == [RunStage.VALIDATE, RunStage.RECORD]


@pytest.mark.parametrize(
    ("error", "go_on"),
    [
        (MirrorUnreachable("http://mirror.example/InRelease", "refused"), GoOn.AGAIN),
        (BlobMissing(a_digest("x")), GoOn.OVER),
        (RuntimeError("a fault of ours"), GoOn.OVER),
    ],
    ids=["unavailable", "final", "our own"],
)
def test_decision_when_it_cannot_be_taken_then_it_is_as_with_any_stage(
    error: Exception, go_on: GoOn
) -> None:
    scene = Scene()
    scene.staff.error = error

    assert scene.do(RunStage.RESOLVE).go_on is go_on
    assert scene.stage(RunStage.RESOLVE).state is StepState.FAILED


def test_resolve_when_nobody_can_tell_whether_to_build_then_that_is_the_decision() -> None:
    scene = Scene()
    scene.staff.error = StepFailed("The recipe is gone.")

    scene.do(RunStage.RESOLVE)

    [kept] = scene.pipelines.decisions(None, 5)
    decision = decision_of(kept.document)
    assert (kept.verdict, decision.verdict) == ("undecided", Verdict.UNDECIDED)
    assert decision.text == "The recipe is gone."


def test_run_when_cancelled_while_queued_then_it_does_not_begin() -> None:
    scene = Scene()
    scene.runs.cancel(RUN, "ada")

    assert scene.do(RunStage.RESOLVE) == OVER
    assert scene.run.state is RunState.CANCELLED
    assert scene.run.error == "Cancelled by ada."


def test_run_when_cancelled_in_a_stage_then_its_process_is_ended_and_it_is_over() -> None:
    scene = Scene()
    scene.through(RunStage.RESOLVE)
    scene.processes.meanwhile = lambda: scene.runs.cancel(RUN, "ada")

    assert scene.do(RunStage.BUILD) == OVER
    assert scene.run.state is RunState.CANCELLED
    assert scene.staff.over == [RunState.CANCELLED]


def test_process_when_it_is_to_end_then_the_stage_stays_open_for_whoever_takes_over() -> None:
    scene = Scene()
    scene.through(RunStage.RESOLVE)

    def leave() -> None:
        scene.presence.is_here = False

    scene.processes.meanwhile = leave

    with pytest.raises(RunInterrupted):
        scene.do(RunStage.BUILD)
    assert scene.run.state is RunState.RUNNING
    assert scene.stage(RunStage.BUILD).state is StepState.RUNNING


def test_approval_when_it_is_needed_then_the_run_waits_for_it_and_holds_nothing() -> None:
    scene = Scene(needs_approval=True)

    assert scene.through()[-1] is GoOn.OVER
    assert scene.run.state is RunState.AWAITING_APPROVAL
    assert scene.staff.promoted == []


def test_approval_when_given_then_only_what_is_left_is_done() -> None:
    scene = Scene(needs_approval=True)
    scene.through()
    scene.runs.settle(Approval(run_id=RUN, verdict=Word.APPROVED, at=SOME_DAY, actor="ada"))
    scene.runs.save(replace(scene.run, state=RunState.QUEUED, attempt=2))
    scene.processes.done.clear()

    assert scene.through()[-1] is GoOn.OVER
    assert scene.run.state is RunState.SUCCEEDED
    assert scene.processes.done == []
    assert scene.staff.promoted == ["version-1"]


def test_time_limit_when_part_of_it_is_spent_then_a_stage_gets_the_rest() -> None:
    scene = Scene(time_limit_seconds=3600)
    scene.through(RunStage.RESOLVE)
    scene.clock.advance(600)

    scene.do(RunStage.BUILD)

    assert scene.processes.limits == [3000]


def test_time_limit_when_the_run_is_retried_then_it_has_all_of_it_again() -> None:
    scene = Scene(time_limit_seconds=3600)
    scene.through(RunStage.RESOLVE)
    scene.clock.advance(7200)
    again = replace(scene.run, state=RunState.QUEUED, queued_at=scene.clock.now(), attempt=2)
    scene.runs.save(again)
    scene.clock.advance(10)

    scene.do(RunStage.BUILD)

    assert scene.processes.limits == [3590]


def test_run_when_given_up_then_it_failed_with_the_reason() -> None:
    scene = Scene()
    scene.do(RunStage.RESOLVE)

    scene.running.give_up(RUN, "it was begun five times")

    assert scene.run.state is RunState.FAILED
    assert scene.run.error_code == "nobody-lived"


def test_run_when_it_is_over_then_it_cannot_be_given_up() -> None:
    scene = Scene()
    scene.through()

    scene.running.give_up(RUN, "late")

    assert scene.run.state is RunState.SUCCEEDED


def test_result_when_the_catalogue_is_away_then_it_is_kept_when_it_is_back() -> None:
    scene = Scene()
    scene.through(RunStage.RESOLVE)
    trouble = iter([True, True])
    save = scene.runs.save_stage

    def save_stage(run_id: RunId, stage: StageRun) -> StageRun:
        if stage.state is StepState.SUCCEEDED and next(trouble, False):
            raise MirrorUnreachable("the catalogue", "away")
        return save(run_id, stage)

    scene.runs.save_stage = save_stage  # type: ignore[method-assign]

    assert scene.do(RunStage.BUILD).go_on is GoOn.NEXT
    assert scene.processes.done == [RunStage.BUILD]
    assert scene.presence.waits == 2


@pytest.mark.parametrize("verdict", list(Verdict))
def test_started_at_when_the_run_begins_then_it_is_the_moment_of_that(verdict: Verdict) -> None:
    scene = Scene()
    scene.staff.decision = replace(BUILD, verdict=verdict)
    scene.clock.advance(60)

    scene.do(RunStage.RESOLVE)

    assert scene.run.started_at == SOME_DAY + timedelta(seconds=60)


def test_step_failed_when_a_stage_raises_it_then_the_run_says_so() -> None:
    scene = Scene()
    scene.staff.error = StepFailed("It went wrong.")

    scene.do(RunStage.RESOLVE)

    assert scene.run.error == "It went wrong."
