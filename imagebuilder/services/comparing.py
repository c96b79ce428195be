"""Comparing: what differs between two versions is told from what is recorded of them."""

from dataclasses import replace

from imagebuilder.domain.comparison import (
    NoVersionBefore,
    SameVersionTwice,
    VersionDiff,
    compared,
)
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.file_changes import FileDiff, PathPattern, file_diff
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.domain.layer import Tree
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.security_updates import security_updates
from imagebuilder.domain.updates import recorded_updates
from imagebuilder.ports.building import LayerMissing, LayerStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock


class Comparing:
    """Compares versions. Neither their artifacts nor the files of their layers need be there."""

    def __init__(self, versions: VersionStore, layers: LayerStore, clock: Clock) -> None:
        """Look in `versions` as they stand now, and in `layers` for what they held."""
        self._versions = versions
        self._layers = layers
        self._clock = clock

    def diff(
        self, old: str, new: str | None = None, *, wanted: PathPattern | None = None
    ) -> VersionDiff:
        """Give what differs between two versions, of their files those that are wanted.

        Of one reference alone: what differs from the version of its image recorded before it.

        Raises: ReferenceMalformed; VersionNotFound; ReferenceAmbiguous; SameVersionTwice;
        NoVersionBefore: the first version of an image is named alone.
        """
        first = self._found(old)
        if new is None:
            return self._told(self._before(first), first, wanted)
        second = self._found(new)
        if first.id == second.id:
            raise SameVersionTwice(first.reference)
        return self._told(first, second, wanted)

    def _told(
        self, old: ImageVersion, new: ImageVersion, wanted: PathPattern | None
    ) -> VersionDiff:
        diff = compared(old, new)
        parents = {side.parent.version_id for side in (old, new)}
        files, without_files = self._files(old, new, wanted)
        return replace(
            diff,
            security=security_updates(diff.packages, self._upgrades(old), self._upgrades(new)),
            files=files,
            without_files=without_files,
            references=self._versions.references([each for each in parents if each is not None]),
        )

    def _found(self, reference: str) -> ImageVersion:
        return self._versions.find(parse_reference(reference), self._clock.now())

    def _before(self, version: ImageVersion) -> ImageVersion:
        """Give the version of the same image that was recorded before."""
        older = self._versions.before(version.id)
        if older is None:
            raise NoVersionBefore(version.reference)
        return self._versions.get(older)

    def _upgrades(self, version: ImageVersion) -> list[Upgrade]:
        """Give every upgrade that led to a version, those of the images below it first."""
        upgrades = list(recorded_updates(version.plan).upgrades)
        while version.parent.version_id is not None:
            version = self._versions.get(version.parent.version_id)
            upgrades = [*recorded_updates(version.plan).upgrades, *upgrades]
        return upgrades

    def _files(
        self, old: ImageVersion, new: ImageVersion, wanted: PathPattern | None
    ) -> tuple[FileDiff | None, tuple[str, ...]]:
        """Give how their files differ, or the versions of which that is not known any more."""
        if _contents(old) == _contents(new):
            return FileDiff(), ()
        trees = {version.reference: self._tree(version) for version in (old, new)}
        before, after = trees.values()
        if before is None or after is None:
            return None, tuple(reference for reference, tree in trees.items() if tree is None)
        return file_diff(before, after, wanted), ()

    def _tree(self, version: ImageVersion) -> Tree | None:
        try:
            return self._layers.tree(_contents(version))
        except LayerMissing:
            return None


def _contents(version: ImageVersion) -> list[Digest]:
    return [layer.content for layer in version.layers]
