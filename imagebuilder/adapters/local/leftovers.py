"""What builds leave on this machine that is no layer and no blob."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from imagebuilder.adapters.local.workplace import sweep
from imagebuilder.ports.freeing import Leftover

_BLOCK_BYTES = 512


class Leftovers:
    """Packages in the cache, locks of the dead and their working folders, below a home."""

    def __init__(self, home: Path) -> None:
        """Look below home."""
        self._home = home

    def remove(self, unused_since: datetime, *, only_look: bool) -> Sequence[Leftover]:
        """Take away what nobody used since a moment, or only say what that is.

        The folders of the dead go whenever somebody begins to work; here they are not waited for.
        """
        limit = unused_since.timestamp()
        packages = [p for p in self._files("cache/packages") if p.stat().st_mtime < limit]
        locks = [p for p in self._locks() if p.stat().st_mtime < limit and _is_free(p)]
        found = [
            Leftover(what=what, size_bytes=sum(map(_room, paths)), count=len(paths))
            for what, paths in (("packages", packages), ("locks", locks))
            if paths
        ]
        if not only_look:
            for path in (*packages, *locks):
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in packages}:
                with suppress(OSError):  # it holds other packages
                    folder.rmdir()
            for parent in ("work", "layers/incoming"):
                sweep(self._home / parent)
        return found

    def _files(self, folder: str) -> Iterator[Path]:
        yield from (path for path in (self._home / folder).glob("*/*") if path.is_file())

    def _locks(self) -> Iterator[Path]:
        """Give locks that are of one run or one layer; nobody asks for the same again for long."""
        yield from (self._home / "locks").glob("run-*")
        yield from (self._home / "layers/locks").glob("*")


def _room(path: Path) -> int:
    return path.stat().st_blocks * _BLOCK_BYTES


def _is_free(path: Path) -> bool:
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
