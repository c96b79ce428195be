"""ext4 made from a folder, in user space, the same bytes every time.

mke2fs takes names and contents; owners, times and extended attributes come from the tree alone, so
that nothing of the machine or of an overlay gets into the image.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from imagebuilder.adapters.local.debugfs import (
    TYPE_BITS,
    Debugfs,
    Listed,
    Listing,
    Place,
    ValueFiles,
    attribute_lines,
    owner_lines,
    time_lines,
)
from imagebuilder.adapters.local.sparse import data_extents, zero
from imagebuilder.domain.disk import FILE_SYSTEM_BLOCK_BYTES, DiskIdentity, FileSystemPlan
from imagebuilder.domain.errors import Broken
from imagebuilder.domain.layer import Entry, EntryKind, Tree
from imagebuilder.ports.process import Command, CommandFailed, CommandRunner

_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
_CONFIGURATION = "[fs_types]\n\text4 = {\n\t}\n"
_LOST_AND_FOUND = "/lost+found"
_FREE_BLOCKS = re.compile(rb"\n  Free blocks: (\d[^\n]*)\n")
_FULL = (b"Could not allocate", b"No free space in")
"""What libext2fs says when the file system, and not the machine's own disk, is full."""


class FileSystemFull(Exception):
    """The files do not fit; whoever knows the disk says how much is needed."""


class TreeNotAsRecorded(Broken):
    """The root folder does not hold what its layers recorded."""

    code = "tree-not-as-recorded"

    def __init__(self, path: str, *, reason: str) -> None:
        """Name the first path that differs."""
        super().__init__(
            f"The file system of the image is not as its layers recorded it: {path} {reason}.",
            hint="Build again with --no-cache; if it happens again, this is a fault of ours.",
        )


class Ext4:
    """Makes and checks ext4 file systems."""

    def __init__(self, commands: CommandRunner, folder: Path, epoch: int) -> None:
        """Use folder for small files; whatever the clock says, the moment is epoch."""
        self._commands = commands
        self._folder = folder
        configuration = folder / "mke2fs.conf"
        configuration.write_text(_CONFIGURATION)
        self._environment = {
            "LC_ALL": "C",
            "TZ": "UTC",
            "E2FSPROGS_FAKE_TIME": str(epoch),
            "SOURCE_DATE_EPOCH": str(epoch),
            "MKE2FS_CONFIG": str(configuration),
        }

    def editor(self, place: Place) -> Debugfs:
        """Give the means to read and edit a file system."""
        return Debugfs(self._commands, place, self._environment)

    def values(self) -> ValueFiles:
        """Give the place for values of extended attributes."""
        return ValueFiles(self._folder / "values")

    def make(
        self, place: Place, plan: FileSystemPlan, identity: DiskIdentity, root: PurePath
    ) -> None:
        """Make a file system with the names and contents of a folder, into holes of a raw disk.

        Raises: FileSystemFull; CommandFailed.
        """
        options = (
            f"offset={place.offset_bytes}",
            f"hash_seed={identity.hash_seed}",
            # The disk is a new file: all zeros. Else the first boot would write all inode tables.
            "assume_storage_prezeroed=1",
            "root_owner=0:0",
            "no_copy_xattrs",
        )
        argv = (
            *("mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-L", "root"),
            *("-b", str(FILE_SYSTEM_BLOCK_BYTES), "-I", "256", "-N", str(plan.inodes)),
            *("-J", f"size={plan.journal_mib}", "-U", str(identity.root_file_system)),
            *("-E", ",".join(options), "-d", str(root)),
            *(str(place.raw), str(plan.blocks)),
        )
        result = self._commands.run(Command(argv=argv, environment=self._environment))
        if any(words in result.stderr for words in _FULL):
            raise FileSystemFull
        if result.exit_status != 0:
            raise CommandFailed(
                result, hint="Look at the messages above, and at the free space of this machine."
            )

    def stamp(self, place: Place, tree: Tree) -> None:
        """Give everything in a new file system the owner, times and attributes of the tree.

        Raises: TreeNotAsRecorded; FileSystemEditFailed.
        """
        editor = self.editor(place)
        listing = editor.survey()
        check_listing(listing, tree, ignore_owner=True)
        values = self.values()
        script: list[bytes] = []
        done: set[int] = set()
        for path, entry in sorted(tree.items()):
            listed = listing[path]
            if listed.inode not in done:
                done.add(listed.inode)
                script += _stamp_lines(listed, entry, values)
        editor.apply(script)

    def zero_free_blocks(self, place: Place) -> None:
        """Leave nothing on the disk of what the file system no longer holds.

        Raises: CommandFailed.
        """
        argv = ("dumpe2fs", str(place))
        told = self._commands.check(Command(argv=argv, environment=self._environment)).stdout
        with place.raw.open("r+b") as disk:
            for first, last in _free_ranges(told):
                start = place.offset_bytes + first * FILE_SYSTEM_BLOCK_BYTES
                end = place.offset_bytes + (last + 1) * FILE_SYSTEM_BLOCK_BYTES
                for data_start, data_end in data_extents(disk.fileno(), end, start):
                    zero(disk.fileno(), data_start, min(data_end, end))

    def check(self, place: Place) -> None:
        """Look for faults. Raises: CommandFailed: there are some."""
        self._commands.check(
            Command(argv=("e2fsck", "-fn", str(place)), environment=self._environment)
        )


