"""Lease: a process's time-limited right to a name, with a token that grows with each new holder."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import WrongState

SCHEDULER_LEASE = "scheduler"
"""Of the one process that looks at the clock and hands out work."""

EXECUTOR_PREFIX = "executor/"
"""Of the processes that do work; the rest of the name is the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A right that somebody holds, or held; what it stands for is in `details`, small and plain.

    `remaining_seconds` was seen by the clock of who keeps leases; of an expired one it is negative.
    """

    name: str
    holder: str
    token: int
    remaining_seconds: float
    details: Mapping[str, Canonical] = field(default_factory=dict)

    @property
    def is_expired(self) -> bool:
        """Whether somebody else may take it."""
        return self.remaining_seconds <= 0


class LeaseLost(WrongState):
    """A process was taken for dead; what it was doing is somebody else's now."""

    code = "lease-lost"

    def __init__(self, name: str, holder: str) -> None:
        """Say whose it was."""
        super().__init__(
            f"The lease {name} is not held by {holder} any more.",
            context="It was not renewed in time, and somebody else may have taken over.",
            hint="Nothing is to be done: what was at work goes on elsewhere.",
        )
