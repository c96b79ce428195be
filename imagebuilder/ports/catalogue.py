"""VersionStore: the versions that were recorded, and what is known of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Broken, Unavailable, WrongState
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import ImageVersion, LastBuild, Reference, VersionSummary
from imagebuilder.domain.lineage import Descent, Scope
from imagebuilder.domain.versions import Wildcard


class VersionStore(Protocol):
    """Keeps image versions. Durable: add is one transaction; a version is never changed.

    A version comes back as it was added, its packages sorted and each once.
    """

    def add(self, version: ImageVersion) -> None:
        """Record a version with all that belongs to it.

        Raises: VersionExists: its id, or its build, is taken; VersionNotFound: its parent is gone.
        """
        ...

    def find(self, reference: Reference, at: datetime) -> ImageVersion:
        """Give the version that a reference means at a moment.

        One that names a build, or an id, means just that; a bare name that no image has may be the
        start of an id. One that names a set means the highest of those that are usable at that
        moment, or of all when none is; one that names a channel what the channel means then.

        Raises: VersionNotFound; ReferenceAmbiguous: several ids start so; ChannelNotFound;
        ChannelEmpty: it was unset, or nothing that it held is usable.
        """
        ...

    def get(self, version_id: VersionId) -> ImageVersion:
        """Give a version by its whole id. Raises: VersionNotFound."""
        ...

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        ...

    def of_run(self, run_id: RunId) -> ImageVersion | None:
        """Give the version that a run recorded, or None; copies of it are not meant."""
        ...

    def last_build(self, image: ImageName, wildcard: Wildcard) -> LastBuild | None:
        """Give the highest build of those that a wildcard asks for, or None."""
        ...

    def before(self, version_id: VersionId) -> VersionId | None:
        """Give the version of the same image that was recorded before another, or None."""
        ...

    def references(self, ids: Collection[VersionId]) -> Mapping[VersionId, str]:
        """Give how people name versions; an id that is not recorded is left out."""
        ...

    def names(self) -> Sequence[ImageName]:
        """Give the names of all images, sorted."""
        ...

    def summaries(self, image: ImageName | None = None) -> Sequence[VersionSummary]:
        """Give all versions, of one image when it is named: by name, then last recorded first."""
        ...

    def descent(self, version_id: VersionId, scope: Scope) -> Descent:
        """Give a version and its relatives; it is one of its own, at distance 0.

        Raises: VersionNotFound.
        """
        ...

    def contents_in_use(self) -> frozenset[Digest]:
        """Give the content digest of every layer that a version is made of, if not deleted."""
        ...


class VersionExists(WrongState):
    """Such a version was recorded already."""

    code = "version-exists"

    def __init__(self, reference: str) -> None:
        """Name it."""
        super().__init__(
            f"{reference} is already recorded.",
            context="Another build recorded it in the meantime.",
            hint="Build again: the next build number is taken.",
        )


class CatalogueTooNew(WrongState):
    """The catalogue was written by a newer imagebuilder."""

    code = "catalogue-too-new"

    def __init__(self, found: str, known: str) -> None:
        """Name both schema revisions."""
        super().__init__(
            f"The catalogue has schema revision {found}, which this imagebuilder does not know.",
            context=f"The newest it knows is {known}.",
            hint="Upgrade imagebuilder, or point IMAGEBUILDER_HOME at another folder.",
        )


class StoreUnavailable(Unavailable):
    """The catalogue cannot be reached, read or written now."""

    code = "store-unavailable"

    def __init__(self, where: str, reason: str, *, hint: str) -> None:
        """Name the catalogue and what its database said."""
        super().__init__(f"The catalogue {where} is not available.", context=reason, hint=hint)


class CatalogueDamaged(Broken):
    """What the catalogue holds is not what was written."""

    code = "catalogue-damaged"

    def __init__(self, where: str, reason: str) -> None:
        """Name the catalogue and what is wrong with it."""
        super().__init__(
            f"The catalogue {where} is damaged.",
            context=reason,
            hint="Put back a backup, or move it away: the next build starts a new one and "
            "finds its layers where they were.",
        )
