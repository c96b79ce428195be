"""Placements in SQL."""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.mapping import Values, storable
from imagebuilder.adapters.sql.naming import read_references
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.distribution import Placement, PlacementExists, PlacementNotFound
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound

_p = tables.placements.c
_v = tables.versions.c


class SqlPlacementStore:
    """A PlacementStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep placements in an open catalogue."""
        self._database = database

    def add(self, placement: Placement) -> None:
        """Keep a placement.

        Raises: PlacementExists: that id is known at that target; VersionNotFound.
        """
        try:
            with self._database.writing() as connection:
                number = connection.scalar(select(_v.number).where(_v.id == placement.version_id))
                if number is None:
                    raise VersionNotFound(placement.version_id, ())
                row = {"version_number": number, **_values(placement)}
                connection.execute(insert(tables.placements).values(row))
        except IntegrityError as error:
            there = self.find(placement.target, placement.external_id)
            if there is None:
                raise
            with self._database.reading() as connection:
                reference = read_references(connection, [there.version_id])[there.version_id]
            raise PlacementExists(there, reference) from error

    def change(self, placement: Placement) -> None:
        """Keep what became of a placement: launched, withdrawn, deleted, or put there again.

        Raises: PlacementNotFound: nothing was added under its target and id.
        """
        values = _values(placement)
        with self._database.writing() as connection:
            changed = connection.execute(
                update(tables.placements)
                .where(_is_at(placement.target, placement.external_id))
                .values(values)
            )
            if changed.rowcount:
                return
        elsewhere = tuple(each.target for each in self.named(placement.external_id))
        raise PlacementNotFound(placement.target, placement.external_id, elsewhere)

    def find(self, target: str, external_id: str) -> Placement | None:
        """Give what was placed under an id at a target, or None."""
        found = self._found(_is_at(target, external_id))
        return found[0] if found else None

    def named(self, external_id: str) -> Sequence[Placement]:
        """Give what was placed under an id, whatever the target."""
        return self._found(_p.external_id == external_id)

    def of(self, ids: Collection[VersionId]) -> Sequence[Placement]:
        """Give the placements of versions, withdrawn ones too."""
        with self._database.reading() as connection:
            rows = _rows(connection, among(_v.id, ids))
        return [_placement(row) for row in sorted(rows, key=lambda row: int(row["id"]))]

    def all(self) -> Sequence[Placement]:
        """Give every placement, withdrawn ones too."""
        return self._found(true())

    def _found(self, condition: ColumnElement[bool]) -> list[Placement]:
        with self._database.reading() as connection:
            return [_placement(row) for row in _rows(connection, condition)]


def _is_at(target: str, external_id: str) -> ColumnElement[bool]:
    return (_p.target == target) & (_p.external_id == external_id)


def _rows(connection: Connection, condition: ColumnElement[bool]) -> Sequence[RowMapping]:
    query = (
        select(tables.placements, _v.id.label("version_id"))
        .join(tables.versions, _v.number == _p.version_number)
        .where(condition)
        .order_by(_p.id)
    )
    return connection.execute(query).mappings().all()


def _values(placement: Placement) -> Values:
    withdrawn = placement.withdrawn
    return {
        "target": placement.target,
        "external_id": placement.external_id,
        "placed_at": placement.placed.at,
        "placed_by": placement.placed.actor,
        "placed_why": placement.placed.why,
        "launched_at": placement.launched_at,
        "withdrawn_at": withdrawn.at if withdrawn else None,
        "withdrawn_by": withdrawn.actor if withdrawn else None,
        "withdrawn_why": withdrawn.why if withdrawn else None,
        "traits": storable(canonical_json(placement.traits).decode()),
        "is_deleted": placement.is_deleted,
        "is_half_done": placement.is_half_done,
        "distribution_id": placement.distribution_id,
    }


def _placement(row: RowMapping) -> Placement:
    withdrawn = None
    if row["withdrawn_at"] is not None:
        withdrawn = Act(actor=row["withdrawn_by"], at=row["withdrawn_at"], why=row["withdrawn_why"])
    return Placement(
        version_id=VersionId(row["version_id"]),
        target=row["target"],
        external_id=row["external_id"],
        placed=Act(actor=row["placed_by"], at=row["placed_at"], why=row["placed_why"]),
        launched_at=row["launched_at"],
        withdrawn=withdrawn,
        traits=json.loads(row["traits"]),
        is_deleted=row["is_deleted"],
        is_half_done=row["is_half_done"],
        distribution_id=row["distribution_id"],
    )
