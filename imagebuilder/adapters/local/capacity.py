"""Whether what an image holds fits on the disk its recipe asks for."""

from imagebuilder.adapters.local.inplace import parent
from imagebuilder.domain.disk import ALIGNMENT_BYTES, Contents, folder_entry_bytes, needed_bytes
from imagebuilder.domain.layer import EntryKind, Tree
from imagebuilder.ports.disks import DiskRequest, DiskTooSmall


def check_size(request: DiskRequest) -> None:
    """Refuse early what cannot fit. Raises: DiskTooSmall."""
    needed = needed_bytes(contents_of(request.tree), request.firmware)
    if request.size_bytes // ALIGNMENT_BYTES * ALIGNMENT_BYTES < needed:
        raise DiskTooSmall(asked_bytes=request.size_bytes, needed_bytes=needed)


def too_small(request: DiskRequest, estimated_bytes: int) -> DiskTooSmall:
    """Say how much a disk needs that turned out too small, although it had the size estimated."""
    asked = request.size_bytes
    return DiskTooSmall(asked_bytes=asked, needed_bytes=max(estimated_bytes, asked + asked // 4))


def contents_of(tree: Tree) -> Contents:
    """Give what a file system for a tree must have room for."""
    names: dict[str, int] = {
        path: 0 for path, entry in tree.items() if entry.kind is EntryKind.DIRECTORY
    }
    for path in tree:
        if path != "/":
            folder = parent(path)
            name_bytes = len(path.encode(errors="surrogateescape")) - len(folder) - 1
            names[folder] = names.get(folder, 0) + folder_entry_bytes(name_bytes)
    single = [entry for entry in tree.values() if entry.hard_link_of is None]
    return Contents.of(
        file_sizes=(entry.size_bytes for entry in single if entry.kind is EntryKind.FILE),
        folder_names=names.values(),
        links=sum(e.kind not in (EntryKind.FILE, EntryKind.DIRECTORY) for e in single),
    )
