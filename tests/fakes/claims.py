"""Claims in memory."""

from collections.abc import Mapping

from imagebuilder.domain.built import Needs
from imagebuilder.domain.ids import RunId


class FakeClaimStore:
    """Keeps claims in a dictionary."""

    def __init__(self) -> None:
        """Begin without any."""
        self.kept: dict[RunId, Needs] = {}

    def claim(self, run_id: RunId, needs: Needs) -> None:
        """Keep that a run needs this, beside all that it claimed before."""
        self.kept[run_id] = self.kept.get(run_id, Needs()) | needs

    def claims(self) -> Mapping[RunId, Needs]:
        """Give what each run claimed."""
        return dict(self.kept)

    def release(self, run_id: RunId) -> None:
        """Forget what a run claimed."""
        self.kept.pop(run_id, None)
