"""Manifests: what a layer's folder holds, scanned from the disk, written down and read back.

Source: the Linux kernel's overlayfs documentation: a whiteout is a character device 0:0, an opaque
directory carries trusted.overlay.opaque=y.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Entry, EntryKind, LayerTree
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.building import MostlyHoles

_OVERLAY_XATTRS = "trusted.overlay."
_MOST_HOLE_BYTES = 64 * GIB
"""A small archive can claim any size, and to read one file of it would take days."""
_STAT_BLOCK_BYTES = 512
"""Source: stat(2), st_blocks."""
_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFCHR: EntryKind.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    stat.S_IFIFO: EntryKind.FIFO,
    stat.S_IFSOCK: EntryKind.SOCKET,
}


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Give folder itself ("/") and every name below it, sorted, links not followed."""
    yield "/", folder.lstat()
    root = str(folder)
    # A list and no recursion: how deep folders lie is for the image to say.
    waiting = _listed(root, "")
    while waiting:
        path, status = waiting.pop()
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            waiting += _listed(root, path)


def _listed(root: str, prefix: str) -> list[tuple[str, os.stat_result]]:
    """Give the names in a folder, the last first."""
    with os.scandir(root + prefix) as found:
        entries = sorted(found, key=lambda entry: entry.name, reverse=True)
        return [(f"{prefix}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in entries]


def set_latest_time(folder: Path, latest: int) -> None:
    """Make every time after a moment that moment: when a file was written is no input."""
    moment = latest * 10**9
    for path, status in walk(folder):
        if status.st_mtime_ns > moment:
            os.utime(str(folder) + path, ns=(moment, moment), follow_symlinks=False)


def scan(folder: Path) -> LayerTree:
    """Give the change that an overlay's upper folder holds, every file's bytes read.

    Raises: MostlyHoles: they claim far more than there is.
    """
    entries: dict[str, Entry] = {}
    whiteouts, opaque = set(), set()
    names: dict[tuple[int, int], list[str]] = {}
    hole_bytes = 0
    for path, status in walk(folder):
        hole_bytes += _hole_bytes(status)
        if hole_bytes > _MOST_HOLE_BYTES:
            raise MostlyHoles(path, size_text(status.st_size), size_text(_MOST_HOLE_BYTES))
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            whiteouts.add(path)
            continue
        full = str(folder) + path
        xattrs = _xattrs(full)
        if xattrs.pop(_OVERLAY_XATTRS + "opaque", b"") == b"y":
            opaque.add(path)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            names.setdefault((status.st_dev, status.st_ino), []).append(path)
        entries[path] = _entry(full, status, xattrs)
    for group in names.values():
        first = min(group)
        for path in group:
            if path != first:
                entries[path] = replace(entries[path], hard_link_of=first)
    return LayerTree(entries=entries, whiteouts=frozenset(whiteouts), opaque=frozenset(opaque))


def _hole_bytes(status: os.stat_result) -> int:
    is_file = stat.S_ISREG(status.st_mode)
    return max(0, status.st_size - status.st_blocks * _STAT_BLOCK_BYTES) if is_file else 0


def _entry(full: str, status: os.stat_result, xattrs: Mapping[str, bytes]) -> Entry:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    is_device = kind in (EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE)
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns // 10**9,
        size_bytes=status.st_size if kind is EntryKind.FILE else 0,
        content=file_digest(full) if kind is EntryKind.FILE else None,
        target=str(Path(full).readlink()) if kind is EntryKind.SYMLINK else None,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else None,
        xattrs=tuple(
            (name, value.hex())
            for name, value in sorted(xattrs.items())
            if not name.startswith(_OVERLAY_XATTRS)
        ),
    )


def _xattrs(full: str) -> dict[str, bytes]:
    return {
        name: os.getxattr(full, name, follow_symlinks=False)
        for name in os.listxattr(full, follow_symlinks=False)
    }


def file_digest(path: str) -> Digest:
    """Give the digest of a file's bytes; a link is not followed."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())


def stamp(folder: Path) -> str:
    """Give a fingerprint of all sizes, times and inodes; it changes when anything is touched.

    Reading all bytes of a root takes a second, this a tenth; the change time cannot be set by a
    program, so nothing but the disk itself can change a byte and keep the fingerprint.
    """
    seen = hashlib.sha256()
    for path, status in walk(folder):
        facts = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        seen.update(f"{path}\0{status.st_ino}{facts}\n".encode(errors="surrogateescape"))
    return seen.hexdigest()


def first_difference(recorded: LayerTree, found: LayerTree) -> str | None:
    """Give the first path at which two scans of a layer differ, or None."""
    differing = {
        path
        for path in recorded.entries.keys() | found.entries.keys()
        if recorded.entries.get(path) != found.entries.get(path)
    }
    differing |= (recorded.whiteouts ^ found.whiteouts) | (recorded.opaque ^ found.opaque)
    return min(differing, default=None)


def written(tree: LayerTree) -> bytes:
    """Give the one text of a layer's tree; its digest is the layer's content digest."""
    lines = {
        "entries": [_row(path, entry) for path, entry in sorted(tree.entries.items())],
        "whiteouts": sorted(tree.whiteouts),
        "opaque": sorted(tree.opaque),
    }
    return json.dumps(lines, separators=(",", ":"), ensure_ascii=True).encode()


def read(text: bytes) -> LayerTree:
    """Give the tree that `written` wrote."""
    lines = json.loads(text)
    return LayerTree(
        entries={row[0]: _from_row(row) for row in lines["entries"]},
        whiteouts=frozenset(lines["whiteouts"]),
        opaque=frozenset(lines["opaque"]),
    )


_Row = tuple[
    str,
    str,
    int,
    int,
    int,
    int,
    int,
    str | None,
    str | None,
    tuple[int, int] | None,
    list[tuple[str, str]],
    str | None,
]


def _row(path: str, entry: Entry) -> _Row:
    return (
        path,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        entry.size_bytes,
        entry.content.hex if entry.content else None,
        entry.target,
        entry.device,
        list(entry.xattrs),
        entry.hard_link_of,
    )


def _from_row(row: _Row) -> Entry:
    _, kind, mode, uid, gid, mtime, size_bytes, content, target, device, xattrs, first = row
    return Entry(
        kind=EntryKind(kind),
        mode=mode,
        uid=uid,
        gid=gid,
        mtime=mtime,
        size_bytes=size_bytes,
        content=Digest(content) if content else None,
        target=target,
        device=(device[0], device[1]) if device else None,
        xattrs=tuple((name, value) for name, value in xattrs),
        hard_link_of=first,
    )
