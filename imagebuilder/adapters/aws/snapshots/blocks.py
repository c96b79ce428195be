"""Blocks of raw disks, as snapshots know them."""

import errno
import heapq
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import PurePath

from imagebuilder.ports.disks import BLOCK_BYTES

ZEROS = bytes(BLOCK_BYTES)


class RawDisk:
    """A raw disk that is read in any order by many threads, through one descriptor."""

    def __init__(self, path: PurePath) -> None:
        """Read a file; a hole is never touched."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size_bytes = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def block(self, index: int) -> bytes:
        """Give a block; what lies behind the end is zeros."""
        found = os.pread(self._descriptor, BLOCK_BYTES, index * BLOCK_BYTES)
        return found if len(found) == BLOCK_BYTES else found.ljust(BLOCK_BYTES, b"\0")

    def written(self) -> Iterator[int]:
        """Give, in order, the indexes of all blocks that are not wholly a hole."""
        after, position = 0, 0
        while position < self.size_bytes:
            try:
                start = os.lseek(self._descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                raise
            position = os.lseek(self._descriptor, start, os.SEEK_HOLE)
            first, after_last = start // BLOCK_BYTES, -(-position // BLOCK_BYTES)
            yield from range(max(first, after), after_last)
            after = after_last


def candidates(disk: RawDisk, base: RawDisk | None) -> Iterator[int]:
    """Give, in order, the indexes of blocks that may differ, where no base means zeros."""
    every: Iterable[int] = disk.written()
    if base is not None:
        # What the base holds and the disk does not must become zeros.
        every = heapq.merge(every, base.written())
    return (index for index, _ in groupby(every))


def changed(disk: RawDisk, base: RawDisk | None, index: int) -> bytes | None:
    """Give a block of a disk, or None where it is as in the base."""
    block = disk.block(index)
    return None if block == (ZEROS if base is None else base.block(index)) else block
