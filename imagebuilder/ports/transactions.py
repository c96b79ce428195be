"""Transactions: what several stores of one catalogue do is kept together or not at all."""

from contextlib import AbstractContextManager
from typing import Protocol


class Transactions(Protocol):
    """Opens transactions that the stores of the same catalogue take part in by themselves."""

    def together(self) -> AbstractContextManager[None]:
        """Let all that this thread's stores read and write in the block be one transaction.

        What it reads, nobody changes before its end: transactions that write follow one another.
        An exception undoes all of it. A block within a block is a part of the outer one.

        Raises: StoreUnavailable; CatalogueDamaged.
        """
        ...
