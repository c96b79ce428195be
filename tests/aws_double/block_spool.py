"""Blocks of snapshots, on disk and each only once."""

import os
import threading
from pathlib import Path

BLOCK_BYTES = 524288


class BlockSpool:
    """One file of blocks, found by their SHA-256."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._places: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._end = 0

    def keep(self, digest: bytes, block: bytes) -> None:
        """Keep a block; one that is kept already takes no room."""
        if digest in self._places:
            return
        with self._lock:
            place = self._end
            self._end += BLOCK_BYTES
        os.pwrite(self._descriptor, block, place)
        self._places[digest] = place

    def block(self, digest: bytes) -> bytes:
        """Give a block that is kept."""
        return os.pread(self._descriptor, BLOCK_BYTES, self._places[digest])

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)
