"""Block maps: which 512 KiB block of a disk holds what.

A block of zeros is no block, whether it is a hole or was written: the map, and so the digest, depends on
the bytes alone.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imagebuilder.adapters.local.sparse import data_extents
from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.ports.disks import BLOCK_BYTES

_THREADS = 2
_ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMap:
    """What a disk holds. Shape: `blocks` maps the number of a block to its SHA-256 in hex.

    Invariant: blocks of zeros are left out; numbers ascend.
    """

    size_bytes: int
    blocks: Mapping[int, str]

    @property
    def digest(self) -> Digest:
        """The identity of the disk's bytes."""
        return digest_of(
            {
                "block_bytes": BLOCK_BYTES,
                "size_bytes": self.size_bytes,
                "blocks": [[number, found] for number, found in self.blocks.items()],
            }
        )

    @classmethod
    def of(cls, raw: Path) -> Self:
        """Read a disk and give its map."""
        with raw.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            numbers = _data_blocks(opened.fileno(), size)
            hashes = _in_parallel(lambda part: _hashed(opened.fileno(), part), numbers)
        return cls(size_bytes=size, blocks=hashes)

    def following(self, raw: Path, predecessor: Path) -> tuple[Self, tuple[int, ...]]:
        """Give the map of a disk that was made from the one self describes, and what differs.

        Both are read, but only blocks that differ are hashed. Invariant: both have the same size.
        """
        with raw.open("rb") as new, predecessor.open("rb") as old:
            fds = (new.fileno(), old.fileno())
            both = {b for fd in fds for b in _data_blocks(fd, self.size_bytes)}
            changed = _in_parallel(lambda part: _differing(*fds, part), sorted(both))
        blocks = {**self.blocks, **changed}
        kept = {number: blocks[number] for number in sorted(blocks) if blocks[number]}
        return type(self)(size_bytes=self.size_bytes, blocks=kept), tuple(changed)

    def written(self) -> str:
        """Give the text of the map."""
        return json.dumps({"size_bytes": self.size_bytes, "blocks": list(self.blocks.items())})

    @classmethod
    def read(cls, text: str) -> Self:
        """Give the map that `written` wrote. Raises: ValueError, KeyError: it is something else."""
        fields = json.loads(text)
        blocks = {int(number): str(found) for number, found in fields["blocks"]}
        return cls(size_bytes=int(fields["size_bytes"]), blocks=blocks)


class _Part:
    """One thread's share of the blocks, and the memory it reads them into."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self._memory = [bytearray(BLOCK_BYTES) for _ in range(2)]

    def block(self, fd: int, number: int, place: int = 0) -> bytearray:
        """Give a block's bytes, good until the next one is read to the same place.

        What the file's end cuts off is zero.
        """
        memory = self._memory[place]
        found = os.preadv(fd, [memory], number * BLOCK_BYTES)
        if found < BLOCK_BYTES:
            memory[found:] = bytes(BLOCK_BYTES - found)
        return memory


def _in_parallel(work: Callable[[_Part], list[tuple[int, str]]], numbers: Sequence[int]) -> dict[int, str]:
    """Do a share of the blocks in each thread; reading and hashing both let the others run."""
    with ThreadPoolExecutor(_THREADS) as pool:
        shares = [_Part(numbers[first::_THREADS]) for first in range(_THREADS)]
        done = [pair for share in pool.map(work, shares) for pair in share]
    return dict(sorted(done))


def _hashed(fd: int, part: _Part) -> list[tuple[int, str]]:
    """Give the blocks that are not zero with their hashes."""
    found = ((number, _hash(part.block(fd, number))) for number in part.numbers)
    return [(number, hash_) for number, hash_ in found if hash_]


def _differing(new: int, old: int, part: _Part) -> list[tuple[int, str]]:
    """Give the blocks that differ with their new hashes; the hash of zeros is empty."""
    return [
        (number, _hash(part.block(new, number)))
        for number in part.numbers
        if part.block(new, number, 0) != part.block(old, number, 1)
    ]


def _hash(block: bytearray) -> str:
    return "" if block == _ZEROS else hashlib.sha256(block).hexdigest()


def _data_blocks(fd: int, size_bytes: int) -> list[int]:
    blocks: set[int] = set()
    for start, end in data_extents(fd, size_bytes):
        blocks.update(range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)))
    return sorted(blocks)
