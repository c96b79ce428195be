"""Scratch folders that only have names."""

from pathlib import PurePath


class FakeScratch:
    """Remembers which folders there are, and which were dropped."""

    def __init__(self) -> None:
        """Begin without any."""
        self.there: set[str] = set()
        self.dropped: list[str] = []

    def folder(self, name: str) -> PurePath:
        """Give the folder of a name."""
        self.there.add(name)
        return PurePath("/scratch") / name

    def drop(self, name: str) -> None:
        """Take the folder of a name away."""
        self.there.discard(name)
        self.dropped.append(name)
