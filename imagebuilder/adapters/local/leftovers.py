"""What builds and distributions leave on this machine that is no layer and no blob."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from imagebuilder.adapters.local.workplace import remove_tree, sweep
from imagebuilder.ports.freeing import Leftover

_BLOCK_BYTES = 512


class Leftovers:
    """Packages in the cache, what deliveries go on with, locks and folders of the dead."""

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
        deliveries = [p for p in self._deliveries() if _newest(p) < limit]
        rooms = {delivery: sum(map(_room, delivery.rglob("*"))) for delivery in deliveries}
        found = [
            Leftover(
                what=what, size_bytes=sum(rooms.get(p) or _room(p) for p in paths), count=len(paths)
            )
            for what, paths in (
                ("packages", packages),
                ("deliveries", deliveries),
                ("locks", locks),
            )
            if paths
        ]
        if not only_look:
            for path in (*packages, *locks):
                path.unlink(missing_ok=True)
            for delivery in deliveries:
                remove_tree(delivery)
            for folder in {path.parent for path in packages}:
                with suppress(OSError):  # it holds other packages
                    folder.rmdir()
            for parent in ("work", "layers/incoming"):
                sweep(self._home / parent)
        return found

    def _files(self, folder: str) -> Iterator[Path]:
        yield from (path for path in (self._home / folder).glob("*/*") if path.is_file())

    def _deliveries(self) -> Iterator[Path]:
        """Give what is kept of deliveries that failed, for who tries them again."""
        yield from (path for path in (self._home / "deliveries").glob("*") if path.is_dir())

    def _locks(self) -> Iterator[Path]:
        """Give locks that are of one thing; nobody asks for the same again for long."""
        yield from (self._home / "locks").glob("run-*")
        yield from (self._home / "locks").glob("distribution *")
        yield from (self._home / "layers/locks").glob("*")


def _room(path: Path) -> int:
    return path.stat().st_blocks * _BLOCK_BYTES


def _newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _is_free(path: Path) -> bool:
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
