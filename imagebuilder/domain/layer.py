"""Layers: what one planned step changed in a root file system, and how layers add up.

Entries describe; the bytes they speak of are kept by an adapter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.digest import Digest, digest_of

Tree = Mapping[str, "Entry"]
"""A whole file system. Shape: absolute path without trailing slash -> Entry; "/" is the root."""


class EntryKind(StrEnum):
    """What an entry of a file system is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    CHARACTER_DEVICE = "character-device"
    BLOCK_DEVICE = "block-device"
    FIFO = "fifo"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a file system and all that is kept of it.

    Shape: `xattrs` are (name, value in hex), sorted by name. `hard_link_of` is the first path (in
    byte order) of the same file in its layer, and None for that path itself and for single names.
    Units: `mtime` is whole seconds since 1970; `mode` is the twelve permission bits only.
    """

    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime: int
    size_bytes: int = 0
    content: Digest | None = None
    target: str | None = None
    device: tuple[int, int] | None = None
    xattrs: tuple[tuple[str, str], ...] = ()
    hard_link_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTree:
    """The change one layer makes to what is below it.

    Invariant: a path is never both in `entries` and in `whiteouts`; `opaque` are directories of
    `entries` that hide all that is below them.
    """

    entries: Mapping[str, Entry]
    whiteouts: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A finished layer in the store.

    Invariant: `content` is the digest of its tree; `parent_content` that of all the layers it was
    made on, None for the lowest. It fits on no others, even under the same key.
    """

    key: Digest
    content: Digest
    parent_content: Digest | None
    name: str
    created_at: datetime
    size_bytes: int
    evidence: Mapping[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeChange:
    """The difference between two trees, each list sorted by path.

    `changed` differ in anything that is kept; `content_changed`, a part of it, in bytes, target,
    kind, device or hard links, so that the name must be made anew.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    content_changed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the trees are the same."""
        return not (self.added or self.removed or self.changed)


def merged(layers: Iterable[LayerTree]) -> dict[str, Entry]:
    """Give the tree that the layers make together, lowest first.

    Source: the Linux kernel's overlayfs: whiteouts hide names, opaque directories hide what is
    below them, and anything but a directory over a directory hides the directory.
    """
    tree: dict[str, Entry] = {}
    made_by: dict[str, int] = {}
    for number, layer in enumerate(layers):
        replaced = {p for p, e in layer.entries.items() if e.kind is not EntryKind.DIRECTORY}
        # Only folders hide names below them; to look through the whole tree is worth avoiding.
        hidden = {
            path
            for path in layer.whiteouts | layer.opaque | replaced
            if path in tree and tree[path].kind is EntryKind.DIRECTORY
        }
        if hidden:
            tree = {path: entry for path, entry in tree.items() if not _is_under(path, hidden)}
        for path in layer.whiteouts:
            tree.pop(path, None)
        tree.update(layer.entries)
        made_by.update(dict.fromkeys(layer.entries, number))
    return _with_whole_links(tree, made_by)


def difference(old: Tree, new: Tree) -> TreeChange:
    """Give what must be done to turn old into new."""
    changed = [path for path, entry in new.items() if path in old and old[path] != entry]
    return TreeChange(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(changed)),
        content_changed=tuple(sorted(p for p in changed if _body(old[p]) != _body(new[p]))),
    )


def link_groups(tree: Tree) -> dict[str, list[str]]:
    """Give the names of every file with several. Shape: first path -> the others, sorted."""
    groups: dict[str, list[str]] = {}
    for path, entry in tree.items():
        if entry.hard_link_of is not None:
            groups.setdefault(entry.hard_link_of, []).append(path)
    return {first: sorted(others) for first, others in groups.items()}


def total_size_bytes(entries: Mapping[str, Entry]) -> int:
    """Give the bytes of all files, each counted once however many names it has."""
    return sum(e.size_bytes for e in entries.values() if e.hard_link_of is None)


def contents_of(layers: Iterable[Layer]) -> tuple[Digest, ...]:
    """Give what names the file system that layers make together."""
    return tuple(layer.content for layer in layers)


def stack_content(layers: Sequence[Layer]) -> Digest | None:
    """Give the content digest that the next layer is made on; None when there is nothing below.

    All layers count: one that changes nothing is the same on whatever it lies.
    """
    return digest_of([layer.content.hex for layer in layers]) if layers else None


def _body(entry: Entry) -> tuple[object, ...]:
    return (entry.kind, entry.content, entry.target, entry.device, entry.hard_link_of)


def _is_under(path: str, folders: set[str]) -> bool:
    """Whether path lies below one of the folders (a folder is not below itself)."""
    end = path.rfind("/")
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind("/", 0, end)
    return "/" in folders and path != "/"


def _with_whole_links(tree: dict[str, Entry], made_by: Mapping[str, int]) -> dict[str, Entry]:
    """Keep hard links among the names that are left of one file of one layer.

    A name that a higher layer touched or took away is no longer one of them, and the first of the
    others takes its place.
    """
    names: dict[tuple[int, str], list[str]] = {}
    for path, entry in tree.items():
        if entry.hard_link_of is not None:
            names.setdefault((made_by[path], entry.hard_link_of), []).append(path)
    for (number, first), others in names.items():
        is_whole = first in tree and made_by[first] == number
        leader = first if is_whole else min(others)
        for path in others:
            link = None if path == leader else leader
            tree[path] = replace(tree[path], hard_link_of=link)
    return tree
