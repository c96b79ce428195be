"""Where the time goes."""

import contextlib
from collections.abc import Iterator

from imagebuilder.ports.clock import Clock


class Stopwatch:
    """Adds up how long the parts of a work take."""

    def __init__(self, clock: Clock) -> None:
        """Measure with clock."""
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measured(self, part: str) -> Iterator[None]:
        """Add the duration of this context to a part, also when it ends badly."""
        started = self._clock.monotonic()
        try:
            yield
        finally:
            taken = self._clock.monotonic() - started
            self.seconds[part] = self.seconds.get(part, 0.0) + taken
