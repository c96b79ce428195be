"""An AuditLog in memory."""

from collections.abc import Sequence

from imagebuilder.domain.audit import AuditEntry, AuditQuery


class FakeAuditLog:
    """Keeps entries in a list, in the order of their adding."""

    def __init__(self) -> None:
        """Begin empty."""
        self.kept: list[AuditEntry] = []

    def add(self, entry: AuditEntry) -> None:
        """Keep an entry."""
        self.kept.append(entry)

    def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Give the entries that are asked for, the newest first."""
        found = [entry for entry in reversed(self.kept) if _is_asked_for(entry, query)]
        return found[query.offset :][: query.limit]


def _is_asked_for(entry: AuditEntry, query: AuditQuery) -> bool:
    return (
        query.subject in ("", entry.subject)
        and query.actor in ("", entry.act.actor)
        and query.action in (None, entry.action)
        and (query.since is None or query.since <= entry.act.at)
        and (query.until is None or entry.act.at < query.until)
    )
