"""Cataloguing: versions are recorded, and what is known of them is told."""

from collections.abc import Sequence

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    Reference,
    VersionDraft,
    VersionNotFound,
    VersionSummary,
    parse_reference,
)
from imagebuilder.domain.lineage import Lineage, lineage_of
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, next_build
from imagebuilder.ports.catalogue import VersionExists, VersionStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.transactions import Transactions

_RACES = 20
"""How often another process may take the build number that was about to be recorded."""


class Cataloguing:
    """Records versions and answers questions about them.

    A reference is what people type: name, name@1.x, name@1.2.3, name@1.2.3/4, or an id's start.
    """

    def __init__(
        self, versions: VersionStore, transactions: Transactions, clock: Clock, ids: IdSource
    ) -> None:
        """Record in `versions`, at the time of `clock`, under names of `ids`."""
        self._versions = versions
        self._transactions = transactions
        self._clock = clock
        self._ids = ids

    def record(self, draft: VersionDraft) -> ImageVersion:
        """Give a build that passed its number and record it.

        Durable: recorded whole or not at all. Called twice, it records two builds.

        Raises: VersionExists: others were quicker too often; VersionNotFound: its parent is gone.
        """
        version_id = VersionId(self._ids.new("version"))
        for _ in range(_RACES - 1):
            try:
                return self._recorded(draft, version_id)
            except VersionExists:
                continue
        return self._recorded(draft, version_id)

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        return self._versions.newest(image)

    def show(self, reference: str) -> ImageVersion:
        """Give the version that a reference means.

        Raises: ReferenceMalformed; VersionNotFound; ReferenceAmbiguous.
        """
        return self._versions.find(parse_reference(reference))

    def packages(self, reference: str) -> tuple[InstalledPackage, ...]:
        """Give the packages of a version, sorted. Raises: as `show`."""
        return self.show(reference).packages

    def lineage(self, reference: str) -> Lineage:
        """Give what a version stands on and what was built on it. Raises: as `show`."""
        focus = self.show(reference).id
        nodes, edges = self._versions.lineage()
        return lineage_of(focus, nodes, edges)

    def list(self, image: str | None = None) -> Sequence[VersionSummary]:
        """Give all versions, by name, then last recorded first.

        Raises: VersionNotFound: an image is named that has none.
        """
        found = self._versions.summaries(None if image is None else ImageName(image))
        if image is not None and not found:
            names = dict.fromkeys(summary.image for summary in self._versions.summaries())
            raise VersionNotFound(image, tuple(names))
        return found

    def _recorded(self, draft: VersionDraft, version_id: VersionId) -> ImageVersion:
        # Others wait for its end: when each only tried again, one lost twenty times in a row.
        with self._transactions.together():
            taken = [summary.version for summary in self._versions.summaries(draft.image)]
            version = draft.recorded(
                version_id=version_id,
                version=next_build(draft.asked, taken, same_definition_as=self._same(draft, taken)),
                created_at=self._clock.now(),
            )
            self._versions.add(version)
        return version

    def _same(self, draft: VersionDraft, taken: Sequence[BuildVersion]) -> BuildVersion | None:
        """Give the newest build in the line that is asked for, if it has the draft's definition."""
        line = [version for version in taken if _is_in_line(version, draft.asked)]
        if not line:
            return None
        newest = self._versions.find(Reference(name=draft.image, asked=str(max(line))))
        return newest.version if newest.definition_digest == draft.definition_digest else None


def _is_in_line(version: BuildVersion, asked: RecipeVersion) -> bool:
    return (version.version.major, version.version.minor) == (asked.major, asked.minor)
