"""Usability: whether what was said of versions lets a build stand on them, or answer with them."""

from collections.abc import Callable, Iterator

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, Reference
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import ImageParent, Parent
from imagebuilder.domain.standing import Lifecycle, NewestRevoked, ParentUnusable, Standing
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.standings import StandingStore


class Usability:
    """Says which versions are usable now."""

    def __init__(
        self,
        versions: Callable[[], VersionStore],
        standings: Callable[[], StandingStore],
        clock: Clock,
    ) -> None:
        """Ask a catalogue that is opened when it is needed, at the time of `clock`."""
        self._versions = versions
        self._standings = standings
        self._clock = clock

    def refuse_parent(self, image: ImageName, parent: VersionId | None) -> None:
        """Let a version pass that may be built on now; None is no version of ours.

        Raises: ParentUnusable.
        """
        if parent is None:
            return
        standing = self._standing(parent)
        if not standing.is_usable:
            name = self._reference(parent)
            raise ParentUnusable(image, name, standing, self._revoked(standing))

    def refuse_revoked(self, newest: ImageVersion) -> None:
        """Let an image's newest version pass as what a build would give. Raises: NewestRevoked."""
        standing = self._standing(newest.id)
        if standing.is_revoked:
            raise NewestRevoked(newest.reference, standing, self._revoked(standing))

    def gone(self, newest: ImageVersion) -> str:
        """Say how retention ended a version; nothing when it is usable or revoked."""
        standing = self._standing(newest.id)
        return "" if standing.is_usable or standing.is_revoked else f"it was {standing.lifecycle}"

    def told_of_parent(self, asked: Parent, taken: PlannedParent) -> Iterator[str]:
        """Say that a higher version was passed over, and that the one taken is soon to go."""
        if taken.version_id is None:
            return
        if isinstance(asked, ImageParent):
            yield from self._passed_over(Reference(name=asked.name, asked=asked.asked), taken)
        yield from self._soon_gone(taken.version_id)

    def _passed_over(self, asked: Reference, taken: PlannedParent) -> Iterator[str]:
        if asked.build is not None or asked.channel is not None or taken.version_id is None:
            return
        highest = self._versions().last_build(ImageName(asked.name), asked.wildcard)
        name = self._reference(taken.version_id)
        if highest is not None and f"{asked.name}@{highest.version}" != name:
            exact = Reference(name=asked.name, asked=str(highest.version))
            standing = self._standing(self._versions().find(exact, self._clock.now()).id)
            why = standing.why_unusable(self._revoked(standing))
            yield f"{name} is taken as the parent, not {exact}. {why}"

    def _soon_gone(self, version_id: VersionId) -> Iterator[str]:
        standing = self._standing(version_id)
        if standing.lifecycle is Lifecycle.DEPRECATED:
            name = self._reference(version_id)
            yield f"The parent {name} is deprecated: once it is disabled, nothing is built on it."
        revocation = standing.revocation
        if revocation is not None and revocation.in_force_at > self._clock.now():
            yield (
                f"{self._reference(version_id)} is to be revoked at "
                f"{revocation.in_force_at:%Y-%m-%d %H:%M:%SZ}: {revocation.act.why}"
            )

    def _standing(self, version_id: VersionId) -> Standing:
        return self._standings().standings([version_id], self._clock.now())[version_id]

    def _reference(self, version_id: VersionId) -> str:
        return self._versions().references([version_id])[version_id]

    def _revoked(self, standing: Standing) -> str:
        counting = standing.revocation
        return "" if counting is None else self._reference(counting.version_id)
