"""Block maps: which 512 KiB block of a disk holds what.

A block of zeros is no block, whether it is a hole or was written: the map, and so the digest,
depends on the bytes alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
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
            # Reading and hashing both let the other thread run.
            with ThreadPoolExecutor(_THREADS) as pool:
                shares = [numbers[first::_THREADS] for first in range(_THREADS)]
                done = pool.map(lambda share: _hashed(opened.fileno(), share), shares)
            hashes = dict(sorted(pair for share in done for pair in share))
        return cls(size_bytes=size, blocks=hashes)

    def changed_since(self, before: Self) -> tuple[int, ...]:
        """Give the numbers of the blocks that differ from an earlier disk's, ascending."""
        numbers = self.blocks.keys() | before.blocks.keys()
        return tuple(sorted(n for n in numbers if self.blocks.get(n) != before.blocks.get(n)))

    def written(self) -> str:
        """Give the text of the map."""
        return json.dumps({"size_bytes": self.size_bytes, "blocks": list(self.blocks.items())})

    @classmethod
    def read(cls, text: str) -> Self:
        """Give the map that `written` wrote. Raises: ValueError, KeyError: it is something else."""
        fields = json.loads(text)
        blocks = {int(number): str(found) for number, found in fields["blocks"]}
        return cls(size_bytes=int(fields["size_bytes"]), blocks=blocks)


def _hashed(fd: int, numbers: Sequence[int]) -> list[tuple[int, str]]:
    """Give the blocks that are not zero with their hashes; what the file's end cuts off is zero."""
    memory = bytearray(BLOCK_BYTES)
    found = []
    for number in numbers:
        read = os.preadv(fd, [memory], number * BLOCK_BYTES)
        if read < BLOCK_BYTES:
            memory[read:] = bytes(BLOCK_BYTES - read)
        if memory != _ZEROS:
            found.append((number, hashlib.sha256(memory).hexdigest()))
    return found


def _data_blocks(fd: int, size_bytes: int) -> list[int]:
    blocks: set[int] = set()
    for start, end in data_extents(fd, size_bytes):
        blocks.update(range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)))
    return sorted(blocks)
