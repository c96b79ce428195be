"""HookCalls: which calls from outside were taken, so that none is taken twice."""

from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Digest


class HookCalls(Protocol):
    """Keeps the digests of calls. Durable: it is a part of the caller's transaction."""

    def take(self, call: Digest, at: datetime) -> bool:
        """Keep that a call was taken; False when it was before.

        Of several that ask at once for the same call, one is told that it was not.
        """
        ...

    def forget(self, before: datetime) -> None:
        """Forget the calls of before a moment."""
        ...
