"""Raw disks at hand: the newest of each image, which the next is made of without a copy.

raws/<name>.raw    the disk
raws/<name>.json   what it holds, written last and taken away first: without it the disk is nothing
raws/<name>.lock   held by whoever takes or keeps the disk of that name

Every one of them may be lost; it can be had again from its artifact. So nothing here waits for the
machine's disk: a record counts only in the boot that wrote it.
"""

import contextlib
import fcntl
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.domain.digest import Digest

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class RawsAtHand:
    """Keeps one raw disk a name."""

    def __init__(self, store: Path) -> None:
        """Keep them below store."""
        self._folder = store / "raws"

    @contextlib.contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Tell whether the name is ours alone in this context; nobody waits for it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path(name, "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def take(self, name: str, digest: Digest, target: Path) -> BlockMap | None:
        """Move the disk of a claimed name to target and give its map; None if it is another one."""
        found = self._map(name, digest)
        if found is not None:
            self._path(name, "json").unlink()
            _move(self._path(name, "raw"), target)
        return found

    def look(self, name: str, digest: Digest) -> Path | None:
        """Give the disk of a claimed name where it lies, to be read; None if it is another one."""
        return self._path(name, "raw") if self._map(name, digest) else None

    def keep(self, name: str, raw: Path, map_: BlockMap) -> None:
        """Keep a disk under a claimed name, in place of the one there. It must not change any more.

        The bytes are shared with raw where both lie on one file system.
        """
        record, kept = self._path(name, "json"), self._path(name, "raw")
        record.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)
        try:
            kept.hardlink_to(raw)
        except OSError:  # another file system
            copy_sparse(raw, kept)
        temporary = self._path(name, "new")
        temporary.write_text(_record_text(kept, map_))
        temporary.replace(record)

    def remove(self, name: str, needed: Collection[Digest]) -> int:
        """Take the disk of a name away unless it is a needed one, and give the bytes it took."""
        with self.claimed(name) as is_ours:
            record, raw = self._path(name, "json"), self._path(name, "raw")
            try:
                held = BlockMap.read(json.loads(record.read_text())["map"]).digest
            except (OSError, ValueError, KeyError, TypeError):
                # Without its record a disk is nothing.
                held = None
            if not is_ours or held in needed or not raw.exists():
                return 0
            size_bytes = raw.stat().st_blocks * 512
            record.unlink(missing_ok=True)
            raw.unlink()
            return size_bytes

    def _map(self, name: str, digest: Digest) -> BlockMap | None:
        try:
            fields = json.loads(self._path(name, "json").read_text())
            found = BlockMap.read(fields["map"])
            is_as_kept = fields["fingerprint"] == _fingerprint(self._path(name, "raw"))
        except (OSError, ValueError, KeyError, TypeError):
            # It is only a hint: whatever is wrong with it, the artifact is there.
            return None
        return found if is_as_kept and found.digest == digest else None

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.{ending}"


def _record_text(raw: Path, map_: BlockMap) -> str:
    return json.dumps({"fingerprint": _fingerprint(raw), "map": map_.written()})


def _fingerprint(raw: Path) -> list[int | str]:
    """Give what is another when anyone but us wrote to the file, or the machine went down."""
    status = raw.stat()
    return [_BOOT_ID.read_text().strip(), status.st_ino, status.st_size, status.st_mtime_ns]


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:  # another file system
        copy_sparse(source, target)
        source.unlink()
