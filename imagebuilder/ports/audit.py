"""AuditLog: every change of the catalogue, kept for ever."""

from collections.abc import Sequence
from typing import Protocol

from imagebuilder.domain.audit import AuditEntry, AuditQuery


class AuditLog(Protocol):
    """Keeps entries. Durable: append-only; the database itself refuses to change or drop one."""

    def add(self, entry: AuditEntry) -> None:
        """Keep an entry; with the change it tells of, it belongs in one transaction."""
        ...

    def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Give the entries that are asked for, the newest first."""
        ...
