"""Time and ids that only move when a test says so."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        """Stand at now, by default the start of 2026."""
        self._now = now or datetime(2026, 1, 1, tzinfo=UTC)
        self._seconds = 0.0

    def now(self) -> datetime:
        """Give the moment, aware, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Give seconds that only grow, for durations."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Move both kinds of time on."""
        self._now += timedelta(seconds=seconds)
        self._seconds += seconds


class FakeIds:
    """Ids that count: run-000001, run-000002."""

    def __init__(self) -> None:
        """Begin at 1."""
        self._count = 0

    def new(self, prefix: str) -> str:
        """Give a name that was never given before and sorts by the moment it was made."""
        self._count += 1
        return f"{prefix}-{self._count:06d}"
