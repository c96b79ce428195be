"""Raw disks at hand: the newest of each image, kept so that the next can follow it at once.

raws/<name>.raw    the disk
raws/<name>.json   what it holds, written last and taken away first: without it the disk is worth nothing

Every one of them may be lost; it can be had again from its artifact.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.disks import BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDisk:
    """A raw disk and what it holds."""

    raw: Path
    map: BlockMap


class RawsAtHand:
    """Keeps one raw disk a name."""

    def __init__(self, store: Path) -> None:
        """Keep them below store."""
        self._folder = store / "raws"

    @contextlib.contextmanager
    def found(self, name: str, digest: Digest) -> Iterator[RawDisk | None]:
        """Give the disk of a name if it is the one with that digest; it stays so in this context."""
        with self._locked(name, fcntl.LOCK_SH):
            yield self._read(name, digest)

    def keep(self, name: str, disk: RawDisk, follows: Digest | None, changed: tuple[int, ...]) -> None:
        """Keep a disk in place of the one there; if that is the one it follows, only what changed.

        Durable: after a crash there is this disk, or the one before, or none.
        """
        with self._locked(name, fcntl.LOCK_EX):
            raw, record = self._raw(name), self._record(name)
            is_predecessor = follows is not None and self._read(name, follows) is not None
            record.unlink(missing_ok=True)
            _sync(self._folder)
            if is_predecessor:
                _copy_blocks(disk.raw, raw, changed)
            else:
                raw.unlink(missing_ok=True)
                copy_sparse(disk.raw, raw)
            _sync(raw)
            self._write(record, _record_text(raw, disk.map))

    def _read(self, name: str, digest: Digest) -> RawDisk | None:
        raw = self._raw(name)
        try:
            fields = json.loads(self._record(name).read_text())
            if fields["digest"] != digest.hex or fields["fingerprint"] != _fingerprint(raw):
                return None
            return RawDisk(raw=raw, map=BlockMap.read(fields["map"]))
        except (OSError, ValueError, KeyError, TypeError):
            # It is only a hint: whatever is wrong with it, the artifact is there.
            return None

    @contextlib.contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path(name, "lock").open("w") as lock:
            fcntl.flock(lock, how)
            yield

    def _raw(self, name: str) -> Path:
        return self._path(name, "raw")

    def _record(self, name: str) -> Path:
        return self._path(name, "json")

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.{ending}"

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_suffix(".new")
        with temporary.open("w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(path)
        _sync(self._folder)


def _record_text(raw: Path, map_: BlockMap) -> str:
    return json.dumps(
        {"digest": map_.digest.hex, "fingerprint": _fingerprint(raw), "map": map_.written()}
    )


def _fingerprint(raw: Path) -> list[int]:
    """Give what changes when anyone but us writes to the file."""
    status = raw.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _copy_blocks(source: Path, target: Path, numbers: tuple[int, ...]) -> None:
    with source.open("rb") as opened, target.open("r+b") as kept:
        for number in numbers:
            offset = number * BLOCK_BYTES
            os.pwrite(kept.fileno(), os.pread(opened.fileno(), BLOCK_BYTES, offset), offset)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
