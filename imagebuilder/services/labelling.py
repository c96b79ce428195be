"""Labelling: people put labels and free text on images and versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.image import VersionNotFound, parse_reference
from imagebuilder.domain.labels import Noted, Notes, checked_description, relabelled
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.labels import LabelStore
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where notes are kept, and who is told of changes."""

    versions: VersionStore
    labels: LabelStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedThing:
    """What is noted on a thing; `subject` is how people name it."""

    subject: str
    notes: Notes


class Labelling:
    """Changes notes. Durable: a change and its audit entry are kept together."""

    def __init__(self, shelf: Shelf, actor: str) -> None:
        """Change notes in the name of `actor`."""
        self._shelf = shelf
        self._actor = actor

    def label(
        self,
        reference: str,
        added: Mapping[str, str],
        removed: Iterable[str] = (),
        *,
        is_of_image: bool = False,
    ) -> NotedThing:
        """Put labels on a version, or on its image, and take others off.

        Raises: LabelUnknown; LabelMalformed: they are too many; VersionNotFound;
        ReferenceMalformed; ReferenceAmbiguous.
        """
        with self._shelf.transactions.together():
            subject, noted = self._noted(reference, is_of_image=is_of_image)
            old = self._shelf.labels.notes(noted)
            new = replace(old, labels=relabelled(old.labels, added, removed))
            if new != old:
                self._shelf.labels.keep(noted, new)
                self._shelf.audit.add(
                    AuditEntry(
                        act=self._act(),
                        action=AuditAction.LABELS_CHANGED,
                        subject=subject,
                        before=dict(old.labels),
                        after=dict(new.labels),
                    )
                )
        return NotedThing(subject=subject, notes=new)

    def describe(self, reference: str, text: str, *, is_of_image: bool = False) -> NotedThing:
        """Put free text on a version, or on its image; empty text takes it off.

        Raises: DescriptionRefused; VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        told = checked_description(text)
        with self._shelf.transactions.together():
            subject, noted = self._noted(reference, is_of_image=is_of_image)
            old = self._shelf.labels.notes(noted)
            new = replace(old, description=told)
            if new != old:
                self._shelf.labels.keep(noted, new)
                self._shelf.audit.add(
                    AuditEntry(
                        act=self._act(),
                        action=AuditAction.DESCRIPTION_CHANGED,
                        subject=subject,
                        before=old.description or None,
                        after=new.description or None,
                    )
                )
        return NotedThing(subject=subject, notes=new)

    def _noted(self, reference: str, *, is_of_image: bool) -> tuple[str, Noted]:
        asked = parse_reference(reference)
        if is_of_image:
            image = ImageName(asked.name)
            if self._shelf.versions.newest(image) is None:
                raise VersionNotFound.of_image(asked.name, self._shelf.versions.names())
            return image, Noted(image=image)
        version = self._shelf.versions.find(asked, self._shelf.clock.now())
        return version.reference, Noted(image=version.image, version_id=version.id)

    def _act(self) -> Act:
        return Act(actor=self._actor, at=self._shelf.clock.now())
