"""Cataloguing: versions are recorded, and what is known of them is told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.cascade import Publication
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    VersionDraft,
    VersionNotFound,
    VersionSummary,
    parse_reference,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, Wildcard, next_build
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.publishing import Publish, unfollowed
from imagebuilder.ports.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Where versions are kept, and what is told of it.

    `published` is told of each new one, as a part of the transaction that records it.
    """

    versions: VersionStore
    audit: AuditLog
    transactions: Transactions
    published: Publish = unfollowed


class Cataloguing:
    """Records versions and answers questions about them.

    A reference is what people type: a name, name@1.x, name@1.2.3, name@1.2.3/4, name@stable, or an
    id's start.
    """

    def __init__(self, records: Records, clock: Clock, ids: IdSource, actor: str) -> None:
        """Record at the time of `clock`, under names of `ids`, as the work of `actor`."""
        self._records = records
        self._versions = records.versions
        self._clock = clock
        self._ids = ids
        self._actor = actor

    def record(self, draft: VersionDraft) -> ImageVersion:
        """Give a build that passed its number and record it.

        Durable: recorded whole, with its audit entry, or not at all; builds of a version are
        counted without gaps, whoever else records. A run records one version: asked for another
        one, however many ask at once, this gives the one there is.

        Raises: VersionNotFound: its parent is gone.
        """
        version_id = VersionId(self._ids.new("version"))
        with self._records.transactions.together():
            known = self._versions.of_run(draft.run_id)
            if known is not None:
                return known
            version = draft.recorded(
                version_id=version_id, version=self._next(draft), created_at=self._clock.now()
            )
            self._versions.add(version)
            self._records.audit.add(
                AuditEntry(
                    act=Act(actor=self._actor, at=version.created_at),
                    action=AuditAction.VERSION_RECORDED,
                    subject=version.reference,
                    after={"id": version.id, "run": version.run_id},
                )
            )
            publication = Publication(image=version.image, version=version.version)
            self._records.published(publication, version.created_at)
        return version

    def expected(self, draft: VersionDraft) -> BuildVersion:
        """Give the number that a build would get if it were recorded now."""
        return self._next(draft)

    def of_run(self, run_id: RunId) -> ImageVersion | None:
        """Give the version that a run recorded, or None."""
        return self._versions.of_run(run_id)

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        return self._versions.newest(image)

    def show(self, reference: str) -> ImageVersion:
        """Give the version that a reference means.

        Raises: ReferenceMalformed; VersionNotFound; ReferenceAmbiguous; ChannelNotFound;
        ChannelEmpty.
        """
        return self._versions.find(parse_reference(reference), self._clock.now())

    def packages(self, reference: str) -> tuple[InstalledPackage, ...]:
        """Give the packages of a version, sorted. Raises: as `show`."""
        return self.show(reference).packages

    def list(self, image: str | None = None) -> Sequence[VersionSummary]:
        """Give all versions, by name, then last recorded first.

        Raises: VersionNotFound: an image is named that has none.
        """
        found = self._versions.summaries(None if image is None else ImageName(image))
        if image is not None and not found:
            raise VersionNotFound.of_image(image, self._versions.names())
        return found

    def images(self) -> Sequence[ImageName]:
        """Give the names of all images, sorted."""
        return self._versions.names()

    def references(self, ids: Collection[VersionId]) -> Mapping[VersionId, str]:
        """Give how people name versions; an id that is not recorded is left out."""
        return self._versions.references(ids)

    def _next(self, draft: VersionDraft) -> BuildVersion:
        """Give the number after the last build in the line that is asked for."""
        last = self._versions.last_build(draft.image, _line(draft.asked))
        if last is None:
            return next_build(draft.asked, [], same_definition_as=None)
        is_same = last.definition_digest == draft.definition_digest
        same = last.version if is_same else None
        return next_build(draft.asked, [last.version], same_definition_as=same)


def _line(asked: RecipeVersion) -> Wildcard:
    fixed = (asked.major, asked.minor)
    return Wildcard(fixed if asked.patch is None else (*fixed, asked.patch))
