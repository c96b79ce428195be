"""Running: a pipeline's run, stage by stage, whoever does which and however often one is begun.

The record of a run says what is done. So a stage that succeeded is not done again, neither by an
engine that asks twice nor after a retry, and of two that did the same one the first result stays.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError, StepFailed, Unavailable
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.need import Decision, Verdict, undecided
from imagebuilder.domain.run import (
    Run,
    RunInterrupted,
    RunOrder,
    RunStage,
    RunState,
    StageRun,
    StepState,
)
from imagebuilder.domain.run import Verdict as Word
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import GoOn, Presence, StageEnd
from imagebuilder.ports.notices import Teller
from imagebuilder.ports.pipelines import KeptDecision, PipelineStore
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.stage_processes import FaultKind, StageFault, StageProcesses
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.pipelines.performing import fault_of

_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 600.0
_BUSY_WAIT_SECONDS = 5.0
_AWAY_WAIT_SECONDS = 1.0
_NEXT = StageEnd(go_on=GoOn.NEXT)
_OVER = StageEnd(go_on=GoOn.OVER)


class Staff(Protocol):
    """What is done for a run in the process that runs it: both are quick, and safe to repeat."""

    def decide(self, order: RunOrder, wanted_at: datetime) -> Decision:
        """Say whether to build, by a look that is no older. Raises: any ImageBuilderError."""
        ...

    def promote(self, run: Run) -> Canonical:
        """Let the run's channel, if it has one, mean its version, and say what it means."""
        ...

    def ended(self, run: Run) -> None:
        """Count how a run ended, and see to what follows from it; in the caller's transaction."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where runs and decisions are kept, and who is told of what becomes of them."""

    runs: RunStore
    pipelines: PipelineStore
    teller: Teller
    transactions: Transactions
    clock: Clock


