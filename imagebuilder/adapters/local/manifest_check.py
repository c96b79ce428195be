"""What a manifest from another machine may say.

Every name has to lie in a folder that the manifest itself makes, so that no link and no name can
lead out of the layer; nothing may be what only an overlay's own bookkeeping is.
"""

from collections.abc import Mapping

from imagebuilder.domain.layer import Entry, EntryKind, LayerTree

_LONGEST_PATH = 4096
_LARGEST_BYTES = 2**60
_HIGHEST_MODE = 0o7777
_HIGHEST_OWNER = 2**32 - 1
_LATEST_TIME = 2**40
_HIGHEST_DEVICE = 2**20 - 1
_OVERLAYS = ("trusted.overlay.", "user.overlay.")


def check_tree(tree: LayerTree) -> None:
    """Do nothing when a tree may be made. Raises: ValueError: it names what may not be."""
    root = tree.entries.get("/")
    if root is None or root.kind is not EntryKind.DIRECTORY:
        raise ValueError("it has no folder of its own")
    for path, entry in tree.entries.items():
        _check_path(path, tree.entries)
        _check_entry(path, entry, tree.entries)
    for path in tree.whiteouts:
        _check_path(path, tree.entries)
        if path in tree.entries:
            raise ValueError(f"{path!r} is and is not there")
    for path in tree.opaque:
        if path not in tree.entries or tree.entries[path].kind is not EntryKind.DIRECTORY:
            raise ValueError(f"{path!r} hides what is below it and is no folder")


def _check_path(path: str, entries: Mapping[str, Entry]) -> None:
    if path == "/":
        return
    names = path.split("/")
    if not path.startswith("/") or not {"", ".", ".."}.isdisjoint(names[1:]) or "\0" in path:
        raise ValueError(f"{path!r} is no name in a layer")
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"{path[:40]!r}... is too long a name")
    above = entries.get("/".join(names[:-1]) or "/")
    if above is None or above.kind is not EntryKind.DIRECTORY:
        raise ValueError(f"{path!r} lies in no folder of the layer")


def _check_entry(path: str, entry: Entry, entries: Mapping[str, Entry]) -> None:
    if not all(_is_number(number, _HIGHEST_OWNER) for number in (entry.uid, entry.gid)):
        raise ValueError(f"{path!r} has an owner that cannot be")
    if not all(_is_number(number, _HIGHEST_DEVICE) for number in entry.device or ()):
        raise ValueError(f"{path!r} is a device that cannot be")
    is_time = _is_number(entry.mtime, _LATEST_TIME) or _is_number(-entry.mtime, _LATEST_TIME)
    if not _is_number(entry.mode, _HIGHEST_MODE) or not is_time:
        raise ValueError(f"{path!r} has a mode or a time that cannot be")
    is_file = entry.kind is EntryKind.FILE
    if not _is_number(entry.size_bytes, _LARGEST_BYTES) or is_file != (entry.content is not None):
        raise ValueError(f"{path!r} has a size or bytes that cannot be")
    if (entry.kind is EntryKind.SYMLINK) != isinstance(entry.target, str):
        raise ValueError(f"{path!r} is a link to nowhere, or none with a target")
    is_device = entry.kind in (EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE)
    if is_device != (entry.device is not None):
        raise ValueError(f"{path!r} is a device of no number, or none with one")
    if entry.kind is EntryKind.CHARACTER_DEVICE and entry.device == (0, 0):
        raise ValueError(f"{path!r} would hide what is below as a file of the layer")
    if any(name.startswith(_OVERLAYS) for name, _ in entry.xattrs):
        raise ValueError(f"{path!r} has attributes that are an overlay's own")
    if entry.hard_link_of is not None:
        _check_link(path, entry.hard_link_of, entries)


def _check_link(path: str, first: str, entries: Mapping[str, Entry]) -> None:
    other = entries.get(first)
    is_first = other is not None and other.hard_link_of is None and first < path
    if other is None or not is_first or other.kind is EntryKind.DIRECTORY:
        raise ValueError(f"{path!r} is another name of what is not there")


def _is_number(value: object, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest
