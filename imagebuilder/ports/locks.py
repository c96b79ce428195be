"""Locks: one process at a time, across processes of one machine.

Every adapter must keep: a lock is free at once when its holder ends, also by kill -9.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from imagebuilder.domain.errors import WrongState


class Locks(Protocol):
    """Named locks."""

    def hold(self, name: str, who: str) -> AbstractContextManager[None]:
        """Hold a lock, telling others who has it. Raises: InProgress: another process does."""
        ...

    def is_held(self, name: str) -> bool:
        """Whether some process holds a lock now."""
        ...


class InProgress(WrongState):
    """Somebody else is doing just that."""

    code = "in-progress"

    def __init__(self, what: str, who: str) -> None:
        """Say what and who."""
        super().__init__(
            f"{what[:1].upper()}{what[1:]} is already being worked on.",
            context=f"By {who}." if who else "",
            hint="Wait until it has ended, or watch it with: imagebuilder run list",
        )