class Running:
    """Does stages of runs."""

    def __init__(
        self,
        books: Books,
        staff: Staff,
        processes: StageProcesses,
        presence: Presence,
    ) -> None:
        """Keep `books`, and do nothing any more once `presence` says so."""
        self._books = books
        self._runs = books.runs
        self._clock = books.clock
        self._staff = staff
        self._processes = processes
        self._presence = presence

    def do(self, run_id: RunId, stage: RunStage, worker: str) -> StageEnd:
        """Do a stage unless it is done; whatever goes wrong with it stands in the run's record.

        Raises: RunInterrupted: this process is to end; whoever goes on begins the stage again;
        Unavailable: the record cannot be read or kept now.
        """
        # Together, so that nobody ends a run as one that waits while its next stage begins.
        with self._books.transactions.together():
            run = self._runs.get(run_id)
            kept = {known.stage: known for known in self._runs.stages(run_id)}
            before = kept.get(stage)
            is_done = before is not None and before.state is StepState.SUCCEEDED
            if before is not None and is_done and not run.state.is_final:
                return self._follow(run, before)
            if self._is_stopped(run, stage):
                return _OVER
            began = self._began(run, stage, before, worker)
        result = self._tried(run, stage, kept)
        if isinstance(result, StageFault):
            return self._failed(run, began, result)
        ended = replace(began, state=StepState.SUCCEEDED, ended_at=self._clock.now(), result=result)
        return self._follow(run, self._kept(run_id, ended))

    def give_up(self, run_id: RunId, reason: str) -> None:
        """Record that a run failed, since no process lived to do it."""
        run = self._runs.get(run_id)
        if not run.state.is_final:
            error = NobodyLived(run_id, reason)
            self._end(run, RunState.FAILED, code=error.code, error=error.message)

    def _is_stopped(self, run: Run, stage: RunStage) -> bool:
        """Whether a run goes no further, now or at all."""
        if run.state.is_final or run.state is RunState.AWAITING_APPROVAL:
            return True
        if run.cancelled_by:
            self._end(run, RunState.CANCELLED, error=_cancelled(run))
            return True
        return stage is RunStage.PROMOTE and not self._is_let_through(run)

    def _is_let_through(self, run: Run) -> bool:
        """Whether a run may go on to its end; one that waits for a person's word does from now."""
        if run.order is None or not run.order.needs_approval:
            return True
        word = self._runs.approval(run.id)
        if word is not None:
            return word.verdict is Word.APPROVED
        self._move(replace(run, state=RunState.AWAITING_APPROVAL))
        return False

    def _began(self, run: Run, stage: RunStage, before: StageRun | None, worker: str) -> StageRun:
        """Keep that a stage is at work: its first try, or another one after a failure."""
        now = self._clock.now()
        if run.state is RunState.QUEUED:
            is_first = stage is RunStage.RESOLVE
            self._move(
                replace(run, state=RunState.RUNNING, started_at=now if is_first else run.started_at)
            )
        tries = 1 if before is None else before.attempt + (before.state is StepState.FAILED)
        began = StageRun(
            stage=stage, state=StepState.RUNNING, started_at=now, attempt=tries, worker=worker
        )
        return self._runs.save_stage(run.id, began)

    def _tried(
        self, run: Run, stage: RunStage, kept: Mapping[RunStage, StageRun]
    ) -> Canonical | StageFault:
        """Give what a stage made, or what kept it from making anything."""
        try:
            return self._result(run, stage, kept)
        except ImageBuilderError as error:
            return fault_of(error)
        except Exception as error:  # noqa: BLE001 - our own fault; the run's record says so
            return _our_fault(error)

    def _result(
        self, run: Run, stage: RunStage, kept: Mapping[RunStage, StageRun]
    ) -> Canonical | StageFault:
        match stage:
            case RunStage.RESOLVE:
                return self._resolved(run)
            case RunStage.BUILD | RunStage.VALIDATE | RunStage.RECORD | RunStage.DISTRIBUTE:
                return self._processed(run, stage)
            case RunStage.PROMOTE:
                recorded = kept[RunStage.RECORD]
                version_id = VersionId(_field(recorded, "version_id"))
                return self._staff.promote(replace(run, version_id=version_id))

    def _resolved(self, run: Run) -> Canonical:
        order = _order(run)
        decision = self._staff.decide(order, run.queued_at or run.started_at)
        self._note_decision(run, decision)
        return {"verdict": decision.verdict.value, "text": decision.text}

    def _note_decision(self, run: Run, decision: Decision) -> None:
        order = _order(run)
        self._books.pipelines.add_decision(
            KeptDecision(
                pipeline=order.pipeline,
                variant=order.variant,
                at=self._clock.now(),
                slot_at=order.slot_at,
                run_id=run.id,
                verdict=decision.verdict.value,
                document=decision.document(),
            )
        )

    def _processed(self, run: Run, stage: RunStage) -> Canonical | StageFault:
        limit = _order(run).time_limit_seconds
        if limit is not None:
            # What is retried has its whole time again.
            began = run.queued_at if run.attempt > 1 and run.queued_at else run.started_at
            spent = (self._clock.now() - began).total_seconds()
            limit = max(1, limit - round(spent))

        def is_wanted() -> bool:
            return self._presence.is_here and not self._is_cancelled(run.id)

        report = self._processes.run(run.id, stage, limit, is_wanted)
        self._require_here()
        if report is None:
            return StageFault(
                kind=FaultKind.FINAL,
                code="run-cancelled",
                message=_cancelled(self._runs.get(run.id)),
            )
        return report.result if report.fault is None else report.fault

    def _is_cancelled(self, run_id: RunId) -> bool:
        try:
            return bool(self._runs.get(run_id).cancelled_by)
        except Unavailable:
            # A catalogue that is away for a moment cancels nothing.
            return False

    def _require_here(self) -> None:
        """Go no further in a process whose work is somebody else's by now."""
        if not self._presence.is_here:
            raise RunInterrupted("this process is to end")

    def _kept(self, run_id: RunId, done: StageRun) -> StageRun:
        """Keep what was made, also when the catalogue is away for a while: it is not made twice."""
        while True:
            self._require_here()
            try:
                with self._still_ours(run_id, done):
                    return self._runs.save_stage(run_id, done)
            except Unavailable:
                self._presence.wait(_AWAY_WAIT_SECONDS)

    @contextmanager
    def _still_ours(self, run_id: RunId, ours: StageRun) -> Iterator[None]:
        """Write in the block, unless another process was told to do the stage in our place.

        Raises: RunInterrupted.
        """
        with self._books.transactions.together():
            for known in self._runs.stages(run_id):
                if known.stage is ours.stage and known.worker != ours.worker:
                    raise RunInterrupted(f"{known.worker} does {ours.stage} of {run_id} now")
            yield

    def _failed(self, run: Run, began: StageRun, fault: StageFault) -> StageEnd:
        """Try again what may work later, as often as the pipeline says; else the run is over."""
        self._require_here()
        if fault.kind is FaultKind.BUSY:
            return StageEnd(go_on=GoOn.AGAIN, wait_seconds=_BUSY_WAIT_SECONDS)
        said = "\n".join(filter(None, (fault.message, fault.context, fault.hint)))
        failed = replace(
            began,
            state=StepState.FAILED,
            ended_at=self._clock.now(),
            error_code=fault.code,
            error=said,
        )
        with self._still_ours(run.id, began):
            self._runs.save_stage(run.id, failed)
        if self._is_cancelled(run.id):
            return self._end(run, RunState.CANCELLED, error=_cancelled(self._runs.get(run.id)))
        if fault.kind is FaultKind.LATER and began.attempt < _order(run).attempts * run.attempt:
            wait = _FIRST_WAIT_SECONDS * 2.0 ** (began.attempt - 1)
            return StageEnd(go_on=GoOn.AGAIN, wait_seconds=min(wait, _LONGEST_WAIT_SECONDS))
        if began.stage is RunStage.RESOLVE:
            self._note_decision(run, undecided(fault.message))
        return self._end(run, RunState.FAILED, code=fault.code, error=fault.message)

    def _follow(self, run: Run, done: StageRun) -> StageEnd:
        """See to what comes after a stage that is done."""
        match done.stage:
            case RunStage.RESOLVE if _field(done, "verdict") == Verdict.SKIP:
                return self._end(run, RunState.UNCHANGED, error=_field(done, "text"))
            case RunStage.BUILD if _fields(done).get("is_unchanged"):
                return self._end(run, RunState.UNCHANGED, version=_fields(done).get("version_id"))
            case RunStage.RECORD:
                self._note_version(run, _field(done, "version_id"))
                return _NEXT
            case RunStage.PROMOTE if _order(run).distributions:
                return _NEXT
            case RunStage.PROMOTE | RunStage.DISTRIBUTE:
                return self._end(run, RunState.SUCCEEDED)
            case RunStage.RESOLVE | RunStage.BUILD | RunStage.VALIDATE:
                return _NEXT

    def _note_version(self, run: Run, version_id: str) -> None:
        if run.version_id is None:
            noted = replace(self._runs.get(run.id), version_id=VersionId(version_id))
            self._runs.move(noted, (RunState.RUNNING, RunState.QUEUED))

    def _end(
        self,
        run: Run,
        state: RunState,
        *,
        code: str = "",
        error: str = "",
        version: str | None = None,
    ) -> StageEnd:
        now = self._clock.now()
        # As it is kept now: when it began, and which version it recorded, came after it was read.
        kept = self._runs.get(run.id)
        ended = replace(kept, state=state, ended_at=now, error_code=code, error=error)
        self._move(replace(ended, version_id=VersionId(version)) if version else ended)
        return _OVER

    def _move(self, run: Run) -> None:
        """Keep what became of a run, once, and see that whoever wants to know is told."""
        with self._books.transactions.together():
            given = {RunState.QUEUED, RunState.RUNNING, RunState.AWAITING_APPROVAL} - {run.state}
            if self._runs.move(run, given):
                self._books.teller.tell(run)
                if run.state.is_final:
                    self._staff.ended(run)


class NobodyLived(StepFailed):
    """Every process that had a run in hand died with it."""

    code = "nobody-lived"

    def __init__(self, run_id: RunId, reason: str) -> None:
        """Say what the engine said."""
        super().__init__(
            f"Run {run_id} was given up: the processes that did it died one after the other.",
            context=reason,
            hint=f"Look for what ended them, such as a lack of memory, then: run retry {run_id}",
        )


def _order(run: Run) -> RunOrder:
    if run.order is None:
        raise TypeError("a run that is done by stages has an order")
    return run.order


def _fields(stage: StageRun) -> Mapping[str, Any]:
    return stage.result if isinstance(stage.result, Mapping) else {}


def _field(stage: StageRun, name: str) -> str:
    return str(_fields(stage)[name])


def _cancelled(run: Run) -> str:
    return f"Cancelled by {run.cancelled_by}."


def _our_fault(error: Exception) -> StageFault:
    said = f"{type(error).__name__}: {error}"
    return StageFault(
        kind=FaultKind.FINAL, code="unexpected", message="imagebuilder itself failed.", context=said
    )
