"""CatalogueCare: the catalogue as a whole; how it is, kept elsewhere, put back, moved, looked over.

Every adapter must keep: a backup is one state of the catalogue, though others write meanwhile, and
can be read back into any kind of database; what puts rows in place does so whole or not at all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.audit import AuditEntry
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput, Refused, Unavailable, WrongState

OnRows = Callable[[str, int], None]
"""Is told of which table how many more rows came along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueState:
    """How a catalogue is. Shape: `rows` maps each table to the count of its rows."""

    where: str
    kind: str
    revision: str
    rows: Mapping[str, int]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupState:
    """What a backup holds. `digest` is that of all its lines but the last, which states it."""

    path: str
    made_at: datetime
    kind: str
    revision: str
    rows: Mapping[str, int]
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFault:
    """Something in the catalogue that is not as it must be: where, what, and what to do."""

    where: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredThing:
    """A blob that a version which still has its artifacts speaks of."""

    version: str
    what: str
    digest: Digest
    size_bytes: int | None


class CatalogueCare(Protocol):
    """Looks after one catalogue."""

    def state(self) -> CatalogueState:
        """Give how it is."""
        ...

    def back_up(
        self, path: PurePath, made_at: datetime, on_rows: OnRows, *, replaces: bool
    ) -> BackupState:
        """Write a backup that only its owner may read; it appears whole or not at all.

        Durable: it survives a crash once this returned. Raises: BackupThere; BackupUnwritable.
        """
        ...

    def inspect(self, path: PurePath) -> BackupState:
        """Read all of a backup. Raises: BackupUnreadable; BackupTooNew."""
        ...

    def restore(self, path: PurePath, entry: AuditEntry, on_rows: OnRows) -> None:
        """Put what a backup holds in place of all that is there, with an entry of the audit.

        One transaction: others wait for it, or it for them. Raises: BackupUnreadable; BackupTooNew.
        """
        ...

    def copy_to(self, url: str, entry: AuditEntry, on_rows: OnRows) -> CatalogueState:
        """Write all rows into an empty catalogue elsewhere, compared before they are kept.

        Raises: CatalogueNotEmpty.
        """
        ...

    def faults(self, on_rows: OnRows) -> Iterator[CatalogueFault]:
        """Read everything and give what is wrong."""
        ...

    def stored_things(self) -> Iterator[StoredThing]:
        """Give the artifacts and evidence of versions that still have them."""
        ...


class BackupThere(Refused):
    """A file is where the backup should be."""

    code = "backup-there"

    def __init__(self, path: PurePath) -> None:
        """Name it."""
        super().__init__(
            f"{path} is there already.",
            hint="Name another file, or add --force to replace it.",
        )


class BackupUnwritable(Unavailable):
    """The backup cannot be written where it should be."""

    code = "backup-unwritable"

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name the file and what the system said."""
        super().__init__(
            f"The backup {path} cannot be written.",
            context=reason,
            hint=f"Check that {path.parent} is there, its permissions and its free space.",
        )


class BackupUnreadable(InvalidInput):
    """A file is no whole backup."""

    code = "backup-unreadable"

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(
            f"{path} is not a whole backup of a catalogue.",
            context=reason,
            hint="Take another one; nothing was changed.",
        )


class BackupTooNew(WrongState):
    """A backup was made by a newer imagebuilder."""

    code = "backup-too-new"

    def __init__(self, path: PurePath, found: str, known: str) -> None:
        """Name both schema revisions."""
        super().__init__(
            f"{path} has schema revision {found}, which this imagebuilder does not know.",
            context=f"The newest it knows is {known}.",
            hint="Upgrade imagebuilder, then try again; nothing was changed.",
        )


class CatalogueNotEmpty(Refused):
    """A catalogue that should be written to holds something."""

    code = "catalogue-not-empty"

    def __init__(self, where: str, rows: Mapping[str, int], hint: str) -> None:
        """Name it and say how much it holds."""
        held = f"Versions in it: {rows.get('versions', 0):,}; rows in all: {sum(rows.values()):,}."
        super().__init__(f"The catalogue {where} is not empty.", context=held, hint=hint)
