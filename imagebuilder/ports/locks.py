"""Locks: one process at a time, across processes of one machine.

Every adapter must keep: a lock is free at once when its holder ends, also by kill -9.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from imagebuilder.domain.errors import WrongState

STORE_LOCK = "store"
"""Shared by all that work with layers and blobs; held alone by who takes some away."""


class Locks(Protocol):
    """Named locks."""

    def hold(self, name: str, who: str) -> AbstractContextManager[None]:
        """Hold a lock, telling others who has it. Raises: InProgress: another process does."""
        ...

    def share(self, name: str, who: str) -> AbstractContextManager[None]:
        """Hold a lock together with others that share it; waits for one who holds it alone.

        Who wants to hold it alone meanwhile is told of all of them.
        """
        ...

    def is_held(self, name: str) -> bool:
        """Whether some process holds a lock now."""
        ...


class InProgress(WrongState):
    """Somebody else is doing just that."""

    code = "in-progress"

    def __init__(self, what: str, who: str) -> None:
        """Say what and who."""
        self.who = who
        super().__init__(
            f"{what[:1].upper()}{what[1:]} is already being worked on.",
            context=f"By {who}." if who else "",
            hint="Wait until it has ended, or watch it with: imagebuilder run list",
        )
