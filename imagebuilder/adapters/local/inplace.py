"""The difference between two trees as commands that turn the one's file system into the other's.

What did not change is not touched, and so keeps its blocks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from imagebuilder.adapters.local.debugfs import (
    Unspeakable,
    ValueFiles,
    attribute_lines,
    owner_lines,
    quoted,
    time_lines,
)
from imagebuilder.domain.layer import (
    Entry,
    EntryKind,
    Tree,
    TreeChange,
    difference,
    link_groups,
    total_size_bytes,
)

_LARGEST_CHANGE = 0.25
"""Of all bytes: beyond it, following saves nothing and frays the layout."""


class CannotFollow(Exception):
    """The disk must be laid out anew; the reason is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Commands for debugfs, and the folders whose names they change."""

    script: tuple[bytes, ...]
    folders: tuple[str, ...]


def edit_between(old: Tree, new: Tree, root: PurePath, values: ValueFiles) -> Edit:
    """Give what turns a file system that holds old into one that holds new.

    Raises: CannotFollow: too much changed, or a name cannot be spoken.
    """
    change = difference(old, new)
    made = sorted({*change.added, *change.content_changed})
    _refuse_large(made, new)
    gone = sorted({*change.removed, *change.content_changed}, reverse=True)
    folders = sorted({parent(path) for path in (*made, *gone)} & new.keys())
    try:
        script = (
            *(line for path in gone for line in _removal(path, old[path])),
            *(line for path in made for line in _creation(path, new[path], root)),
            *_dressing(old, new, change, values),
            *_link_counts(old, new, {*made, *gone}),
            *(line for path in folders for line in time_lines(quoted(path), new[path])),
        )
    except Unspeakable as error:
        raise CannotFollow(str(error)) from error
    return Edit(script=script, folders=tuple(folders))


def parent(path: str) -> str:
    """Give the folder a path lies in."""
    return path.rpartition("/")[0] or "/"


def _refuse_large(made: Iterable[str], new: Tree) -> None:
    changed = sum(new[path].size_bytes for path in made if new[path].hard_link_of is None)
    whole = total_size_bytes(new)
    if changed > whole * _LARGEST_CHANGE:
        raise CannotFollow(f"{changed * 100 // max(whole, 1)} % of the bytes changed")


def _removal(path: str, entry: Entry) -> Iterable[bytes]:
    yield (b"rmdir " if entry.kind is EntryKind.DIRECTORY else b"rm ") + quoted(path)


def _creation(path: str, entry: Entry, root: PurePath) -> Iterable[bytes]:
    """Give the commands that make a name; its owner and times are set later."""
    if entry.hard_link_of is not None:
        yield b"ln %s %s" % (quoted(entry.hard_link_of), quoted(path))
        return
    match entry.kind:
        case EntryKind.FILE:
            yield b"write %s %s" % (quoted(Path(f"{root}{path}")), quoted(path))
        case EntryKind.DIRECTORY:
            yield b"mkdir " + quoted(path)
        case EntryKind.SYMLINK:
            yield b"symlink %s %s" % (quoted(path), quoted(entry.target or ""))
        case EntryKind.CHARACTER_DEVICE | EntryKind.BLOCK_DEVICE:
            letter = b"c" if entry.kind is EntryKind.CHARACTER_DEVICE else b"b"
            major, minor = entry.device or (0, 0)
            yield from _node(path, b"%s %d %d" % (letter, major, minor))
        case EntryKind.FIFO:
            yield from _node(path, b"p")
        case EntryKind.SOCKET:
            raise CannotFollow(f"debugfs makes no sockets, such as {path}")


def _node(path: str, kind: bytes) -> Iterable[bytes]:
    # mknod takes a path for a name; only from within the folder does it mean what it says.
    yield b"cd " + quoted(parent(path))
    yield b"mknod %s %s" % (quoted(path.rpartition("/")[2]), kind)
    yield b"cd /"


def _dressing(old: Tree, new: Tree, change: TreeChange, values: ValueFiles) -> Iterable[bytes]:
    """Give the commands for owners, attributes and times of all that was made or changed."""
    made = {*change.added, *change.content_changed}
    for path in sorted({*change.added, *change.changed}):
        entry, target = new[path], quoted(path)
        if entry.hard_link_of is not None:
            continue  # its first name has the same inode
        yield from owner_lines(target, entry)
        if path in made:
            yield from attribute_lines(target, entry, values)
        elif old[path].xattrs != entry.xattrs:
            for name, _ in old[path].xattrs:
                yield b"ea_rm %s %s" % (target, quoted(name))
            yield from attribute_lines(target, entry, values)
        yield from time_lines(target, entry)


def _link_counts(old: Tree, new: Tree, touched: set[str]) -> Iterable[bytes]:
    """Give the commands that set how many names a file has: `ln` does not count.

    Files that lost names are among them: their count is right, and said again.
    """
    grown = link_groups(new)
    for first in sorted({*grown, *link_groups(old)} & new.keys()):
        names = {first, *grown.get(first, ())}
        if names & touched and new[first].kind is not EntryKind.DIRECTORY and len(names) > 1:
            yield b"sif %s links_count %d" % (quoted(first), len(names))
