"""Notices in memory: who was told, what is still to be told, and ways that can be blocked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import NoticeTarget
from imagebuilder.domain.run import Run, RunState
from imagebuilder.ports.notices import KeptNotice, NoticeUndelivered, Payload


class FakeTeller:
    """Remembers what it was told."""

    def __init__(self) -> None:
        """Begin untold."""
        self.told: list[tuple[RunId, RunState]] = []
        self.of_pipelines: list[tuple[PipelineName, Event, str]] = []

    def tell(self, run: Run) -> None:
        """Keep that the run came to stand as it stands now; nothing is sent yet."""
        self.told.append((run.id, run.state))

    def tell_of_pipeline(self, pipeline: PipelineName, event: Event, why: str) -> None:
        """Keep that something became of a pipeline itself; nothing is sent yet."""
        self.of_pipelines.append((pipeline, event, why))


class FakeNoticeStore:
    """Keeps notices in a dictionary by number."""

    def __init__(self) -> None:
        """Begin empty."""
        self.kept: dict[int, KeptNotice] = {}
        self._count = 0

    def add(self, notices: Sequence[KeptNotice]) -> None:
        """Keep new notices."""
        for notice in notices:
            self._count += 1
            self.kept[self._count] = replace(notice, number=self._count)

    def due(self, at: datetime, limit: int) -> Sequence[KeptNotice]:
        """Give the notices whose next attempt is at a moment or before, the longest due first."""
        waiting = [(n.next_at, n.number) for n in self.kept.values() if n.next_at is not None]
        due = sorted((next_at, number) for next_at, number in waiting if next_at <= at)
        return [self.kept[number] for _, number in due[:limit]]

    def save(self, notice: KeptNotice) -> None:
        """Keep how far a notice got."""
        if notice.number in self.kept:
            self.kept[notice.number] = notice

    def of_run(self, run_id: RunId) -> Sequence[KeptNotice]:
        """Give the notices of a run, in the order of their adding."""
        return [notice for _, notice in sorted(self.kept.items()) if notice.run_id == run_id]

    def waiting(self) -> int:
        """Give how many are still to be told."""
        return sum(notice.next_at is not None for notice in self.kept.values())

    def forget(self, before: datetime, limit: int) -> int:
        """Take away notices of before a moment that are not to be told any more."""
        oldest = [self.kept[number] for number in sorted(self.kept)[:limit]]
        old = [n.number for n in oldest if n.at < before and n.next_at is None]
        for number in old:
            del self.kept[number]
        return len(old)


class FakeNotifier:
    """Remembers what it sent; a target in `blocked` does not answer."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.sent: list[tuple[str, Payload]] = []
        self.asked: list[str] = []
        self.blocked: set[str] = set()

    def send(self, target: NoticeTarget, payload: Payload) -> None:
        """Tell a notice."""
        self.asked.append(target.to)
        if target.to in self.blocked:
            raise NoticeUndelivered(target, "It does not answer.")
        self.sent.append((target.to, payload))
