"""Measuring: how the work goes is counted as it goes, so that to ask costs little at any size."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.lease import EXECUTOR_PREFIX, Lease
from imagebuilder.domain.measurement import Durations, Measurements, PoolLoad
from imagebuilder.domain.run import UNFINISHED, Run, RunQuery, RunState, StepState
from imagebuilder.domain.standing import Standing
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.leases import LeaseStore
from imagebuilder.ports.measuring import Measures, SeenVersion
from imagebuilder.ports.notices import NoticeStore
from imagebuilder.ports.pipelines import AppliedPipeline, PipelineStore
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.standings import StandingStore

_MOST_RUNS = 50_000
_STUCK_AFTER = timedelta(minutes=30)
_OVERLAP = timedelta(minutes=5)
"""Clocks of machines differ by less: a run may appear that began a moment before the last look."""
_AGES_SECONDS = 60.0
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """What is looked at."""

    runs: RunStore
    pipelines: PipelineStore
    leases: LeaseStore
    notices: NoticeStore
    standings: StandingStore
    measures: Measures
    clock: Clock


class Measuring:
    """Measures, since it was made. One look at a time: others wait for it."""

    def __init__(self, instruments: Instruments) -> None:
        """Begin to look: what ended before does not count."""
        self._with = instruments
        self._looking = threading.Lock()
        self._open: set[RunId] = set()
        self._counted: dict[RunId, tuple[int, datetime]] = {}
        self._ended: dict[tuple[str, RunState], Durations] = {}
        self._steps: Counter[StepState] = Counter()
        self._decisions: Counter[str] = Counter()
        self._looked_at: datetime | None = None
        self._decision: int | None = None
        self._applied: tuple[str, Sequence[AppliedPipeline]] = ("", ())
        self._good: Mapping[PipelineName, datetime] = {}
        self._good_at: float | None = None

    def measure(self) -> Measurements:
        """Give all numbers. Raises: StoreUnavailable."""
        with self._looking:
            now = self._with.clock.now()
            query = RunQuery(states=UNFINISHED, limit=_MOST_RUNS)
            unfinished = self._with.runs.find(query)
            self._count_ended(unfinished, now)
            self._count_decisions()
            applied = self._pipelines()
            leases = self._with.leases.leases(EXECUTOR_PREFIX)
            alive = [lease for lease in leases if not lease.is_expired]
            good = self._good_versions(applied, now)
            return Measurements(
                open_runs=Counter((_pipeline(run), run.state) for run in unfinished),
                ended={key: _copy(durations) for key, durations in self._ended.items()},
                pools=_pools(unfinished, alive, now),
                executors=len(alive),
                steps=dict(self._steps),
                decisions=dict(self._decisions),
                good_version_ages={n: (now - at).total_seconds() for n, at in good.items()},
                stuck=self._stuck(unfinished, now),
                pipelines=len(applied),
                paused=sum(each.pause is not None for each in applied),
                notices_waiting=self._with.notices.waiting(),
            )

    def _count_ended(self, unfinished: Sequence[Run], now: datetime) -> None:
        """Count the runs that ended since the last look: each attempt once."""
        is_first = self._looked_at is None
        since = (self._looked_at or now) - _OVERLAP
        recent = self._with.runs.find(RunQuery(since_at=since, limit=_MOST_RUNS))
        open_now = {run.id for run in unfinished}
        gone = self._with.runs.those(sorted(self._open - open_now)) if self._open else ()
        new = []
        for run in {run.id: run for run in chain(recent, gone)}.values():
            attempt, _ = self._counted.get(run.id, (0, now))
            if run.state.is_final and run.attempt > attempt:
                self._counted[run.id] = (run.attempt, now)
                new.append(run)
        if not is_first:
            self._count(new)
        for run_id in [i for i, (_, at) in self._counted.items() if at < since - _OVERLAP]:
            del self._counted[run_id]
        self._open = open_now
        self._looked_at = now

    def _count(self, ended: Iterable[Run]) -> None:
        ids = []
        for run in ended:
            ids.append(run.id)
            durations = self._ended.setdefault((_pipeline(run), run.state), Durations())
            end = run.ended_at or run.started_at
            durations.add(max(0.0, (end - run.started_at).total_seconds()))
        if ids:
            self._steps.update(self._with.measures.step_states(ids))

    def _count_decisions(self) -> None:
        if self._decision is None:
            self._decision = self._with.measures.last_decision()
        counts, self._decision = self._with.measures.decisions_after(self._decision)
        self._decisions.update(counts)

    def _pipelines(self) -> Sequence[AppliedPipeline]:
        """Give the pipelines in force; to read thousands takes long, so only if any changed."""
        stamp = self._with.pipelines.stamp()
        if stamp != self._applied[0]:
            self._applied = (stamp, self._with.pipelines.all())
            self._good_at = None
        return self._applied[1]

    def _stuck(self, unfinished: Iterable[Run], now: datetime) -> Mapping[str, int]:
        """Give how many runs of each pipeline are at work, and nothing has moved for long."""
        running = {run.id: run for run in unfinished if run.state is RunState.RUNNING}
        old = {i: run for i, run in running.items() if now - run.started_at >= _STUCK_AFTER}
        moves = self._with.measures.last_moves(list(old)) if old else {}
        stuck = Counter(dict.fromkeys(map(_pipeline, running.values()), 0))
        stuck.update(
            _pipeline(run)
            for run_id, run in old.items()
            if now - moves.get(run_id, run.started_at) >= _STUCK_AFTER
        )
        return stuck

    def _good_versions(
        self, applied: Sequence[AppliedPipeline], now: datetime
    ) -> Mapping[PipelineName, datetime]:
        """Give when the newest usable version of each pipeline was made, the oldest variant's."""
        seconds = self._with.clock.monotonic()
        if self._good_at is not None and seconds - self._good_at < _AGES_SECONDS:
            return self._good
        images = {a.pipeline.name: [p.image for p in a.pipeline.products] for a in applied}
        made = self._made_at({image for of in images.values() for image in of}, now)
        self._good = {
            name: min(made[image] for image in of)
            for name, of in images.items()
            if of and all(image in made for image in of)
        }
        self._good_at = seconds
        return self._good

    def _made_at(self, images: set[ImageName], now: datetime) -> Mapping[ImageName, datetime]:
        measures = self._with.measures
        newest: dict[ImageName, SeenVersion] = dict(measures.newest_versions(images))
        made: dict[ImageName, datetime] = {}
        for _ in range(_TRIES):
            if not newest:
                break
            standings = self._with.standings.standings([s.id for s in newest.values()], now)
            older: dict[ImageName, SeenVersion] = {}
            for image, seen in newest.items():
                if _is_good(standings.get(seen.id)):
                    made[image] = seen.created_at
                elif (before := measures.version_before(image, seen)) is not None:
                    older[image] = before
            newest = older
        return made


