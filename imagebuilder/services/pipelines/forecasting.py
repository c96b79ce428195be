"""Forecasting: whether UpdateOS would answer today as it did, without the image."""

from collections.abc import Iterable, Sequence

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.forecast import Forecast, forecast
from imagebuilder.domain.ground import Ground, recorded_grounds
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import Repository
from imagebuilder.domain.updates import recorded_upgrades
from imagebuilder.ports.archives import PackageArchives


class Forecasting:
    """Tells what is new in the archives for a version."""

    def __init__(self, archives: PackageArchives) -> None:
        """Look in archives."""
        self._archives = archives

    def forecast(
        self, version: ImageVersion, questions: Iterable[Digest], archives: Sequence[Repository]
    ) -> Forecast:
        """Give what UpdateOS would answer otherwise to questions that a version's build asked.

        Raises: MirrorUnreachable; SignatureRefused; IndexDiffers.
        """
        answers, grounds = (
            recorded_upgrades(version.plan),
            recorded_grounds(version.plan, version.packages),
        )
        asked = {question: grounds.get(question) for question in questions}
        known = {question: ground for question, ground in asked.items() if ground is not None}
        if len(known) < len(asked):
            return Forecast(unclear=("what is new in them, only apt in the image can tell",))
        indexes = self._archives.packages(archives, _architectures(known.values()))
        found = [forecast(ground, answers[q], indexes) for q, ground in known.items()]
        return Forecast(
            upgrades=tuple(upgrade for each in found for upgrade in each.upgrades),
            unclear=tuple(text for each in found for text in each.unclear),
        )


def _architectures(grounds: Iterable[Ground]) -> set[str]:
    return {
        a for ground in grounds for a in (ground.architecture, *(k[1] for k in ground.packages))
    }
