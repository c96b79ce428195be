"""A PlacementStore in memory."""

from collections.abc import Collection, Sequence

from imagebuilder.domain.distribution import Placement, PlacementExists, PlacementNotFound
from imagebuilder.domain.ids import VersionId
from imagebuilder.ports.catalogue import VersionStore


class FakePlacementStore:
    """Keeps placements in a dictionary, in the order of their adding."""

    def __init__(self, versions: VersionStore) -> None:
        """Keep placements of recorded versions."""
        self._versions = versions
        self.kept: dict[tuple[str, str], Placement] = {}

    def add(self, placement: Placement) -> None:
        """Keep a placement."""
        there = self.find(placement.target, placement.external_id)
        if there is not None:
            raise PlacementExists(there, self._versions.get(there.version_id).reference)
        self._versions.get(placement.version_id)
        self.kept[placement.target, placement.external_id] = placement

    def change(self, placement: Placement) -> None:
        """Keep what became of a placement."""
        if self.find(placement.target, placement.external_id) is None:
            elsewhere = tuple(each.target for each in self.named(placement.external_id))
            raise PlacementNotFound(placement.target, placement.external_id, elsewhere)
        self.kept[placement.target, placement.external_id] = placement

    def find(self, target: str, external_id: str) -> Placement | None:
        """Give what was placed under an id at a target, or None."""
        return self.kept.get((target, external_id))

    def named(self, external_id: str) -> Sequence[Placement]:
        """Give what was placed under an id, whatever the target."""
        return [each for each in self.all() if each.external_id == external_id]

    def of(self, ids: Collection[VersionId]) -> Sequence[Placement]:
        """Give the placements of versions, withdrawn ones too."""
        return [each for each in self.all() if each.version_id in ids]

    def all(self) -> Sequence[Placement]:
        """Give every placement, withdrawn ones too."""
        return list(self.kept.values())
