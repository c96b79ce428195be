"""Placing: it is told where versions were put, that they are in use there, and that they are gone.

Nothing is put anywhere here: that is distributing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagebuilder.domain.audit import Act, AuditAction
from imagebuilder.domain.distribution import (
    LaunchMisdated,
    Placement,
    PlacementNotFound,
    PlacementWithdrawn,
    audit_entry,
    check_place,
)
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedVersion:
    """A placement, and how people name the version that was put there."""

    placement: Placement
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where placements are kept, and who is told of changes."""

    versions: VersionStore
    placements: PlacementStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock


class Placing:
    """Keeps the books of placements. Durable: each change is kept whole, with its audit entry."""

    def __init__(self, books: Books, actor: str) -> None:
        """Keep `books` in the name of `actor`."""
        self._books = books
        self._actor = actor

    def add(
        self,
        reference: str,
        target: str,
        external_id: str,
        *,
        launched_at: datetime | None = None,
        why: str = "",
    ) -> PlacedVersion:
        """Keep that a version was put at a target, where it has an id.

        Raises: PlaceMalformed; LaunchMisdated; PlacementExists; VersionNotFound;
        ReferenceMalformed; ReferenceAmbiguous.
        """
        check_place(target, external_id)
        with self._books.transactions.together():
            version = self._version(reference)
            placement = Placement(
                version_id=version.id,
                target=target,
                external_id=external_id,
                placed=self._act(why),
                launched_at=launched_at,
            )
            if launched_at is not None:
                self._check_launch(placement, launched_at)
            self._books.placements.add(placement)
            self._books.audit.add(
                audit_entry(AuditAction.PLACEMENT_ADDED, placement.placed, None, placement)
            )
        return PlacedVersion(placement=placement, reference=version.reference)

    def launched(
        self, target: str, external_id: str, *, at: datetime | None = None
    ) -> PlacedVersion:
        """Keep that a placement was seen in use, now or at a moment; the latest one counts.

        Raises: PlacementNotFound; PlacementWithdrawn; LaunchMisdated.
        """
        with self._books.transactions.together():
            old = self._standing(target, external_id)
            moment = at or self._books.clock.now()
            self._check_launch(old, moment)
            new = replace(old, launched_at=max(moment, old.launched_at or moment))
            if new != old:
                self._books.placements.change(new)
                entry = audit_entry(AuditAction.PLACEMENT_CHANGED, self._act(), old, new)
                self._books.audit.add(entry)
        return self._named(new)

    def withdraw(self, target: str, external_id: str, *, why: str = "") -> PlacedVersion:
        """Keep that a placement is gone from its target. Raises: as `launched`."""
        with self._books.transactions.together():
            old = self._standing(target, external_id)
            act = self._act(why)
            new = replace(old, withdrawn=act)
            self._books.placements.change(new)
            self._books.audit.add(audit_entry(AuditAction.PLACEMENT_WITHDRAWN, act, old, new))
        return self._named(new)

    def list(self, reference: str | None = None) -> Sequence[PlacedVersion]:
        """Give the placements of a version, or all, in the order of their adding.

        Raises: VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        if reference is None:
            return [self._named(each) for each in self._books.placements.all()]
        version = self._version(reference)
        return [
            PlacedVersion(placement=each, reference=version.reference)
            for each in self._books.placements.of([version.id])
        ]

    def _version(self, reference: str) -> ImageVersion:
        now = self._books.clock.now()
        return self._books.versions.find(parse_reference(reference), now)

    def _standing(self, target: str, external_id: str) -> Placement:
        placements = self._books.placements
        found = placements.find(target, external_id)
        if found is None:
            elsewhere = tuple(each.target for each in placements.named(external_id))
            raise PlacementNotFound(target, external_id, elsewhere)
        if found.withdrawn is not None:
            raise PlacementWithdrawn(found, found.withdrawn)
        return found

    def _check_launch(self, placement: Placement, at: datetime) -> None:
        if at > self._books.clock.now():
            raise LaunchMisdated(placement, at, "That moment is still to come.")

    def _named(self, placement: Placement) -> PlacedVersion:
        version = self._books.versions.get(placement.version_id)
        return PlacedVersion(placement=placement, reference=version.reference)

    def _act(self, why: str = "") -> Act:
        return Act(actor=self._actor, at=self._books.clock.now(), why=why)
