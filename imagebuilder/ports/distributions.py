"""DistributionStore: how far versions came on their way to targets."""

from collections.abc import Collection, Sequence
from typing import Protocol

from imagebuilder.domain.distribution import DeliveryStep, Distribution
from imagebuilder.domain.ids import DistributionId, VersionId


class DistributionStore(Protocol):
    """Keeps distributions, each with a step for every target."""

    def add(self, distribution: Distribution) -> None:
        """Keep a distribution that begins. Raises: VersionNotFound."""
        ...

    def save_step(self, distribution_id: DistributionId, step: DeliveryStep) -> None:
        """Keep how far the step of a target came, in place of what was kept of it.

        Raises: DistributionNotFound: no such distribution has a step for that target.
        """
        ...

    def of(self, ids: Collection[VersionId]) -> Sequence[Distribution]:
        """Give the distributions of versions, in the order in which they were added."""
        ...
