"""Measures of what a test says."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import StepState
from imagebuilder.ports.measuring import SeenVersion


class FakeMeasures:
    """Keeps versions oldest first, moves, steps and verdicts."""

    def __init__(self) -> None:
        """Begin empty."""
        self.versions: dict[ImageName, Sequence[SeenVersion]] = {}
        self.moves: dict[RunId, datetime] = {}
        self.steps: dict[RunId, Sequence[StepState]] = {}
        self.verdicts: list[str] = []
        self.looked = 0

    def newest_versions(self, images: Collection[ImageName]) -> Mapping[ImageName, SeenVersion]:
        """Give what was recorded last of each image; one without versions is left out."""
        self.looked += 1
        return {image: seen[-1] for image, seen in self.versions.items() if image in images}

    def version_before(self, image: ImageName, seen: SeenVersion) -> SeenVersion | None:
        """Give what was recorded of an image before a version."""
        older = [each for each in self.versions[image] if each.number < seen.number]
        return older[-1] if older else None

    def last_moves(self, runs: Collection[RunId]) -> Mapping[RunId, datetime]:
        """Give when a stage or step of each run began or a stage ended last, if one ever did."""
        return {run_id: at for run_id, at in self.moves.items() if run_id in runs}

    def step_states(self, runs: Collection[RunId]) -> Mapping[StepState, int]:
        """Give how many steps of some runs stand how."""
        return Counter(state for run_id in runs for state in self.steps.get(run_id, ()))

    def decisions_after(self, number: int) -> tuple[Mapping[str, int], int]:
        """Give how many decisions of each verdict were kept after a number, and the last number."""
        return Counter(self.verdicts[number:]), len(self.verdicts)

    def last_decision(self) -> int:
        """Give the number of the decision that was kept last; 0 when there is none."""
        return len(self.verdicts)
