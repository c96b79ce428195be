"""A LabelStore in memory."""

from collections.abc import Collection, Mapping, Sequence

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.labels import Noted, Notes
from imagebuilder.ports.catalogue import VersionStore


class FakeLabelStore:
    """Keeps notes in a dictionary."""

    def __init__(self, versions: VersionStore) -> None:
        """Keep notes on recorded versions and their images."""
        self._versions = versions
        self.kept: dict[str, Notes] = {}

    def notes(self, noted: Noted) -> Notes:
        """Give the notes on a version, or on an image."""
        return self.kept.get(noted.version_id or noted.image, Notes())

    def of_versions(self, ids: Collection[VersionId]) -> Mapping[VersionId, Notes]:
        """Give the notes on versions themselves; one without any is left out."""
        return {each: self.kept[each] for each in ids if each in self.kept}

    def of_images(self, names: Collection[ImageName]) -> Mapping[ImageName, Notes]:
        """Give the notes on images themselves; one without any is left out."""
        return {each: self.kept[each] for each in names if each in self.kept}

    def keep(self, noted: Noted, notes: Notes) -> None:
        """Replace the notes on a version, or on an image."""
        if noted.version_id is not None:
            self._versions.get(noted.version_id)
        elif self._versions.newest(noted.image) is None:
            raise VersionNotFound(noted.image, ())
        owner = noted.version_id or noted.image
        self.kept.pop(owner, None)
        if notes != Notes():
            self.kept[owner] = notes

    def names(self) -> Sequence[str]:
        """Give the name of every label that is in use, sorted."""
        return sorted({name for notes in self.kept.values() for name in notes.labels})