def _is_good(standing: Standing | None) -> bool:
    return standing is not None and standing.is_usable


def _pipeline(run: Run) -> str:
    return run.order.pipeline if run.order else ""


def _copy(durations: Durations) -> Durations:
    return Durations(counts=list(durations.counts), total_seconds=durations.total_seconds)


def _pools(
    unfinished: Iterable[Run], alive: Iterable[Lease], now: datetime
) -> Mapping[str, PoolLoad]:
    slots: Counter[str] = Counter()
    for lease in alive:
        pools = lease.details.get("pools")
        if isinstance(pools, Mapping):
            slots.update({name: n for name, n in pools.items() if isinstance(n, int)})
    queued: Counter[str] = Counter()
    used: Counter[str] = Counter()
    longest: dict[str, float] = {}
    for run in unfinished:
        if run.order is None:
            continue
        pool = run.order.pool
        if run.state is RunState.RUNNING:
            used[pool] += 1
        elif run.state is RunState.QUEUED:
            queued[pool] += 1
            waited = (now - (run.queued_at or run.started_at)).total_seconds()
            longest[pool] = max(longest.get(pool, 0.0), waited)
    return {
        pool: PoolLoad(
            queued=queued[pool],
            longest_seconds=longest.get(pool, 0.0),
            slots=slots[pool],
            used=used[pool],
        )
        for pool in sorted({*slots, *queued, *used})
    }
