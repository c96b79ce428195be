"""LabelStore: the labels and free text on images and versions."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.labels import Noted, Notes


class LabelStore(Protocol):
    """Keeps notes. What nobody noted has empty ones."""

    def notes(self, noted: Noted) -> Notes:
        """Give the notes on a version, or on an image."""
        ...

    def of_versions(self, ids: Collection[VersionId]) -> Mapping[VersionId, Notes]:
        """Give the notes on versions themselves; one without any is left out."""
        ...

    def of_images(self, names: Collection[ImageName]) -> Mapping[ImageName, Notes]:
        """Give the notes on images themselves; one without any is left out."""
        ...

    def keep(self, noted: Noted, notes: Notes) -> None:
        """Replace the notes on a version, or on an image. Raises: VersionNotFound."""
        ...

    def names(self) -> Sequence[str]:
        """Give the name of every label that is in use, sorted."""
        ...
