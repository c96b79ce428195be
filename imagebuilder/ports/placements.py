"""PlacementStore: where versions were put, and under which ids."""

from collections.abc import Collection, Sequence
from typing import Protocol

from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.ids import VersionId


class PlacementStore(Protocol):
    """Keeps placements. A target and the id there name one placement, for ever.

    Each sequence is in the order in which they were added.
    """

    def add(self, placement: Placement) -> None:
        """Keep a placement.

        Raises: PlacementExists: that id is known at that target; VersionNotFound.
        """
        ...

    def change(self, placement: Placement) -> None:
        """Keep what became of a placement: launched, withdrawn, deleted, or put there again.

        Raises: PlacementNotFound: nothing was added under its target and id.
        """
        ...

    def find(self, target: str, external_id: str) -> Placement | None:
        """Give what was placed under an id at a target, or None."""
        ...

    def named(self, external_id: str) -> Sequence[Placement]:
        """Give what was placed under an id, whatever the target."""
        ...

    def of(self, ids: Collection[VersionId]) -> Sequence[Placement]:
        """Give the placements of versions, withdrawn ones too."""
        ...

    def all(self) -> Sequence[Placement]:
        """Give every placement, withdrawn ones too."""
        ...
