"""Makers of distributions, valid as they are."""

from imagebuilder.domain.audit import Act
from imagebuilder.domain.distribution import DeliveryStep, Distribution
from imagebuilder.domain.ids import DistributionId, DistributionName, VersionId
from tests.build import SOME_DAY


def a_distribution(
    version_id: str = "version-web", *targets: str, named: str = "distribution-1"
) -> Distribution:
    """Give a distribution that begins, with a step for each target."""
    return Distribution(
        id=DistributionId(named),
        version_id=VersionId(version_id),
        name=DistributionName("everywhere"),
        begun=Act(actor="eva", at=SOME_DAY, why="released"),
        path="everywhere.yaml",
        text="kind: Distribution\n",
        steps=tuple(
            DeliveryStep(target=target, entry="here", where={"key": target}) for target in targets
        ),
    )
