"""Waiting: until something at AWS is done, which it tells to whoever asks again."""

from collections.abc import Callable
from typing import TypeVar

from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.pacing import jittered

_Found = TypeVar("_Found")
_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0


def awaited(calls: Calls, look: Callable[[], _Found | None], limit_seconds: float) -> _Found | None:
    """Give what a look finds, or None when it found nothing for as long as may be waited."""
    ends_at = calls.clock.monotonic() + limit_seconds
    longest = _FIRST_SECONDS
    while (found := look()) is None:
        if calls.clock.monotonic() >= ends_at:
            return None
        calls.pause(longest / 2 + jittered(longest / 2))
        longest = min(_LONGEST_SECONDS, longest * 1.5)
    return found
