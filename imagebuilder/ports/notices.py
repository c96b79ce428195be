"""Notices: who is told of what happened, what is still to be told, and the ways it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.notice import Event, shown
from imagebuilder.domain.pipeline import NoticeTarget
from imagebuilder.domain.run import Run

Payload = Mapping[str, Canonical]
"""A notice's document, as it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNotice:
    """A notice for one target, and how far it got; `number` is 0 until it is kept.

    Invariant: `next_at` is there exactly while it is still to be told.
    """

    at: datetime
    pipeline: PipelineName
    event: Event
    target: NoticeTarget
    payload: Payload
    run_id: RunId | None = None
    number: int = 0
    attempts: int = 0
    next_at: datetime | None = None
    delivered_at: datetime | None = None
    error: str = ""


class Teller(Protocol):
    """Keeps what is to be told. Durable: it is a part of the caller's transaction."""

    def tell(self, run: Run) -> None:
        """Keep that the run came to stand as it stands now; nothing is sent yet."""
        ...

    def tell_of_pipeline(self, pipeline: PipelineName, event: Event, why: str) -> None:
        """Keep that something became of a pipeline itself; nothing is sent yet."""
        ...


class NoticeStore(Protocol):
    """Keeps notices until they arrived, or were given up. Durable."""

    def add(self, notices: Sequence[KeptNotice]) -> None:
        """Keep new notices; with what they tell of, they belong in one transaction."""
        ...

    def due(self, at: datetime, limit: int) -> Sequence[KeptNotice]:
        """Give the notices whose next attempt is at a moment or before it, the longest due first.

        Those that are due since the same moment come in the order of their adding.
        """
        ...

    def save(self, notice: KeptNotice) -> None:
        """Keep how far a notice got: its attempts, the next one, its arrival and its error."""
        ...

    def of_run(self, run_id: RunId) -> Sequence[KeptNotice]:
        """Give the notices of a run, in the order of their adding."""
        ...

    def waiting(self) -> int:
        """Give how many are still to be told."""
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Take away notices of before a moment that are not to be told any more; give how many.

        It looks at so many of the oldest only.
        """
        ...


class Notifier(Protocol):
    """Tells somebody, in one way."""

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Tell a notice; when it returns, the other side has it.

        It takes at most about a minute, whatever the other side does.

        Raises: NoticeUndelivered.
        """
        ...


class NoticeUndelivered(Unavailable):
    """Somebody could not be told."""

    code = "notice-undelivered"

    def __init__(self, target: NoticeTarget, reason: str, *, hint: str = "") -> None:
        """Say who, and why not. Reason names no secret."""
        super().__init__(
            f"The {target.kind} {shown(target)} could not be told.",
            context=reason,
            hint=hint or "Correct the target in the pipeline, or see to what it names.",
        )
        self.reason = reason
