"""RunEngine: runs are done durably, somewhere, once; it knows runs and stages, never images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imagebuilder.domain.ids import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    """A run to be done: `attempt` makes a retry another work than the first."""

    run_id: RunId
    attempt: int
    pool: str
    priority: int
    exclusion: str


class RunEngine(Protocol):
    """Does runs. Durable: what was handed over is done to its end, whichever processes die.

    Of one exclusion, one run is at work at a time; the others wait in the order they came.
    """

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done; of one that was handed over before nothing happens.

        Raises: StoreUnavailable.
        """
        ...
