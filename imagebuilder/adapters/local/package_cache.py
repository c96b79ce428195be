"""What archives answered and will never answer otherwise, kept for the next build.

An address that names a version or a hash always means the same bytes. They are checked against the
digest that they are kept under, and apt checks them again inside.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit


class KeptAnswer:
    """One address's place in the cache. Shape: cache/<digest of address>/<digest of content>."""

    def __init__(self, cache: Path, address: str) -> None:
        """Look below cache; only what is named by its version or its hash lasts."""
        path = urlsplit(address).path
        self.is_lasting = path.endswith(".deb") or "/by-hash/" in path
        self._folder = cache / sha256(address.encode()).hexdigest()

    def found(self) -> BinaryIO | None:
        """Give the kept file, whole, or None."""
        if not self.is_lasting or not self._folder.is_dir():
            return None
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                continue
            opened = path.open("rb")
            if file_digest(opened, "sha256").hexdigest() == path.name:
                opened.seek(0)
                return opened
            opened.close()
            path.unlink(missing_ok=True)
        return None

    @contextlib.contextmanager
    def writing(self, size_bytes: int) -> Iterator["Copy"]:
        """Give a file to copy into, kept only when all of it arrived."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{os.getpid()}-{threading.get_ident()}"
        try:
            with temporary.open("wb") as opened:
                copy = Copy(opened)
                yield copy
            if copy.size_bytes == size_bytes:
                temporary.replace(self._folder / copy.digest.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)


class Copy:
    """A file in the making, with the digest of what it has so far."""

    def __init__(self, opened: BinaryIO) -> None:
        """Write to opened."""
        self._opened = opened
        self.digest = sha256()
        self.size_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Add a chunk."""
        self._opened.write(chunk)
        self.digest.update(chunk)
        self.size_bytes += len(chunk)
