"""A VersionStore in memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imagebuilder.domain.channel import LATEST, ChannelEmpty, ChannelNotFound
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ChannelName, ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    LastBuild,
    Reference,
    ReferenceAmbiguous,
    VersionNotFound,
    VersionSummary,
)
from imagebuilder.domain.lineage import Descent, Kin, Scope
from imagebuilder.domain.published import release_of
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.versions import Wildcard
from imagebuilder.ports.catalogue import VersionExists

if TYPE_CHECKING:
    from imagebuilder.ports.channels import ChannelStore
    from imagebuilder.ports.standings import StandingStore


class FakeVersionStore:
    """Keeps versions in a list, in the order of their recording."""

    def __init__(self) -> None:
        """Begin empty."""
        self.versions: list[ImageVersion] = []
        self.standings: StandingStore | None = None
        self.channels: ChannelStore | None = None

    def add(self, version: ImageVersion) -> None:
        """Record a version with all that belongs to it."""
        for other in self.versions:
            if other.id == version.id or other.reference == version.reference:
                raise VersionExists(version.reference)
        parent_id = version.parent.version_id
        if parent_id is not None and all(other.id != parent_id for other in self.versions):
            raise VersionNotFound(parent_id, self._existing())
        self.versions.append(replace(version, packages=tuple(sorted(set(version.packages)))))

    def find(self, reference: Reference, at: datetime) -> ImageVersion:
        """Give the version that a reference means at a moment."""
        named = [v for v in self.versions if v.image == reference.name]
        if not named and not reference.asked:
            return self._starting_with(reference.name)
        if named and reference.channel is not None:
            return self._on_channel(ImageName(reference.name), reference.channel, at)
        if reference.build is not None:
            meant = [v for v in named if v.version == reference.build]
        else:
            meant = [v for v in named if reference.wildcard.matches(v.version.version)]
            meant = [v for v in meant if self._is_usable(v, at)] or meant
        if not meant:
            raise self._not_found(str(reference), reference.name)
        return max(meant, key=lambda version: version.version)

    def _is_usable(self, version: ImageVersion, at: datetime) -> bool:
        if self.standings is None:
            return True
        return self.standings.standings([version.id], at)[version.id].is_usable

    def _on_channel(self, image: ImageName, name: ChannelName, at: datetime) -> ImageVersion:
        channel = self.channels.channel(image, name, at) if self.channels else None
        if channel is not None and channel.version_id is not None:
            return self.get(channel.version_id)
        if name == LATEST or (channel is not None and channel.moves_seen):
            raise ChannelEmpty(f"{image}@{name}")
        there = self.channels.channels(image, at) if self.channels else ()
        raise ChannelNotFound(f"{image}@{name}", tuple(each.reference for each in there))

    def _not_found(self, asked: str, image: str) -> VersionNotFound:
        names = {version.image for version in self.versions}
        near = None if image in names else nearest(image, names)
        return VersionNotFound(asked, self._existing(near or image), near=near)

    def get(self, version_id: VersionId) -> ImageVersion:
        """Give a version by its whole id."""
        for version in self.versions:
            if version.id == version_id:
                return version
        raise VersionNotFound(version_id, self._existing())

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        return next((v for v in reversed(self.versions) if v.image == image), None)

    def of_run(self, run_id: RunId) -> ImageVersion | None:
        """Give the version that a run recorded, or None; copies of it are not meant."""
        found = (v for v in self.versions if v.run_id == run_id and v.copied_from is None)
        return next(found, None)

    def last_build(self, image: ImageName, wildcard: Wildcard) -> LastBuild | None:
        """Give the highest build of those that a wildcard asks for, or None."""
        fitting = [v for v in self.versions if v.image == image]
        fitting = [v for v in fitting if wildcard.matches(v.version.version)]
        last = max(fitting, key=lambda v: v.version, default=None)
        if last is None:
            return None
        return LastBuild(version=last.version, definition_digest=last.definition_digest)

    def before(self, version_id: VersionId) -> VersionId | None:
        """Give the version of the same image that was recorded before another, or None."""
        order = [v.id for v in self.versions if v.image == self.get(version_id).image]
        place = order.index(version_id)
        return order[place - 1] if place else None

    def references(self, ids: Collection[VersionId]) -> Mapping[VersionId, str]:
        """Give how people name versions; an id that is not recorded is left out."""
        return {v.id: v.reference for v in self.versions if v.id in ids}

    def names(self) -> Sequence[ImageName]:
        """Give the names of all images, sorted."""
        return sorted({v.image for v in self.versions})

    def summaries(self, image: ImageName | None = None) -> Sequence[VersionSummary]:
        """Give all versions, of one image when it is named: by name, then last recorded first."""
        found = [
            VersionSummary(
                id=v.id,
                image=v.image,
                version=v.version,
                created_at=v.created_at,
                parent_asked=v.parent.asked,
                package_count=len(v.packages),
                size_bytes=sum(artifact.size_bytes for artifact in v.artifacts),
                release=release_of(v),
            )
            for v in reversed(self.versions)
            if image in (None, v.image)
        ]
        return sorted(found, key=lambda summary: summary.image)

    def descent(self, version_id: VersionId, scope: Scope) -> Descent:
        """Give a version and its relatives; it is one of its own, at distance 0."""
        self.get(version_id)
        distances = {version_id: 0}
        for sign, is_wanted in ((-1, scope.up), (1, scope.down)):
            found = {version_id}
            distance = 0
            while is_wanted and found and (scope.depth is None or distance < scope.depth):
                distance += 1
                found = {each for each in self._next(found, sign) if each not in distances}
                distances |= dict.fromkeys(found, sign * distance)
        order = {version.id: place for place, version in enumerate(self.versions)}
        nearest = sorted(distances, key=lambda each: (abs(distances[each]), order[each]))
        return Descent(
            focus=version_id,
            kin=tuple(self._kin(each, distances[each]) for each in nearest[: scope.limit]),
            left_out=max(0, len(nearest) - scope.limit),
        )

    def _next(self, found: set[VersionId], sign: int) -> Iterator[VersionId]:
        for version in self.versions:
            for above in (version.parent.version_id, version.copied_from):
                if above is not None and sign > 0 and above in found:
                    yield version.id
                elif above is not None and sign < 0 and version.id in found:
                    yield above

    def _kin(self, version_id: VersionId, distance: int) -> Kin:
        version = self.get(version_id)
        return Kin(
            id=version.id,
            image=version.image,
            version=version.version,
            created_at=version.created_at,
            parent=version.parent,
            copied_from=version.copied_from,
            distance=distance,
        )

    def contents_in_use(self) -> frozenset[Digest]:
        """Give the content digest of every layer that a version is made of, if not deleted."""
        return frozenset(
            layer.content
            for version in self.versions
            if not self._is_deleted(version)
            for layer in version.layers
        )

    def _is_deleted(self, version: ImageVersion) -> bool:
        if self.standings is None:
            return False
        standing = self.standings.standings([version.id], datetime.max.replace(tzinfo=UTC))
        return standing[version.id].lifecycle is Lifecycle.DELETED

    def _starting_with(self, start: str) -> ImageVersion:
        matching = [v for v in self.versions if v.id.startswith(start)]
        exact = [v for v in matching if v.id == start]
        if len(exact or matching) > 1:
            raise ReferenceAmbiguous(start, tuple(v.id for v in matching))
        if not matching:
            raise self._not_found(start, start)
        return (exact or matching)[0]

    def _existing(self, image: str | None = None) -> tuple[str, ...]:
        newest_first = self.versions[::-1]
        named = [v.reference for v in newest_first if v.image == image]
        return tuple(named or [v.reference for v in newest_first])[:8]
