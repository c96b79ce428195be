"""What is known of a disk beyond its bytes, in files beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imagebuilder.adapters.local.blockmap import BlockMap

_FILE = "record.json"
_REMEMBERED = "remembered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """For whom and when a disk was made, and what it holds.

    `has_name` tells that nobody else may keep or take the disk at hand of that name meanwhile.
    """

    name: str
    epoch: int
    map: BlockMap
    has_name: bool

    def write(self, folder: Path) -> None:
        """Keep it in the disk's folder."""
        fields = {
            "name": self.name,
            "epoch": self.epoch,
            "map": self.map.written(),
            "has_name": self.has_name,
        }
        (folder / _FILE).write_text(json.dumps(fields))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Give the one in a folder, which `write` wrote."""
        fields = json.loads((folder / _FILE).read_text())
        return cls(
            name=str(fields["name"]),
            epoch=int(fields["epoch"]),
            map=BlockMap.read(fields["map"]),
            has_name=bool(fields["has_name"]),
        )


def set_remembered(folder: Path) -> None:
    """Note that the disk in a folder is at hand for the next."""
    (folder / _REMEMBERED).touch()


def is_remembered(folder: Path) -> bool:
    """Whether the disk in a folder was noted to be at hand."""
    return (folder / _REMEMBERED).exists()
