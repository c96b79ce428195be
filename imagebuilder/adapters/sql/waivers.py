"""Waivers in SQL."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from sqlalchemy import RowMapping, insert, select, update

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.audit import Act
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.waiver import (
    Accepted,
    Justification,
    Waiver,
    WaiverAmbiguous,
    WaiverNotFound,
)

_w = tables.waivers.c
_SHOWN = 6


class SqlWaiverStore:
    """A WaiverStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep waivers in an open catalogue."""
        self._database = database

    def add(self, waiver: Waiver) -> None:
        """Keep a waiver of an id that no other has."""
        with self._database.writing() as connection:
            connection.execute(insert(tables.waivers).values(_values(waiver)))

    def revoke(self, waiver_id: str, act: Act) -> bool:
        """Keep that a waiver counts no longer; whether it was not revoked before."""
        is_open = (_w.id == waiver_id) & _w.revoked_at.is_(None)
        with self._database.writing() as connection:
            changed = connection.execute(
                update(tables.waivers).where(is_open).values(_revoking(act))
            )
            return bool(changed.rowcount)

    def find(self, begun: str) -> Waiver:
        """Give the waiver of an id, or the one whose id starts so.

        Raises: WaiverNotFound; WaiverAmbiguous.
        """
        starts = _w.id.startswith(begun, autoescape=True) if begun else _w.id == begun
        query = select(tables.waivers).where(starts).order_by(_w.id).limit(_SHOWN)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        # SQLite's LIKE knows no capitals.
        found = [_waiver(row) for row in rows if str(row["id"]).startswith(begun)]
        exact = [each for each in found if each.id == begun]
        if not found:
            raise WaiverNotFound(begun)
        if len(found) > 1 and not exact:
            raise WaiverAmbiguous(begun, tuple(each.id for each in found))
        return (exact or found)[0]

    def all(self, image: ImageName | None = None) -> Sequence[Waiver]:
        """Give the waivers that speak of an image, or all, by when they expire and their ids."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.waivers)).mappings()
            found = [_waiver(row) for row in rows]
        # There are few, and each database has patterns, and an order of text, of its own.
        found = [each for each in found if image is None or fnmatchcase(image, each.image)]
        return sorted(found, key=lambda each: (each.expires_at, each.id))


def _values(waiver: Waiver) -> mapping.Values:
    return {
        "id": waiver.id,
        "kind": waiver.accepted.kind.value,
        "finding": waiver.accepted.id,
        "within": waiver.accepted.within,
        "image": waiver.image,
        "versions": waiver.versions,
        "reason": waiver.reason,
        "justification": waiver.justification.value if waiver.justification else None,
        "ticket": waiver.ticket,
        "owner": waiver.owner,
        "approver": waiver.approver,
        "created_at": waiver.created_at,
        "expires_at": waiver.expires_at,
        **_revoking(waiver.revoked),
    }


def _revoking(act: Act | None) -> mapping.Values:
    return {
        "revoked_at": act.at if act else None,
        "revoked_by": act.actor if act else None,
        "revoked_why": act.why if act else None,
    }


def _waiver(row: RowMapping) -> Waiver:
    justification = row["justification"]
    revoked = None
    if row["revoked_at"] is not None:
        revoked = Act(actor=row["revoked_by"], at=row["revoked_at"], why=row["revoked_why"])
    return Waiver(
        id=row["id"],
        accepted=Accepted(kind=FindingKind(row["kind"]), id=row["finding"], within=row["within"]),
        image=row["image"],
        versions=row["versions"],
        reason=row["reason"],
        justification=None if justification is None else Justification(justification),
        ticket=row["ticket"],
        owner=row["owner"],
        approver=row["approver"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked=revoked,
    )
