"""HookCalls in memory."""

from datetime import datetime

from imagebuilder.domain.digest import Digest


class FakeHookCalls:
    """Keeps calls in a dictionary."""

    def __init__(self) -> None:
        """Begin empty."""
        self.taken: dict[Digest, datetime] = {}

    def take(self, call: Digest, at: datetime) -> bool:
        """Keep that a call was taken; False when it was before."""
        if call in self.taken:
            return False
        self.taken[call] = at
        return True

    def forget(self, before: datetime) -> None:
        """Forget the calls of before a moment."""
        self.taken = {call: at for call, at in self.taken.items() if at >= before}
