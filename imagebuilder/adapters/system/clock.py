"""The machine's clock, and ids made of its time and its randomness."""

import secrets
import time
from datetime import UTC, datetime

from imagebuilder.ports.clock import Clock

_RANDOM_BYTES = 4


class SystemClock:
    """Time as the machine tells it; the only place that asks."""

    def now(self) -> datetime:
        """Give the moment, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds that only grow, for durations."""
        return time.monotonic()


class RandomIds:
    """Ids of prefix, UTC time to the microsecond and chance: run-20250131T235959123456-9f3c01ab."""

    def __init__(self, clock: Clock) -> None:
        """Take the time from clock."""
        self._clock = clock
        self._newest = ""

    def new(self, prefix: str) -> str:
        """Give a name that was never given before and sorts by the moment it was made."""
        # A clock that was set back must not let a newer id sort before an older one of ours.
        self._newest = max(self._newest, f"{self._clock.now():%Y%m%dT%H%M%S%f}")
        return f"{prefix}-{self._newest}-{secrets.token_hex(_RANDOM_BYTES)}"
