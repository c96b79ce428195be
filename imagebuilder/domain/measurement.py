"""Measurement: how the work goes in numbers, now and since somebody began to look."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.run import RunState, StepState

DURATION_BUCKETS = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
"""Up to so many seconds runs are counted together."""


@dataclass(slots=True)
class Durations:
    """How long some things took. Shape: `counts` has one for each bucket, and one for the rest."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one that took so long."""
        self.counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.total_seconds += seconds

    @property
    def count(self) -> int:
        """How many they are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoad:
    """How a pool stands: runs that wait for it, since when, and the slots of its workers."""

    queued: int = 0
    longest_seconds: float = 0.0
    slots: int = 0
    used: int = 0

    @property
    def free(self) -> int:
        """How many slots nobody uses; of workers that died some may count as used."""
        return max(0, self.slots - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All numbers.

    `ended`, `steps` and `decisions` count since somebody began to look; the rest is of now. A run
    without a pipeline is of the pipeline that has no name.
    """

    open_runs: Mapping[tuple[str, RunState], int]
    ended: Mapping[tuple[str, RunState], Durations]
    pools: Mapping[str, PoolLoad]
    executors: int
    steps: Mapping[StepState, int]
    decisions: Mapping[str, int]
    good_version_ages: Mapping[PipelineName, float]
    stuck: Mapping[str, int]
    pipelines: int
    paused: int
    notices_waiting: int
