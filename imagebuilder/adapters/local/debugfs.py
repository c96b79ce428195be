"""debugfs: an ext4 file system inside a raw disk, read and edited without a mount.

debugfs exits with 0 whatever happens; what it says on its error stream, beyond its own name, is a
refusal.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.layer import Entry, EntryKind
from imagebuilder.ports.process import Command, CommandResult, CommandRunner

ROOT_INODE = 2

_SUPERBLOCK_AT = 1024
_SUPERBLOCK_BYTES = 1024

_BANNER = re.compile(rb"debugfs \d[^\n]*\n")
_LISTED = re.compile(rb"/(\d+)/(\d{6})/(-?\d+)/(-?\d+)/([^/]*)/(\d*)/\n")
_LARGEST_OWNER = 0xFFFFFFFF
_LONGEST_LINE_BYTES = 8000
"""debugfs reads lines into 8192 bytes and takes the rest of a longer one for the next command."""
_LISTING_LIMIT_BYTES = 256 * 1024 * 1024

TYPE_BITS: Mapping[EntryKind, int] = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
    EntryKind.CHARACTER_DEVICE: stat.S_IFCHR,
    EntryKind.BLOCK_DEVICE: stat.S_IFBLK,
    EntryKind.FIFO: stat.S_IFIFO,
    EntryKind.SOCKET: stat.S_IFSOCK,
}


class Unspeakable(Exception):
    """A name that debugfs has no way to be told."""


class FileSystemEditFailed(StepFailed):
    """debugfs did not do what it was told."""

    code = "file-system-edit-failed"

    def __init__(self, said: str) -> None:
        """Repeat what it said."""
        super().__init__(
            "The image's file system could not be written to.",
            context=said,
            hint="Look at the messages above, and at the free space of this machine.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a file system lies. Invariant: `raw` has no question mark in its path."""

    raw: Path
    offset_bytes: int

    def __str__(self) -> str:
        """Read as the tools of e2fsprogs take it."""
        return f"{self.raw}?offset={self.offset_bytes}"

    def read_superblock(self) -> bytes:
        """Give the bytes of the superblock."""
        with self.raw.open("rb") as disk:
            disk.seek(self.offset_bytes + _SUPERBLOCK_AT)
            return disk.read(_SUPERBLOCK_BYTES)

    def write_superblock(self, superblock: bytes) -> None:
        """Put back the bytes of a superblock."""
        with self.raw.open("r+b") as disk:
            disk.seek(self.offset_bytes + _SUPERBLOCK_AT)
            disk.write(superblock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A name as the file system has it. Shape: `mode` has the type bits too."""

    inode: int
    mode: int
    uid: int
    gid: int
    size_bytes: int

    @property
    def is_folder(self) -> bool:
        """Whether it has names below it."""
        return stat.S_ISDIR(self.mode)


Listing = Mapping[str, Listed]
"""Shape: absolute path -> what is there; folders that were not asked for are not looked into."""


class Debugfs:
    """Speaks to debugfs about one file system, at a fixed moment."""

    def __init__(
        self, commands: CommandRunner, place: Place, environment: Mapping[str, str]
    ) -> None:
        """Work on the file system at place."""
        self._commands = commands
        self._place = place
        self._environment = environment

    def apply(self, script: Sequence[bytes], undo: Path | None = None) -> None:
        """Do what the lines say, keeping in undo what was there before.

        Raises: FileSystemEditFailed: some were refused.
        """
        if not script:
            return
        if undo is None:
            self._run(script, "-w")
        else:
            _superblock_file(undo).write_bytes(self._place.read_superblock())
            self._run(script, "-w", "-z", str(undo))

    def roll_back(self, undo: Path) -> None:
        """Give the file system the bytes that undo kept, if anything was done at all.

        Raises: CommandFailed.
        """
        if undo.exists():
            offset = str(self._place.offset_bytes)
            argv = ("e2undo", "-f", "-o", offset, str(undo), str(self._place.raw))
            self._commands.check(Command(argv=argv, environment=self._environment))
            # e2undo counts what it writes as written to the file system.
            self._place.write_superblock(_superblock_file(undo).read_bytes())

    def survey(self) -> dict[str, Listed]:
        """Give every name of the file system, its root as "/" among them.

        Raises: FileSystemEditFailed: a folder has two names, and so may lie within itself.
        """
        found: dict[str, Listed] = {}
        seen = {ROOT_INODE}
        level = {ROOT_INODE: "/"}
        while level:
            listing = self._listed(level, [f"<{inode}>".encode() for inode in level])
            found.update(listing)
            level = {}
            for path, listed in listing.items():
                if listed.is_folder and path != "/":
                    if listed.inode in seen:
                        raise FileSystemEditFailed(f"The folder {path} has another name too.")
                    seen.add(listed.inode)
                    level[listed.inode] = path
        return found

    def list_folders(self, paths: Sequence[str]) -> dict[str, Listed]:
        """Give what is in some folders.

        Raises: Unspeakable: one has an unusual name; FileSystemEditFailed: one is not there.
        """
        return self._listed(dict(enumerate(paths)), [quoted(path) for path in paths])

    def answers(self, lines: Sequence[bytes]) -> list[bytes]:
        """Give what is said to each line, which changes nothing.

        Raises: FileSystemEditFailed: some were refused.
        """
        printed = self._run(lines, "-c").stdout if lines else b""
        headings = [b"debugfs: " + line + b"\n" for line in lines]
        found = []
        for number, heading in enumerate(headings):
            _, is_there, printed = printed.partition(heading)
            if not is_there:
                raise FileSystemEditFailed(f"There is no answer to {lines[number]!r}.")
            following = headings[number + 1] if number + 1 < len(headings) else None
            found.append(printed if following is None else printed.partition(following)[0])
        return found

    def _listed(self, folders: Mapping[int, str], names: Sequence[bytes]) -> dict[str, Listed]:
        """Give the names in folders. Shape: `names` are those of `folders`, in order."""
        lines = [b"ls -p " + name for name in names]
        printed = self._run(lines, "-c").stdout
        found: dict[str, Listed] = {}
        position = 0
        for line, folder in zip(lines, folders.values(), strict=True):
            heading = b"debugfs: " + line + b"\n"
            if not printed.startswith(heading, position):
                raise FileSystemEditFailed(f"The listing of {folder} is not readable.")
            position += len(heading)
            while entry := _LISTED.match(printed, position):
                position = entry.end()
                path = _joined(folder, entry[5])
                if path is not None:
                    found[path] = _read_listed(entry)
            position += printed.startswith(b"\n", position)
        return found

    def _run(self, script: Sequence[bytes], *options: str) -> CommandResult:
        result = self._commands.check(
            Command(
                argv=("debugfs", *options, "-f", "-", str(self._place)),
                environment=self._environment,
                stdin=b"\n".join(script) + b"\n",
                output_limit_bytes=_LISTING_LIMIT_BYTES,
            )
        )
        said = _BANNER.sub(b"", result.stderr, count=1)
        if said.strip() or result.dropped_bytes:
            raise FileSystemEditFailed(said.decode(errors="replace")[:4000])
        return result


class ValueFiles:
    """Values of extended attributes as files, which is how debugfs takes bytes."""

    def __init__(self, folder: Path) -> None:
        """Keep them in folder."""
        self._folder = folder

    def file(self, value: bytes) -> Path:
        """Give a file that holds value."""
        path = self._folder / Digest.of_bytes(value).hex
        if not path.exists():
            self._folder.mkdir(exist_ok=True)
            path.write_bytes(value)
        return path


def quoted(text: str | Path) -> bytes:
    """Give an argument as debugfs reads it. Raises: Unspeakable: it cannot."""
    name = os.fsencode(text)
    if b"\n" in name or b"\r" in name or len(name) > _LONGEST_LINE_BYTES // 2:
        raise Unspeakable(f"debugfs cannot be told the name {text!r}")
    return b'"' + name.replace(b'"', b'""') + b'"'


def _superblock_file(undo: Path) -> Path:
    return undo.with_suffix(".superblock")


def owner_lines(target: bytes, entry: Entry) -> Iterable[bytes]:
    """Give the commands that set mode and owner."""
    yield b"sif %s mode 0%o" % (target, TYPE_BITS[entry.kind] | entry.mode)
    yield b"sif %s uid %d" % (target, entry.uid)
    yield b"sif %s gid %d" % (target, entry.gid)


def time_lines(target: bytes, entry: Entry) -> Iterable[bytes]:
    """Give the commands that set all times to the entry's own.

    The other three are nobody's to choose; taken from the entry, they are the same on every disk.
    """
    for field in (b"mtime", b"ctime", b"atime", b"crtime"):
        yield b"sif %s %s @%d" % (target, field, entry.mtime)


def attribute_lines(target: bytes, entry: Entry, values: ValueFiles) -> Iterable[bytes]:
    """Give the commands that set the extended attributes. Raises: Unspeakable."""
    for name, value in entry.xattrs:
        file = values.file(bytes.fromhex(value))
        yield b"ea_set -f %s %s %s" % (quoted(file), target, quoted(name))


def _joined(folder: str, name: bytes) -> str | None:
    """Give the path of a name in a folder; the root is in itself, the others in their parents."""
    if name == b".":
        return "/" if folder == "/" else None
    if name in (b"..", b""):  # a slot without a name is free
        return None
    return f"{folder.rstrip('/')}/{os.fsdecode(name)}"


def _read_listed(entry: re.Match[bytes]) -> Listed:
    return Listed(
        inode=int(entry[1]),
        mode=int(entry[2], 8),
        # debugfs prints the upper half of all owners as negative numbers.
        uid=int(entry[3]) & _LARGEST_OWNER,
        gid=int(entry[4]) & _LARGEST_OWNER,
        size_bytes=int(entry[6] or 0),
    )
