"""Pacing: no account's region is asked more often than it answers."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from imagebuilder.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many calls at once, and then so many each second."""

    burst: float
    per_second: float


_READING = Rate(burst=50, per_second=20)
_CHANGING = Rate(burst=50, per_second=5)
_BLOCKS = Rate(burst=1000, per_second=1000)
"""Source: Amazon EC2 API throttling, token buckets; EBS direct APIs quotas, a snapshot's blocks."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Pacing:
    """A bucket of tokens for each account, region and family of calls."""

    def __init__(self, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """Begin with full buckets."""
        self._clock = clock
        self._pause = pause
        self._buckets: dict[tuple[str, str, Rate], _Bucket] = {}
        self._lock = Lock()

    def wait(self, account: str, region: str, operation: str) -> None:
        """Return when a call may be made."""
        rate = _rate(operation)
        with self._lock:
            now = self._clock.monotonic()
            key = (account, region, rate)
            bucket = self._buckets.setdefault(key, _Bucket(rate.burst, now))
            gained = (now - bucket.at) * rate.per_second
            bucket.tokens = min(rate.burst, bucket.tokens + gained) - 1
            bucket.at = now
            debt_seconds = -bucket.tokens / rate.per_second
        if debt_seconds > 0:
            self._pause(debt_seconds)


def jittered(longest_seconds: float) -> float:
    """Give a pause up to some seconds by chance, so that those who wait do not come together."""
    return random.uniform(0, longest_seconds)  # noqa: S311 - no secret depends on it


def _rate(operation: str) -> Rate:
    service, _, name = operation.partition(":")
    if service == "ebs" and name.endswith("SnapshotBlock"):
        return _BLOCKS
    return _READING if name.startswith(("Describe", "Get", "List")) else _CHANGING
