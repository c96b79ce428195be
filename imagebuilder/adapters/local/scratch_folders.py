"""LocalScratch: folders that outlive the process they were made by, below a folder."""

from pathlib import Path

from imagebuilder.adapters.local.workplace import remove_tree


class LocalScratch:
    """Folders below one that is made when the first of them is wanted."""

    def __init__(self, parent: Path) -> None:
        """Keep them below parent."""
        self._parent = parent

    def folder(self, name: str) -> Path:
        """Give the folder of a name, made if it is not there."""
        folder = self._parent / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop(self, name: str) -> None:
        """Take the folder of a name away, if it is there."""
        folder = self._parent / name
        if folder.is_dir():
            remove_tree(folder)
