"""RunEngine: runs are done durably, somewhere, once. It knows runs and stages, never images."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    """A run to be done: `attempt` makes a retry another work than the first.

    Of runs with one `exclusion`, one is at work at a time. A lower `priority` number goes first.
    """

    run_id: RunId
    attempt: int
    pool: str
    priority: int
    exclusion: str


Begin: TypeAlias = tuple[RunId, int]
"""A run, and the count of its attempt."""


class GoOn(StrEnum):
    """What follows on a stage."""

    NEXT = "next"
    AGAIN = "again"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnd:
    """How a stage came out: the next one follows, it is done again after a wait, or all is over."""

    go_on: GoOn
    wait_seconds: float = 0.0


class Presence(Protocol):
    """How long this process is to do anything; safe to ask from any thread."""

    @property
    def is_staying(self) -> bool:
        """False once it is to begin nothing new, and to end when what it has begun is done."""
        ...

    @property
    def is_here(self) -> bool:
        """False once it is to end at once, or was taken for dead and others do its work."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is to end at once."""
        ...


class RunWork(Protocol):
    """What an engine has done: one stage of a run, in a process that may die at any moment.

    A stage that was done is not done again, whoever asks: it says at once what followed.
    """

    def do(self, run_id: RunId, stage: RunStage, worker: str) -> StageEnd:
        """Do a stage unless it is done; whatever goes wrong with it stands in the run's record.

        Raises: RunInterrupted: this process is to end; whoever goes on begins the stage again;
        Unavailable: the record cannot be read or kept now.
        """
        ...

    def give_up(self, run_id: RunId, reason: str) -> None:
        """Record that a run failed, since no process lived to do it."""
        ...


class RunEngine(Protocol):
    """Does runs. Durable: what was handed over is done to its end, whichever processes die."""

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done; of one that was handed over before nothing happens.

        Raises: StoreUnavailable.
        """
        ...

    def drop(self, begins: Sequence[Begin]) -> None:
        """Do nothing more of what was handed over; what is at work just now sees that by itself.

        Raises: StoreUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What a process does: for all pools, what comes before them, and the work of some pools.

    Shape: `pools` maps a pool to how many runs of it are at work in this process at once.
    """

    controls: bool
    pools: Mapping[str, int]


class EngineRoom(Protocol):
    """Where an engine runs."""

    def running(self, duty: Duty, work: RunWork) -> AbstractContextManager[RunEngine]:
        """Give the engine at work; when the context ends nothing of this process is.

        Raises: Unavailable; InProgress: there is one already where there may only be one.
        """
        ...
