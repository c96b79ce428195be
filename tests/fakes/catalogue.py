"""A VersionStore in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    Reference,
    ReferenceAmbiguous,
    VersionNotFound,
    VersionSummary,
)
from imagebuilder.domain.lineage import Descent, Kin, LineageEdge, LineageNode, Scope, origin_of
from imagebuilder.ports.catalogue import VersionExists


class FakeVersionStore:
    """Keeps versions in a list, in the order of their recording."""

    def __init__(self) -> None:
        """Begin empty."""
        self.versions: list[ImageVersion] = []

    def add(self, version: ImageVersion) -> None:
        """Record a version with all that belongs to it."""
        for other in self.versions:
            if other.id == version.id or other.reference == version.reference:
                raise VersionExists(version.reference)
        parent_id = version.parent.version_id
        if parent_id is not None and all(other.id != parent_id for other in self.versions):
            raise VersionNotFound(parent_id, self._existing())
        self.versions.append(replace(version, packages=tuple(sorted(set(version.packages)))))

    def find(self, reference: Reference) -> ImageVersion:
        """Give the version with the highest number of those that reference means."""
        named = [v for v in self.versions if v.image == reference.name]
        if not named and not reference.asked:
            return self._starting_with(reference.name)
        if reference.build is not None:
            meant = [v for v in named if v.version == reference.build]
        else:
            meant = [v for v in named if reference.wildcard.matches(v.version.version)]
        if not meant:
            raise VersionNotFound(str(reference), self._existing(reference.name))
        return max(meant, key=lambda version: version.version)

    def get(self, version_id: VersionId) -> ImageVersion:
        """Give a version by its whole id."""
        for version in self.versions:
            if version.id == version_id:
                return version
        raise VersionNotFound(version_id, self._existing())

    def newest(self, image: ImageName) -> ImageVersion | None:
        """Give the version of an image that was recorded last, or None."""
        return next((v for v in reversed(self.versions) if v.image == image), None)

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
            )
            for v in reversed(self.versions)
            if image in (None, v.image)
        ]
        return sorted(found, key=lambda summary: summary.image)

    def lineage(self) -> tuple[Sequence[LineageNode], Sequence[LineageEdge]]:
        """Give the whole graph, with a node for each outside parent (its kind is `origin`)."""
        origins: dict[str, LineageNode] = {}
        nodes, edges = [], []
        for version in self.versions:
            nodes.append(LineageNode(id=version.id, label=version.reference, kind="version"))
            parent = version.parent
            parent_id: str | None = parent.version_id
            if parent_id is None:
                origin = origin_of(parent.identity, asked=parent.asked)
                parent_id = origins.setdefault(origin.id, origin).id
            edges.append(LineageEdge(parent=parent_id, child=version.id, asked=parent.asked))
        return [*origins.values(), *nodes], edges

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
        """Give the content digest of every layer that a version is made of."""
        return frozenset(layer.content for version in self.versions for layer in version.layers)

    def _starting_with(self, start: str) -> ImageVersion:
        matching = [v for v in self.versions if v.id.startswith(start)]
        exact = [v for v in matching if v.id == start]
        if len(exact or matching) > 1:
            raise ReferenceAmbiguous(start, tuple(v.id for v in matching))
        if not matching:
            raise VersionNotFound(start, self._existing())
        return (exact or matching)[0]

    def _existing(self, image: str | None = None) -> tuple[str, ...]:
        newest_first = self.versions[::-1]
        named = [v.reference for v in newest_first if v.image == image]
        return tuple(named or [v.reference for v in newest_first])[:8]
