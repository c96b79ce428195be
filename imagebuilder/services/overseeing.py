"""Overseeing: people end runs, say what becomes of those that wait for them, and begin them again.

Nothing is done to a process here: what is kept of a run is the truth, and whoever works on it looks
at that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry, is_named
from imagebuilder.domain.run import (
    Approval,
    ApprovalGiven,
    ApproverUnknown,
    CancelAsked,
    Run,
    RunByHand,
    RunOver,
    RunStage,
    RunState,
    StepState,
    Verdict,
)
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.live_builds import RecordedImages
from imagebuilder.ports.notices import Teller
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.transactions import Transactions

_WAITING = (RunState.QUEUED, RunState.AWAITING_APPROVAL)
_RETRYABLE = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Where runs are kept, and who is told of what becomes of them.

    `recorded` gives the images elsewhere that a run recorded.
    """

    runs: RunStore
    recorded: RecordedImages
    teller: Teller
    audit: AuditLog
    transactions: Transactions
    clock: Clock


class Overseeing:
    """Does what people want of runs. Durable: each is kept whole, with its audit entry."""

    def __init__(self, watch: Watch, actor: str) -> None:
        """Keep `watch` in the name of `actor`."""
        self._watch = watch
        self._runs = watch.runs
        self._actor = actor

    def cancel(self, run_id: str, *, why: str = "") -> Run:
        """End a run that waits, at once, or ask whoever is at work on it to end it.

        Raises: RunNotFound; RunByHand; RunOver; CancelAsked.
        """
        with self._watch.transactions.together():
            before = self._of_pipeline(run_id, "cancelled")
            if before.state.is_final:
                raise RunOver(before, "cancelled")
            if before.cancelled_by:
                raise CancelAsked(before)
            if not self._runs.cancel(before.id, self._actor):
                raise self._missed(before, "cancelled")
            # From here on nobody else changes it, so what is read is what is written over.
            marked = self._runs.get(before.id)
            ended = replace(marked, state=RunState.CANCELLED, ended_at=self._watch.clock.now())
            is_over = self._runs.move(ended, _WAITING)
            after = ended if is_over else marked
            self._keep(AuditAction.RUN_CANCELLED, before, after, why)
            if is_over:
                self._watch.teller.tell(ended)
        return after

    def approve(self, run_id: str, *, why: str = "") -> Run:
        """Let a run that waits for a person go on where it stopped.

        Raises: RunNotFound; RunByHand; RunOver; CancelAsked; ApprovalGiven; ApproverUnknown.
        """
        with self._watch.transactions.together():
            before = self._settled(run_id, Verdict.APPROVED, why)
            after = self._again(before)
            if not self._runs.move(after, (RunState.AWAITING_APPROVAL,)):
                raise self._missed(before, "approved")
            self._keep(AuditAction.RUN_APPROVED, before, after, why)
            self._watch.teller.tell(after)
        return after

    def reject(self, run_id: str, *, why: str = "") -> Run:
        """End a run that waits for a person; what it recorded stays. Raises: as `approve`."""
        with self._watch.transactions.together():
            before = self._settled(run_id, Verdict.REJECTED, why)
            after = replace(
                before,
                state=RunState.REJECTED,
                ended_at=self._watch.clock.now(),
                error=f"{self._actor} rejected it{f': {why}' if why else '.'}",
            )
            if not self._runs.move(after, (RunState.AWAITING_APPROVAL,)):
                raise self._missed(before, "rejected")
            self._keep(AuditAction.RUN_REJECTED, before, after, why)
            self._watch.teller.tell(after)
        return after

    def retry(self, run_id: str, *, why: str = "") -> Run:
        """Queue a run that failed, or was ended, again; it goes on behind its last good stage.

        One that made its image elsewhere, and did not record it, makes it anew.

        Raises: RunNotFound; RunByHand; RunOver.
        """
        with self._watch.transactions.together():
            before = self._of_pipeline(run_id, "retried")
            if before.state not in _RETRYABLE:
                raise RunOver(before, "retried")
            after = replace(self._again(before), cancelled_by="")
            if not self._runs.requeue(after, _RETRYABLE):
                raise self._missed(before, "retried")
            if self._has_lost_image(before):
                self._runs.forget_stages(before.id, (RunStage.BUILD, RunStage.VALIDATE))
            self._keep(AuditAction.RUN_RETRIED, before, after, why)
            self._watch.teller.tell(after)
        return after

    def _settled(self, run_id: str, verdict: Verdict, why: str) -> Run:
        """Keep a person's word on a run that waits for one, and give the run."""
        run = self._of_pipeline(run_id, verdict)
        given = self._runs.approval(run.id)
        if given is not None:
            raise ApprovalGiven(given)
        if run.state is not RunState.AWAITING_APPROVAL:
            raise RunOver(run, verdict)
        if run.cancelled_by:
            raise CancelAsked(run)
        if not is_named(self._actor):
            raise ApproverUnknown(f"run {run.id}", self._actor)
        now = self._watch.clock.now()
        approval = Approval(run_id=run.id, verdict=verdict, at=now, actor=self._actor, why=why)
        if not self._runs.settle(approval):
            raise ApprovalGiven(self._runs.approval(run.id) or approval)
        return run

    def _has_lost_image(self, run: Run) -> bool:
        """Whether what a run made was taken away when it ended, or may be at any moment."""
        kept = {stage.stage: stage for stage in self._runs.stages(run.id)}
        built, record = kept.get(RunStage.BUILD), kept.get(RunStage.RECORD)
        made = built.result if built is not None else None
        if not (isinstance(made, Mapping) and made.get("is_elsewhere")):
            return False
        # A process that was killed in its last stage may have recorded a version, and not said so.
        is_recorded = record is not None and record.state is StepState.SUCCEEDED
        return not is_recorded and not self._watch.recorded(run.id)

    def _of_pipeline(self, run_id: str, wanted: str) -> Run:
        run = self._runs.get(run_id)
        if run.order is None:
            raise RunByHand(run, wanted)
        return run

    def _again(self, run: Run) -> Run:
        """Give a run as it is queued for its next attempt."""
        return replace(
            run,
            state=RunState.QUEUED,
            queued_at=self._watch.clock.now(),
            ended_at=None,
            error_code="",
            error="",
            attempt=run.attempt + 1,
        )

    def _missed(self, run: Run, wanted: str) -> RunOver:
        """Give the error that a run became another in the meantime."""
        return RunOver(self._runs.get(run.id), wanted)

    def _keep(self, action: AuditAction, before: Run, after: Run, why: str) -> None:
        self._watch.audit.add(
            AuditEntry(
                act=Act(actor=self._actor, at=self._watch.clock.now(), why=why),
                action=action,
                subject=after.id,
                before={"state": before.state.value, "attempt": before.attempt},
                after={"state": after.state.value, "attempt": after.attempt},
            )
        )
