"""Revocations and lifecycles in SQL."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.lines import read_said, revocation_of
from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.standing import Lifecycle, Revocation, Standing

_v = tables.versions.c
_r = tables.revocations.c
_l = tables.lifecycles.c


class SqlStandingStore:
    """A StandingStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep what is said in an open catalogue."""
        self._database = database

    def standings(self, ids: Collection[VersionId], at: datetime) -> Mapping[VersionId, Standing]:
        """Give how versions stand at a moment; an id that is not recorded is left out."""
        with self._database.reading() as connection:
            said = read_said(connection, ids)
        return {version_id: said.standing(version_id, at) for version_id in said.ids}

    def revocations(self, version_id: VersionId) -> Sequence[Revocation]:
        """Give the revocations of a version itself, restored ones too, oldest first."""
        query = (
            select(tables.revocations)
            .join(tables.versions, _v.number == _r.version_number)
            .where(_v.id == version_id)
            .order_by(_r.revoked_at, _r.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings()
            return [revocation_of(row, version_id) for row in rows]

    def revoke(self, revocation: Revocation) -> None:
        """Keep a revocation. Raises: VersionNotFound."""
        with self._database.writing() as connection:
            number = _number(connection, revocation.version_id)
            values = {
                "id": revocation.id,
                "version_number": number,
                "in_force_at": revocation.in_force_at,
                "revoked_at": revocation.act.at,
                "revoked_by": revocation.act.actor,
                "message": revocation.act.why,
                "reaches_descendants": revocation.reaches_descendants,
                "rolls_channels_back": revocation.rolls_channels_back,
                **_restoring(revocation.restored),
            }
            connection.execute(insert(tables.revocations).values(values))

    def restore(self, revocation_id: str, act: Act) -> None:
        """Keep that a revocation no longer holds."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.revocations).where(_r.id == revocation_id).values(_restoring(act))
            )

    def set_lifecycle(self, version_id: VersionId, lifecycle: Lifecycle, at: datetime) -> None:
        """Keep how far retention has gone with a version, and since when. Raises: VersionNotFound.

        It only goes on: a version that went as far, or further, stays as it is.
        """
        order = list(Lifecycle)
        with suppress(IntegrityError), self._database.writing() as connection:
            number = _number(connection, version_id)
            reached = connection.scalars(select(_l.lifecycle).where(_l.version_number == number))
            furthest = max((order.index(Lifecycle(name)) for name in reached), default=0)
            if order.index(lifecycle) > furthest:
                values = {"version_number": number, "lifecycle": lifecycle.value, "since_at": at}
                # A constraint is broken only when somebody kept the same in between.
                connection.execute(insert(tables.lifecycles).values(values))


def _restoring(act: Act | None) -> dict[str, str | datetime | None]:
    return {
        "restored_at": act.at if act else None,
        "restored_by": act.actor if act else None,
        "restored_why": act.why if act else None,
    }


def _number(connection: Connection, version_id: VersionId) -> int:
    number: int | None = connection.scalar(select(_v.number).where(_v.id == version_id))
    if number is None:
        raise VersionNotFound(version_id, ())
    return number
