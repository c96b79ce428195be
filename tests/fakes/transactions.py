"""Transactions of stores in memory, which keep what they are given at once."""

from collections.abc import Iterator
from contextlib import contextmanager


class FakeTransactions:
    """Counts the blocks that ended well, and knows whether one is open."""

    def __init__(self) -> None:
        """Begin outside of any."""
        self.committed = 0
        self.depth = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let a block be one transaction."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        self.committed += not self.depth
