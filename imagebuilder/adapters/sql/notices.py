"""The outbox of notices in SQL."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, delete, func, insert, select, update

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.mapping import Values, storable
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.ports.notices import KeptNotice

_n = tables.notices.c


class SqlNoticeStore:
    """A NoticeStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep notices in an open catalogue."""
        self._database = database

    def add(self, notices: Sequence[KeptNotice]) -> None:
        """Keep new notices; with what they tell of, they belong in one transaction."""
        if not notices:
            return
        with self._database.writing() as connection:
            connection.execute(insert(tables.notices), [_values(notice) for notice in notices])

    def due(self, at: datetime, limit: int) -> Sequence[KeptNotice]:
        """Give the notices whose next attempt is at a moment or before, the longest due first."""
        query = select(tables.notices).where(_n.next_at <= at)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_n.next_at, _n.id).limit(limit))
            return [_notice(row) for row in rows.mappings()]

    def save(self, notice: KeptNotice) -> None:
        """Keep how far a notice got: its attempts, the next one, its arrival and its error."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.notices).where(_n.id == notice.number).values(_progress(notice))
            )

    def of_run(self, run_id: RunId) -> Sequence[KeptNotice]:
        """Give the notices of a run, in the order of their adding."""
        query = select(tables.notices).where(_n.run_id == run_id).order_by(_n.id)
        with self._database.reading() as connection:
            return [_notice(row) for row in connection.execute(query).mappings()]

    def waiting(self) -> int:
        """Give how many are still to be told."""
        query = select(func.count()).select_from(tables.notices).where(_n.next_at.is_not(None))
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def forget(self, before: datetime, limit: int) -> int:
        """Take away notices of before a moment that are not to be told any more; give how many."""
        oldest = select(_n.id, _n.at, _n.next_at).order_by(_n.id).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(oldest).all()
        old = [row.id for row in rows if row.at < before and row.next_at is None]
        if not old:
            return 0
        with self._database.writing() as connection:
            return connection.execute(delete(tables.notices).where(among(_n.id, old))).rowcount


def _values(notice: KeptNotice) -> Values:
    target = notice.target
    return {
        "at": notice.at,
        "pipeline": notice.pipeline,
        "run_id": notice.run_id or "",
        "event": notice.event.value,
        "target": canonical_json(
            {
                "kind": target.kind.value,
                "to": target.to,
                "events": list(target.events),
                "secret": target.secret,
            }
        ).decode(),
        "payload": canonical_json(notice.payload).decode(),
        **_progress(notice),
    }


def _progress(notice: KeptNotice) -> Values:
    return {
        "attempts": notice.attempts,
        "next_at": notice.next_at,
        "delivered_at": notice.delivered_at,
        "error": storable(notice.error),
    }


def _notice(row: RowMapping) -> KeptNotice:
    target = json.loads(row["target"])
    return KeptNotice(
        number=row["id"],
        at=row["at"],
        pipeline=PipelineName(row["pipeline"]),
        run_id=RunId(row["run_id"]) if row["run_id"] else None,
        event=Event(row["event"]),
        target=NoticeTarget(
            kind=NoticeKind(target["kind"]),
            to=target["to"],
            events=tuple(target["events"]),
            secret=target["secret"],
        ),
        payload=json.loads(row["payload"]),
        attempts=row["attempts"],
        next_at=row["next_at"],
        delivered_at=row["delivered_at"],
        error=row["error"],
    )
