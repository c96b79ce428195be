"""A DistributionStore in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from imagebuilder.domain.distribution import DeliveryStep, Distribution, DistributionNotFound
from imagebuilder.domain.ids import DistributionId, VersionId
from imagebuilder.ports.catalogue import VersionStore


class FakeDistributionStore:
    """Keeps distributions in a dictionary, in the order of their adding."""

    def __init__(self, versions: VersionStore) -> None:
        """Keep distributions of recorded versions."""
        self._versions = versions
        self.kept: dict[DistributionId, Distribution] = {}
        self.saved: list[DeliveryStep] = []

    def add(self, distribution: Distribution) -> None:
        """Keep a distribution that begins."""
        self._versions.get(distribution.version_id)
        self.kept[distribution.id] = distribution

    def save_step(self, distribution_id: DistributionId, step: DeliveryStep) -> None:
        """Keep how far the step of a target came."""
        kept = self.kept.get(distribution_id)
        if kept is None or step.target not in {each.target for each in kept.steps}:
            raise DistributionNotFound(f"{distribution_id} to {step.target}")
        self.saved.append(step)
        steps = tuple(step if each.target == step.target else each for each in kept.steps)
        self.kept[distribution_id] = replace(kept, steps=steps)

    def of(self, ids: Collection[VersionId]) -> Sequence[Distribution]:
        """Give the distributions of versions, in the order in which they were added."""
        return [each for each in self.kept.values() if each.version_id in ids]
