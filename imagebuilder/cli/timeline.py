"""When things happened within a span of time, drawn in a line."""

from dataclasses import dataclass
from datetime import datetime

_CELLS = 24
_EMPTY = "·"
_FULL = "━"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when."""

    begins_at: datetime
    ends_at: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.ends_at - self.begins_at).total_seconds()


def bar(part: Span, whole: Span) -> str:
    """Give a line as long as the whole, full where the part is; at least one place of it."""
    length = max(whole.seconds, 0.001)
    first = _within((part.begins_at - whole.begins_at).total_seconds() / length)
    last = max(first, _within((part.ends_at - whole.begins_at).total_seconds() / length - 1e-9))
    return _EMPTY * first + _FULL * (last - first + 1) + _EMPTY * (_CELLS - 1 - last)


def _within(share: float) -> int:
    return min(_CELLS - 1, max(0, int(share * _CELLS)))
