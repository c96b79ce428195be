"""ScratchFolders: where work that may be cut off keeps what it needs to go on.

Every adapter must keep: a folder stays, with all that is in it, until it is dropped.
"""

from pathlib import PurePath
from typing import Protocol


class ScratchFolders(Protocol):
    """Folders by name."""

    def folder(self, name: str) -> PurePath:
        """Give the folder of a name, made if it is not there."""
        ...

    def drop(self, name: str) -> None:
        """Take the folder of a name away, if it is there."""
        ...
