"""Clock and IdSource: time and chance, passed in so that all else is a function."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """Give the moment, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that only grow, for durations."""
        ...


class IdSource(Protocol):
    """Names for new things."""

    def new(self, prefix: str) -> str:
        """Give a name that was never given before and sorts by the moment it was made."""
        ...
