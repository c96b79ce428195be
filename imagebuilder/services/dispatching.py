"""Dispatching: runs that wait are handed to whoever does them, or ended when somebody asked to.

What is kept of runs is the truth. What was handed over is remembered only to save work: in another
process, or after a while, it is handed over again, and nothing comes of that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import WAITING, Run, RunState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import EngineOrder, RunEngine
from imagebuilder.ports.notices import Teller
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.transactions import Transactions

_AGAIN_SECONDS = 60.0
_AT_ONCE = 100
_LAST_PRIORITY = 101
"""Pipelines count from -100, the last, to 100; engines from 1, the first."""

Begin: TypeAlias = tuple[RunId, int]
"""A run, and the count of its attempt."""

Delays: TypeAlias = dict[Begin, datetime]
"""Until when some wait to be handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchDesk:
    """Where runs are kept, and who is told of what becomes of them."""

    runs: RunStore
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
        """See to what waits now. When nothing does, it costs one question.

        Raises: StoreUnavailable: what was not handed over is the next time.
        """
        waiting = self._runs.waiting()
        cancelled = [run.id for run in waiting if run.is_cancelled]
        self._cancel(cancelled)
        queued = {
            (run.id, run.attempt)
            for run in waiting
            if run.state is RunState.QUEUED and not run.is_cancelled
        }
        self._handed = {begin: at for begin, at in self._handed.items() if begin in queued}
        self._later = {begin: at for begin, at in self._later.items() if begin in queued}
        self._hand_over([begin for begin in queued if self._is_due(begin)])

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
            if order is None or run.state is not RunState.QUEUED:
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
            ended = replace(
                run,
                state=RunState.CANCELLED,
                ended_at=self._desk.clock.now(),
                error=f"Cancelled by {run.cancelled_by}.",
            )
            with self._desk.transactions.together():
                if self._runs.move(ended, WAITING):
                    self._desk.teller.tell(ended)
