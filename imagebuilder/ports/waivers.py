"""WaiverStore: which findings people accept, for how long."""

from collections.abc import Sequence
from typing import Protocol

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.waiver import Waiver


class WaiverStore(Protocol):
    """Keeps waivers for ever: what ran out or was revoked tells what was accepted once."""

    def add(self, waiver: Waiver) -> None:
        """Keep a waiver of an id that no other has."""
        ...

    def revoke(self, waiver_id: str, act: Act) -> bool:
        """Keep that a waiver counts no longer; whether it was not revoked before."""
        ...

    def find(self, begun: str) -> Waiver:
        """Give the waiver of an id, or the one whose id starts so.

        Raises: WaiverNotFound; WaiverAmbiguous.
        """
        ...

    def all(self, image: ImageName | None = None) -> Sequence[Waiver]:
        """Give the waivers that speak of an image, or all, by when they expire and their ids."""
        ...
