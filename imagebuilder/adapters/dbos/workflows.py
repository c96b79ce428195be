"""The two workflows: what comes before the work, and the work of a pool, stage by stage.

DBOS remembers each step that ended, so that whoever takes over goes on with the next one. Changes
of the order of steps need another ENGINE_VERSION: runs under way are done by the old one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunInterrupted, RunStage
from imagebuilder.ports.engine import GoOn, Presence, RunWork

T = TypeVar("T")

ENGINE_VERSION = "1"
RUNS_QUEUE = "runs"
RUN_WORKFLOW = "run"
_BEFORE = (RunStage.RESOLVE,)
_IN_POOL = tuple(stage for stage in RunStage if stage not in _BEFORE)
_AWAY_SECONDS = 5.0
_MOST_POOL_TAKEOVERS = 5
"""A build that takes its machine down with it must not take them all down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Who does stages in this process: the work, its threads, under which name, and how long."""

    work: RunWork
    threads: Executor
    worker: str
    presence: Presence


class Workflows:
    """What DBOS runs; made anew for each process, before DBOS is launched."""

    def __init__(self, hands: Hands, known_pool: Callable[[str], None]) -> None:
        """Register with DBOS; known_pool sees that a pool has a queue.

        `busy` is how many stages are under way here; it changes in the loop's thread only.
        """
        self._hands = hands
        self._known_pool = known_pool
        self.busy = 0

        @DBOS.step(name="stage")
        async def stage(run_id: str, name: str) -> list[str | float]:
            return await self._done(run_id, name)

        @DBOS.step(name="give-up")
        async def give_up(run_id: str, reason: str) -> None:
            await self._given_up(run_id, reason)

        @DBOS.workflow(name="pool-work", max_recovery_attempts=_MOST_POOL_TAKEOVERS)
        async def pool_work(run_id: str) -> None:
            await _through(stage, run_id, _IN_POOL)

        # It may wait for its pool for as long as it takes, whatever is started anew meanwhile.
        @DBOS.workflow(name=RUN_WORKFLOW, max_recovery_attempts=None)
        async def run(run_id: str, attempt: int, pool: str, priority: int) -> None:
            try:
                if not await _through(stage, run_id, _BEFORE):
                    return
                await asyncio.to_thread(self._known_pool, pool)
                with (
                    SetWorkflowID(f"{run_id}/{attempt}/work"),
                    SetEnqueueOptions(priority=priority),
                ):
                    handle = await DBOS.enqueue_workflow_async(pool, pool_work, run_id)
                await handle.get_result()
            except Exception as error:  # noqa: BLE001 - whatever it is, the run is over with it
                await give_up(run_id, f"{type(error).__name__}: {error}")

    async def _given_up(self, run_id: str, reason: str) -> None:
        hands = self._hands
        while True:
            try:
                await _in_thread(hands, lambda: hands.work.give_up(RunId(run_id), reason))
            except Unavailable:
                await asyncio.sleep(_AWAY_SECONDS)
            else:
                return

    async def _done(self, run_id: str, name: str) -> list[str | float]:
        hands = self._hands
        if not hands.presence.is_staying:
            await _for_ever()
        self.busy += 1
        try:
            end = await _in_thread(
                hands, lambda: hands.work.do(RunId(run_id), RunStage(name), hands.worker)
            )
        except Unavailable:
            return [GoOn.AGAIN.value, _AWAY_SECONDS]
        except RunInterrupted:
            end = None
        finally:
            self.busy -= 1
        if end is None:
            # Not within the block: a process that leaves does not wait for what goes no further.
            await _for_ever()
            raise RunInterrupted
        return [end.go_on.value, end.wait_seconds]


async def _through(
    stage: Callable[[str, str], Awaitable[list[str | float]]],
    run_id: str,
    stages: Sequence[RunStage],
) -> bool:
    """Do stages one after the other; whether the last of them was followed by more."""
    for name in stages:
        go_on, wait_seconds = await stage(run_id, name.value)
        while go_on == GoOn.AGAIN:
            await DBOS.sleep_async(float(wait_seconds))
            go_on, wait_seconds = await stage(run_id, name.value)
        if go_on == GoOn.OVER:
            return False
    return True


async def _for_ever() -> None:
    """Go no further in a process that ends: nothing more may be written down as done by it."""
    await asyncio.Event().wait()


async def _in_thread(hands: Hands, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(hands.threads, work)
