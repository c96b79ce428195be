"""ForeignRoot: the ext4 root of a disk that others made, as a tar file, without a mount.

The kernel would trust what it mounts. debugfs reads it instead, between walls: it sees the disk and
programs of this machine, and writes to one folder. What it wrote is taken only where it agrees with
what the file system lists.
"""

import os
import re
import stat
import tarfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from imagebuilder.adapters.local.debugfs import Debugfs, FileSystemEditFailed, Listed, Place
from imagebuilder.domain.units import GIB, size_text
from imagebuilder.ports.process import (
    Command,
    CommandResult,
    CommandRunner,
    OnLine,
    RunningProcess,
)

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_LONGEST_SECONDS = 3600.0
_CAPABILITY = "security.capability"
_TOLD = re.compile(rb"^  security\.capability \((\d+)\)", re.MULTILINE)
_PAX = f"SCHILY.xattr.{_CAPABILITY}"
_LEFT_OUT = "/lost+found"
_MOST_TIMES = 2
"""So many times the size of the disk may its files claim."""
_MOST_HOLE_BYTES = 64 * GIB
"""So much more than the disk really holds may they claim: a disk can be any size at no cost."""
_STAT_BLOCK_BYTES = 512
"""Source: stat(2), st_blocks."""


class RootUnreadable(Exception):
    """A file system does not hold together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walled:
    """Runs programs that see one disk, and one folder that they may write to."""

    commands: CommandRunner
    disk: Path
    folder: Path

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run to the end, as the port says."""
        return self.commands.run(self._between(command), on_line)

    def check(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run, and give the result of what went well, as the port says."""
        return self.commands.check(self._between(command), on_line)

    def start(self, command: Command) -> AbstractContextManager[RunningProcess]:
        """Start a program, as the port says."""
        return self.commands.start(self._between(command))

    def attach(self, command: Command) -> int:
        """Run on our own terminal, as the port says."""
        return self.commands.attach(self._between(command))

    def _between(self, command: Command) -> Command:
        argv = ["bwrap", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
        for link in ("bin", "sbin", "lib", "lib64"):
            argv += ["--symlink", f"usr/{link}", f"/{link}"]
        argv += ["--ro-bind", str(self.disk), str(self.disk)]
        argv += ["--bind", str(self.folder), str(self.folder)]
        argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"]
        argv += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        return replace(
            command,
            argv=[*argv, "--", *command.argv],
            environment=_ENVIRONMENT,
            timeout_seconds=_LONGEST_SECONDS,
        )


class ForeignRoot:
    """One file system of a foreign disk."""

    def __init__(self, commands: CommandRunner, place: Place, folder: Path) -> None:
        """Read it at place; what was read lies in folder."""
        self._walled = Walled(commands=commands, disk=place.raw, folder=folder)
        self._place = place
        self._folder = folder
        self._files = folder / "files"
        self._debugfs = Debugfs(self._walled, place, _ENVIRONMENT)

    def archived(self, into: Path) -> None:
        """Write all of it into a tar file, but devices and the like. Raises: RootUnreadable."""
        try:
            listing = self._debugfs.survey()
            capabilities = self._capabilities(listing)
        except FileSystemEditFailed as error:
            raise RootUnreadable(error.context) from error
        self._refuse_large(listing)
        self._files.mkdir()
        argv = ("debugfs", "-R", f"rdump / {self._files}", str(self._place))
        # It complains of owners, which it may not set here; what matters is compared below.
        self._walled.check(Command(argv=argv))
        first: dict[int, str] = {}
        with tarfile.open(into, "w") as archive:
            for path, listed in sorted(listing.items()):
                if path == _LEFT_OUT or path.startswith(f"{_LEFT_OUT}/"):
                    continue
                member = self._member(path, listed)
                if listed.inode in first:
                    member.type, member.linkname = tarfile.LNKTYPE, first[listed.inode]
                    archive.addfile(member)
                elif stat.S_ISREG(listed.mode):
                    first[listed.inode] = member.name
                    if listed.inode in capabilities:
                        value = capabilities[listed.inode]
                        member.pax_headers = {_PAX: value.decode(errors="surrogateescape")}
                    with self._opened(path, listed) as content:
                        archive.addfile(member, content)
                elif listed.is_folder or stat.S_ISLNK(listed.mode):
                    archive.addfile(member)

    def _refuse_large(self, listing: Mapping[str, Listed]) -> None:
        """Let files pass that such a disk may hold: holes, and each name, are written out here."""
        claimed_bytes = sum(e.size_bytes for e in listing.values() if stat.S_ISREG(e.mode))
        disk = self._place.raw.stat()
        most_bytes = min(
            _MOST_TIMES * disk.st_size, disk.st_blocks * _STAT_BLOCK_BYTES + _MOST_HOLE_BYTES
        )
        if claimed_bytes > most_bytes:
            reason = "mostly holes, or names of the same"
            raise RootUnreadable(f"its files claim {size_text(claimed_bytes)}, {reason}")

    def _member(self, path: str, listed: Listed) -> tarfile.TarInfo:
        member = tarfile.TarInfo(f".{path}".rstrip("/"))
        member.mode = stat.S_IMODE(listed.mode)
        member.uid, member.gid = listed.uid, listed.gid
        dumped = self._dumped(path)
        if stat.S_ISLNK(listed.mode):
            member.type = tarfile.SYMTYPE
            member.linkname = os.readlink(dumped)  # noqa: PTH115 - a Path would tidy it up
        elif listed.is_folder:
            member.type, member.mtime = tarfile.DIRTYPE, int(dumped.stat().st_mtime)
        elif stat.S_ISREG(listed.mode):
            member.size, member.mtime = listed.size_bytes, int(dumped.lstat().st_mtime)
        return member

    def _dumped(self, path: str) -> Path:
        """Give where a name was written. Raises: RootUnreadable: a link lies on the way to it.

        A file system that has a name twice may have let a link be written where a folder is listed.
        """
        dumped = self._files / path.lstrip("/")
        if os.path.realpath(dumped.parent) != os.path.normpath(dumped.parent):
            raise RootUnreadable(f"{path} lies behind a link")
        return dumped

    def _opened(self, path: str, listed: Listed) -> BinaryIO:
        try:
            fd = os.open(self._dumped(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise RootUnreadable(f"{path} could not be read: {error.strerror}") from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size != listed.size_bytes:
            os.close(fd)
            raise RootUnreadable(f"{path} is not as the file system lists it")
        return os.fdopen(fd, "rb")

    def _capabilities(self, listing: Mapping[str, Listed]) -> Mapping[int, bytes]:
        """Give the capabilities of files. Shape: inode -> value of the attribute."""
        inodes = sorted({each.inode for each in listing.values() if stat.S_ISREG(each.mode)})
        told = self._debugfs.answers([b"ea_list <%d>" % inode for inode in inodes])
        having = [inode for inode, text in zip(inodes, told, strict=True) if _TOLD.search(text)]
        values = {inode: self._folder / f"value-{inode}" for inode in having}
        self._debugfs.answers(
            [
                b"ea_get -f %s <%d> %s" % (os.fsencode(file), inode, _CAPABILITY.encode())
                for inode, file in values.items()
            ]
        )
        return {inode: file.read_bytes() for inode, file in values.items()}
