"""The audit in SQL."""

import json
from collections.abc import Sequence

from sqlalchemy import RowMapping, insert, select

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.mapping import Values
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry, AuditQuery
from imagebuilder.domain.digest import canonical_json

_a = tables.audit.c


class SqlAuditLog:
    """An AuditLog in a database."""

    def __init__(self, database: Database) -> None:
        """Keep the audit of an open catalogue."""
        self._database = database

    def add(self, entry: AuditEntry) -> None:
        """Keep an entry; with the change it tells of, it belongs in one transaction."""
        with self._database.writing() as connection:
            connection.execute(insert(tables.audit).values(audit_values(entry)))

    def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Give the entries that are asked for, the newest first."""
        wanted = select(tables.audit).order_by(_a.number.desc())
        if query.subject:
            wanted = wanted.where(_a.subject == query.subject)
        if query.action is not None:
            wanted = wanted.where(_a.action == query.action.value)
        if query.actor:
            wanted = wanted.where(_a.actor == query.actor)
        if query.since is not None:
            wanted = wanted.where(_a.at >= query.since)
        if query.until is not None:
            wanted = wanted.where(_a.at < query.until)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.offset(query.offset).limit(query.limit)).mappings()
            return [_entry(row) for row in rows]


def audit_values(entry: AuditEntry) -> Values:
    """Give the row of an entry."""
    return {
        "at": entry.act.at,
        "actor": entry.act.actor,
        "action": entry.action.value,
        "subject": entry.subject,
        "why": entry.act.why,
        "before": canonical_json(entry.before).decode(),
        "after": canonical_json(entry.after).decode(),
    }


def _entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(
        act=Act(actor=row["actor"], at=row["at"], why=row["why"]),
        action=AuditAction(row["action"]),
        subject=row["subject"],
        before=json.loads(row["before"]),
        after=json.loads(row["after"]),
    )
