"""What was asked of the double, and how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OK = "ok"
CUT = "connection cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: outcome is "ok", "connection cut" or the code of the error."""

    service: str
    operation: str
    account: str | None
    region: str
    outcome: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    began: float
    seconds: float
    size_bytes: int = 0

    @property
    def is_ok(self) -> bool:
        """Tell whether it was done and said so."""
        return self.outcome == OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often an operation was called, and how much the double did of it in a second."""

    calls: int
    size_bytes: int
    elapsed_seconds: float
    busy_seconds: float

    @property
    def mb_per_second(self) -> float:
        """From the first call to the end of the last, of the bodies of requests."""
        return self.size_bytes / 1e6 / self.elapsed_seconds if self.elapsed_seconds else 0.0


class CallLog:
    """Every call, in the order in which they ended."""

    def __init__(self) -> None:
        """Nothing was called yet."""
        self._calls: list[Call] = []
        self._listeners: list[Callable[[Call], None]] = []

    def heard_by(self, listener: Callable[[Call], None]) -> None:
        """Let somebody hear of every call from now on."""
        self._listeners.append(listener)

    def record(self, call: Call) -> None:
        """Keep a call."""
        self._calls.append(call)
        for listener in self._listeners:
            listener(call)

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def calls(
        self, operation: str | None = None, *, service: str | None = None, **like: str
    ) -> list[Call]:
        """Give the calls that are alike: of an operation, an account, a region, an outcome."""
        return [
            call
            for call in list(self._calls)
            if operation in {None, call.operation}
            and service in {None, call.service}
            and all(getattr(call, name) == value for name, value in like.items())
        ]

    def count(self, operation: str, **like: str) -> int:
        """Give how many calls are alike."""
        return len(self.calls(operation, **like))

    def rate(self, operation: str) -> Rate:
        """Give how fast an operation went that ended well."""
        calls = self.calls(operation, outcome=OK)
        ended = max((call.began + call.seconds for call in calls), default=0.0)
        return Rate(
            calls=len(calls),
            size_bytes=sum(call.size_bytes for call in calls),
            elapsed_seconds=ended - min((call.began for call in calls), default=0.0),
            busy_seconds=sum(call.seconds for call in calls),
        )
