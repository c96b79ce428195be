"""Notifying: what happened is kept for everybody who wants to know, and told until it arrived."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.notice import Event, Notice, event_of, wants, why_of
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.domain.run import Run
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.notices import KeptNotice, NoticeStore, NoticeUndelivered, Notifier

_FIRST_PAUSE_SECONDS = 60
_LONGEST_PAUSE_SECONDS = 3600
_GIVEN_UP_AFTER = timedelta(hours=24)
_KEPT_FOR = timedelta(days=30)
_AT_ONCE = 50
_FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailroom:
    """Where notices are kept, for whom they are, and who brings them.

    Shape: `targets` gives whom a pipeline tells, none when there is no such pipeline.
    """

    notices: NoticeStore
    targets: Callable[[PipelineName], Sequence[NoticeTarget]]
    notifiers: Mapping[NoticeKind, Notifier]
    versions: VersionStore
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of a round: the notices that arrived, and those that did not, with their errors.

    Of those that did not, the ones without a next attempt were given up.
    """

    arrived: tuple[KeptNotice, ...] = ()
    failed: tuple[KeptNotice, ...] = ()


class Notifying:
    """Keeps notices, and delivers them. Durable: one that was kept is told, or given up on."""

    def __init__(self, room: Mailroom) -> None:
        """Keep and deliver in `room`."""
        self._room = room

    def tell(self, run: Run) -> None:
        """Keep that a run came to stand as it stands now, in the caller's transaction.

        A run of no pipeline is told to nobody.
        """
        if run.order is None:
            return
        named = self._room.versions.references({run.version_id}) if run.version_id else {}
        self._keep(
            Notice(
                id=self._room.ids.new("notice"),
                event=event_of(run.state),
                at=self._room.clock.now(),
                pipeline=run.order.pipeline,
                why=why_of(run),
                run=run,
                version=named.get(run.version_id, "") if run.version_id else "",
            ),
            self._room.targets(run.order.pipeline),
        )

    def tell_of_pipeline(
        self,
        pipeline: PipelineName,
        event: Event,
        why: str,
        targets: Sequence[NoticeTarget] | None = None,
    ) -> None:
        """Keep that something became of a pipeline itself, in the caller's transaction.

        It goes to its own targets unless others are given.
        """
        notice = Notice(
            id=self._room.ids.new("notice"),
            event=event,
            at=self._room.clock.now(),
            pipeline=pipeline,
            why=why,
        )
        self._keep(notice, self._room.targets(pipeline) if targets is None else targets)

    def deliver(self) -> Delivery:
        """Tell what is due, and give what came of it; one process does so at a time.

        Durable: an attempt is kept before it is made, so that a process killed within it is not
        killed by the same notice at once again; a notice may arrive twice, under the same id.
        """
        arrived: list[KeptNotice] = []
        failed: list[KeptNotice] = []
        now = self._room.clock.now()
        self._room.notices.forget(now - _KEPT_FOR, _FORGOTTEN_AT_ONCE)
        unwell: dict[NoticeTarget, NoticeUndelivered] = {}
        for due in self._room.notices.due(now, _AT_ONCE):
            trying = replace(due, attempts=due.attempts + 1, next_at=now + _pause(due.attempts))
            self._room.notices.save(trying)
            where = replace(due.target, events=())
            try:
                if where in unwell:
                    # Whoever hangs would make all others wait for each notice of theirs.
                    raise unwell[where]
                self._room.notifiers[due.target.kind].send(due.target, due.payload)
            except NoticeUndelivered as error:
                unwell[where] = error
                failed.append(self._missed(trying, error.reason))
                continue
            at = self._room.clock.now()
            there = replace(trying, next_at=None, delivered_at=at, error="")
            self._room.notices.save(there)
            arrived.append(there)
        return Delivery(arrived=tuple(arrived), failed=tuple(failed))

    def _keep(self, notice: Notice, targets: Sequence[NoticeTarget]) -> None:
        payload = notice.document()
        self._room.notices.add(
            [
                KeptNotice(
                    at=notice.at,
                    pipeline=notice.pipeline,
                    event=notice.event,
                    target=target,
                    payload=payload,
                    run_id=notice.run.id if notice.run else None,
                    next_at=notice.at,
                )
                for target in dict.fromkeys(targets)
                if wants(target, notice.event)
            ]
        )

    def _missed(self, trying: KeptNotice, reason: str) -> KeptNotice:
        is_over = trying.next_at is None or _is_given_up(trying.at, trying.next_at)
        missed = replace(trying, next_at=None if is_over else trying.next_at, error=reason)
        self._room.notices.save(missed)
        return missed


def _is_given_up(at: datetime, next_at: datetime) -> bool:
    """Whether an attempt would come too late to be worth it."""
    return next_at > at + _GIVEN_UP_AFTER


def _pause(attempts: int) -> timedelta:
    """Give how long to wait after an attempt that came behind so many."""
    doubled = _FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10)
    return timedelta(seconds=min(_LONGEST_PAUSE_SECONDS, doubled))
