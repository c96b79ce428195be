"""StandingStore: revocations and lifecycles, and how versions stand because of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.standing import Lifecycle, Revocation, Standing


class StandingStore(Protocol):
    """Keeps what was said of versions; how they stand is computed by `standing.standing_of`.

    A version descends from its parent image's version, and from what it was copied from.
    """

    def standings(self, ids: Collection[VersionId], at: datetime) -> Mapping[VersionId, Standing]:
        """Give how versions stand at a moment; an id that is not recorded is left out."""
        ...

    def revocations(self, version_id: VersionId) -> Sequence[Revocation]:
        """Give the revocations of a version itself, restored ones too, oldest first."""
        ...

    def revoke(self, revocation: Revocation) -> None:
        """Keep a revocation. Raises: VersionNotFound."""
        ...

    def restore(self, revocation_id: str, act: Act) -> None:
        """Keep that a revocation no longer holds."""
        ...

    def set_lifecycle(self, version_id: VersionId, lifecycle: Lifecycle, at: datetime) -> None:
        """Keep how far retention has gone with a version, and since when. Raises: VersionNotFound.

        It only goes on: a version that went as far, or further, stays as it is.
        """
        ...
