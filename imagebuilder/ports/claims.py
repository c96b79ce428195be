"""ClaimStore: what runs built that no version holds yet.

It is kept beside the blobs and layers that it speaks of. Who claims shares the lock of the store,
so that who takes from the store sees all that was claimed.
"""

from collections.abc import Mapping
from typing import Protocol

from imagebuilder.domain.built import Needs
from imagebuilder.domain.ids import RunId


class ClaimStore(Protocol):
    """Keeps claims. They are of no use any more when their run has ended."""

    def claim(self, run_id: RunId, needs: Needs) -> None:
        """Keep that a run needs this, beside all that it claimed before.

        Durable: it survives a crash once this returned.
        """
        ...

    def claims(self) -> Mapping[RunId, Needs]:
        """Give what each run claimed."""
        ...

    def release(self, run_id: RunId) -> None:
        """Forget what a run claimed; done twice, it is as once."""
        ...