def _free_ranges(told: bytes) -> Iterable[tuple[int, int]]:
    """Give the first and last blocks that are free, as dumpe2fs tells of them group by group."""
    for line in _FREE_BLOCKS.findall(told):
        for item in line.split(b", "):
            first, _, last = item.partition(b"-")
            yield int(first), int(last or first)


def check_listing(listing: Listing, tree: Tree, *, ignore_owner: bool = False) -> None:
    """Compare what a file system lists with the part of a tree it should be.

    Raises: TreeNotAsRecorded: a name, kind, size, hard link or (unless ignored) owner differs.
    """
    for path in sorted(listing.keys() - tree.keys() - {_LOST_AND_FOUND}):
        raise TreeNotAsRecorded(path, reason="should not be there")
    for path, entry in tree.items():
        listed = listing.get(path)
        if listed is None:
            raise TreeNotAsRecorded(path, reason="is missing")
        if (reason := _difference(listed, entry, ignore_owner=ignore_owner)) is not None:
            raise TreeNotAsRecorded(path, reason=reason)
    _check_links(listing, tree)


def _difference(listed: Listed, entry: Entry, *, ignore_owner: bool) -> str | None:
    mode = TYPE_BITS[entry.kind] | entry.mode
    if listed.mode & ~0o7777 != TYPE_BITS[entry.kind]:
        return f"is no {entry.kind}"
    if entry.kind is EntryKind.FILE and listed.size_bytes != entry.size_bytes:
        return f"has {listed.size_bytes} bytes, not {entry.size_bytes}"
    if not ignore_owner and (listed.mode, listed.uid, listed.gid) != (mode, entry.uid, entry.gid):
        return "has another mode or owner"
    return None


def _check_links(listing: Listing, tree: Tree) -> None:
    """Hold that names are of one file exactly where the tree says so."""
    firsts: dict[int, str] = {}
    inodes: dict[str, int] = {}
    for path, entry in tree.items():
        inode, first = listing[path].inode, entry.hard_link_of or path
        if firsts.setdefault(inode, first) != first or inodes.setdefault(first, inode) != inode:
            raise TreeNotAsRecorded(path, reason="has other hard links")


def _stamp_lines(listed: Listed, entry: Entry, values: ValueFiles) -> Iterable[bytes]:
    target = b"<%d>" % listed.inode
    mode = TYPE_BITS[entry.kind] | entry.mode
    if (listed.mode, listed.uid, listed.gid) != (mode, entry.uid, entry.gid):
        yield from owner_lines(target, entry)
    yield from attribute_lines(target, entry, values)
    yield from time_lines(target, entry)
