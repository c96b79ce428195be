"""A WaiverStore in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.waiver import Waiver, WaiverAmbiguous, WaiverNotFound


class FakeWaiverStore:
    """Keeps waivers in a dictionary."""

    def __init__(self) -> None:
        """Begin empty."""
        self.kept: dict[str, Waiver] = {}

    def add(self, waiver: Waiver) -> None:
        """Keep a waiver."""
        self.kept[waiver.id] = waiver

    def revoke(self, waiver_id: str, act: Act) -> bool:
        """Keep that a waiver counts no longer; whether it was not revoked before."""
        found = self.kept.get(waiver_id)
        if found is None or found.revoked is not None:
            return False
        self.kept[waiver_id] = replace(found, revoked=act)
        return True

    def find(self, begun: str) -> Waiver:
        """Give the waiver of an id, or the one whose id starts so."""
        if begun in self.kept:
            return self.kept[begun]
        matching = sorted(each for each in self.kept if begun and each.startswith(begun))
        if not matching:
            raise WaiverNotFound(begun)
        if len(matching) > 1:
            raise WaiverAmbiguous(begun, tuple(matching))
        return self.kept[matching[0]]

    def all(self, image: ImageName | None = None) -> Sequence[Waiver]:
        """Give the waivers that speak of an image, or all, by when they expire and their ids."""
        return self._sorted(
            each for each in self.kept.values() if image is None or fnmatchcase(image, each.image)
        )

    def _sorted(self, waivers: Iterable[Waiver]) -> Sequence[Waiver]:
        return sorted(waivers, key=lambda each: (each.expires_at, each.id))
