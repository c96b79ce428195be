"""What was said of versions and of all that they descend from, read at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TypeAlias

from sqlalchemy import Connection, RowMapping, Select, or_, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among, among_named
from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.standing import (
    Ban,
    Lifecycle,
    Revocation,
    Standing,
    bans_of,
    lifecycle_at,
    standing_of,
)

Number: TypeAlias = int
"""What rows of a version hang on."""

_v = tables.versions.c
_r = tables.revocations.c
_l = tables.lifecycles.c


@dataclass(slots=True)
class Said:
    """All that was said of some versions and of what they descend from.

    Shape: `above` maps the number of each version of their lines to its parents' numbers.
    """

    ids: dict[VersionId, Number] = field(default_factory=dict)
    above: dict[Number, tuple[Number, ...]] = field(default_factory=dict)
    names: dict[Number, VersionId] = field(default_factory=dict)
    revocations: dict[VersionId, list[Revocation]] = field(default_factory=dict)
    since: dict[VersionId, dict[Lifecycle, datetime]] = field(default_factory=dict)

    def standing(self, version_id: VersionId, at: datetime) -> Standing:
        """Give how a version stands at a moment."""
        lifecycle = lifecycle_at(self.since.get(version_id, {}), at)
        return standing_of(self._line(version_id), self.revocations, lifecycle, at)

    def bans(self, version_id: VersionId) -> Sequence[Ban]:
        """Give when a version is not usable."""
        since = self.since.get(version_id, {})
        return bans_of(self._line(version_id), self.revocations, since)

    def _line(self, version_id: VersionId) -> Sequence[VersionId]:
        if not self.revocations:
            # Who the ancestors are makes no difference then.
            return (version_id,)
        reached = dict.fromkeys([self.ids[version_id]])
        waiting = list(reached)
        while waiting:
            fresh = [n for n in self.above[waiting.pop()] if n not in reached]
            reached.update(dict.fromkeys(fresh))
            waiting.extend(fresh)
        return [self.names[number] for number in reached]


def read_said(connection: Connection, ids: Collection[VersionId]) -> Said:
    """Give all that was said of versions; ids that are not recorded are left out."""
    said = Said()
    _read_lines(connection, ids, said)
    revoked = select(tables.revocations).where(among(_r.version_number, said.names))
    for row in connection.execute(revoked.order_by(_r.revoked_at, _r.id)).mappings():
        version_id = said.names[row["version_number"]]
        said.revocations.setdefault(version_id, []).append(revocation_of(row, version_id))
    reached = select(tables.lifecycles).where(among(_l.version_number, said.ids.values()))
    for row in connection.execute(reached).mappings():
        since = said.since.setdefault(said.names[row["version_number"]], {})
        since[Lifecycle(row["lifecycle"])] = row["since_at"]
    return said


def revocation_of(row: RowMapping, version_id: VersionId) -> Revocation:
    """Give the revocation of a row."""
    restored_at = row["restored_at"]
    return Revocation(
        id=row["id"],
        version_id=version_id,
        in_force_at=row["in_force_at"],
        act=Act(actor=row["revoked_by"], at=row["revoked_at"], why=row["message"]),
        reaches_descendants=row["reaches_descendants"],
        rolls_channels_back=row["rolls_channels_back"],
        restored=None
        if restored_at is None
        else Act(actor=row["restored_by"], at=restored_at, why=row["restored_why"]),
    )


def _read_lines(connection: Connection, ids: Collection[VersionId], said: Said) -> None:
    parents: dict[int, set[VersionId | None]] = {}
    for number, version_id, *above in connection.execute(_lines(), {"ids": list(ids)}):
        said.names[number] = VersionId(version_id)
        parents[number] = {mapping.version_id(each) for each in above}
    numbers = {version_id: number for number, version_id in said.names.items()}
    said.above.update(
        (number, tuple(numbers[each] for each in above if each is not None))
        for number, above in parents.items()
    )
    said.ids.update((each, numbers[each]) for each in ids if each in numbers)


@cache
def _lines() -> Select[int, str, str | None, str | None]:
    """Give the question for versions and all they descend from, each once.

    To put it together takes longer than to ask it.
    """
    begun = select(_v.number, _v.id, _v.parent_id, _v.copied_from)
    line = begun.where(among_named(_v.id, "ids")).cte("line", recursive=True)
    above = tables.versions.alias().c
    is_above = or_(above.id == line.c.parent_id, above.id == line.c.copied_from)
    further = select(above.number, above.id, above.parent_id, above.copied_from)
    whole = line.union(further.join(line, is_above)).c
    return select(whole.number, whole.id, whole.parent_id, whole.copied_from)
