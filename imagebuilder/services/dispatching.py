"""Dispatching: runs that wait are handed to whoever does them, or ended when somebody asked to.

What is kept of runs is the truth. What was handed over is remembered only to save work: in another
process, or after a while, it is handed over again, and nothing comes of that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.lease import EXECUTOR_PREFIX
from imagebuilder.domain.run import WAITING, Run, RunState, StepState, UnfinishedRun
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import Begin, EngineOrder, RunEngine
from imagebuilder.ports.leases import LeaseStore
from imagebuilder.ports.notices import Teller
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.transactions import Transactions

_AGAIN_SECONDS = 60.0
_AT_ONCE = 100
_ENGINES = (RunState.QUEUED, RunState.RUNNING)
_LAST_PRIORITY = 101
"""Pipelines count from -100, the last, to 100; engines from 1, the first."""

Delays: TypeAlias = dict[Begin, datetime]
"""Until when some wait to be handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchDesk:
    """Where runs are kept, who is at work on them, and who is told of what becomes of them."""

    runs: RunStore
    leases: LeaseStore
    teller: Teller
    transactions: Transactions
    clock: Clock


class Dispatching:
    """Hands out work, in one process at a time; when two do so for a moment, no harm is done."""

    def __init__(self, desk: DispatchDesk, engine: RunEngine) -> None:
        """Hand what waits on `desk` to `engine`."""
        self._desk = desk
        self._runs = desk.runs
        self._engine = engine
        self._handed: dict[Begin, float] = {}
        self._later: Delays = {}

    def forget(self) -> None:
        """Begin anew: what somebody else handed over meanwhile, or lost, is not known here."""
        self._handed.clear()
        self._later.clear()

    def tick(self) -> None:
        """See to what is not over. When nothing is, it costs one question.

        Also what is recorded as running is handed over now and then: an engine that has it does
        nothing, and one that lost its books has it again, behind the stages that are done.

        Raises: StoreUnavailable: what was not handed over is the next time.
        """
        unfinished = self._runs.unfinished()
        self._cancel([run.id for run in unfinished if run.is_cancelled and run.state in WAITING])
        self._cancel_idle([run for run in unfinished if run.is_cancelled])
        begins = {
            (run.id, run.attempt)
            for run in unfinished
            if run.state in _ENGINES and not run.is_cancelled
        }
        self._handed = {begin: at for begin, at in self._handed.items() if begin in begins}
        self._later = {begin: at for begin, at in self._later.items() if begin in begins}
        self._hand_over([begin for begin in begins if self._is_due(begin)])

    def _is_due(self, begin: Begin) -> bool:
        """Whether a run is to be handed over, as far as is known without reading it."""
        handed = self._handed.get(begin)
        if handed is not None:
            return self._desk.clock.monotonic() - handed >= _AGAIN_SECONDS
        later = self._later.get(begin)
        return later is None or later <= self._desk.clock.now()

    def _hand_over(self, begins: Collection[Begin]) -> None:
        if not begins:
            return
        now = self._desk.clock.now()
        ready: list[tuple[Run, EngineOrder]] = []
        for run in self._runs.those([run_id for run_id, _ in begins]):
            order = run.order
            if order is None or run.state not in _ENGINES:
                continue
            if order.not_before_at is not None and order.not_before_at > now:
                self._later[run.id, run.attempt] = order.not_before_at
                continue
            wanted = EngineOrder(
                run_id=run.id,
                attempt=run.attempt,
                pool=order.pool,
                priority=_LAST_PRIORITY - order.priority,
                exclusion=f"{order.pipeline}/{order.variant}",
            )
            ready.append((run, wanted))
        ready.sort(key=lambda pair: (pair[1].priority, pair[0].queued_at or now, pair[0].id))
        for start in range(0, len(ready), _AT_ONCE):
            batch = [order for _, order in ready[start : start + _AT_ONCE]]
            self._engine.hand_over(batch)
            at = self._desk.clock.monotonic()
            self._handed.update({(order.run_id, order.attempt): at for order in batch})

    def _cancel(self, ids: Sequence[RunId]) -> None:
        """End runs that wait and were asked to end while they did not."""
        for run in self._runs.those(ids) if ids else ():
            with self._desk.transactions.together():
                self._end(run, WAITING)

    def _cancel_idle(self, cancelled: Sequence[UnfinishedRun]) -> None:
        """End runs that were asked to end, and none of whose stages is at work: they wait as well.

        A stage is at work when it is said to be, and whoever does it lives.
        """
        begins = {run.id: run.attempt for run in cancelled if run.state is RunState.RUNNING}
        if not begins:
            return
        living = {
            lease.name.removeprefix(EXECUTOR_PREFIX)
            for lease in self._desk.leases.leases(EXECUTOR_PREFIX)
            if not lease.is_expired
        }
        for run in self._runs.those(begins):
            if self._is_at_work(run.id, living):
                continue
            # First, so that it is done again if we die in between.
            self._engine.drop([(run.id, begins[run.id])])
            with self._desk.transactions.together():
                # One that began in the meantime sees by itself that it is not wanted.
                if not self._is_at_work(run.id, living):
                    self._end(run, (RunState.RUNNING,))

    def _is_at_work(self, run_id: RunId, living: Collection[str]) -> bool:
        return any(
            stage.state is StepState.RUNNING and stage.worker in living
            for stage in self._runs.stages(run_id)
        )

    def _end(self, run: Run, given: Collection[RunState]) -> None:
        ended = replace(
            run,
            state=RunState.CANCELLED,
            ended_at=self._desk.clock.now(),
            error=f"Cancelled by {run.cancelled_by}.",
        )
        if self._runs.move(ended, given):
            self._desk.teller.tell(ended)
