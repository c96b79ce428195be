"""Virsh: one storage pool of a libvirt daemon, here or at another machine.

Source: virsh(1), libvirt 9.0; libvirt.org/formatstorage.html, volumes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml.ElementTree import ParseError, fromstring

from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.process import Command, CommandResult, CommandRunner, ProgramMissing
from imagebuilder.ports.targets import PlacingFailed, TargetRefused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_SECONDS = 60.0
_MOVING_SECONDS = 4 * 3600.0
_ABSENT = ("Storage volume not found", "Failed to get volume")
_UNHEARD = ("failed to connect", "Cannot recv data", "Connection reset", "End of file while")
_REFUSED = ("Storage pool not found", "authentication", "access denied", "Permission denied")
_INSTALL = "Install what speaks with libvirt: apt install libvirt-clients"
_CHECK = "Check the uri and the pool of the target, and that its daemon lets you in."
_FILE_POOLS = {"dir", "fs", "netfs", "gluster", "vstorage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a pool is like. `keeps_files` is no more than that; others keep raw disks alone."""

    is_running: bool
    keeps_files: bool
    available_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of the pool; `changed_at` is as the daemon writes it, empty where it knows not."""

    name: str
    path: str
    size_bytes: int
    changed_at: str
    backed_by: str


class Virsh:
    """Speaks with one pool."""

    def __init__(self, commands: CommandRunner, uri: str, pool: str) -> None:
        """Run virsh with commands; errors call the place by its key."""
        self._commands = commands
        self._uri = uri
        self._pool = pool
        self.place = f"libvirt:{uri}/{pool}"

    def pool(self) -> Pool:
        """Give what the pool is like. Raises: TargetUnavailable; TargetRefused; PlacingFailed."""
        told = self._checked("pool-info", "--bytes", "--", self._pool).stdout.decode(
            errors="replace"
        )
        words = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        described = self._xml("pool-dumpxml", "--", self._pool)
        return Pool(
            is_running=words.get("State", "").strip() == "running",
            keeps_files=described.get("type") in _FILE_POOLS,
            available_bytes=int(described.findtext("available", "0")),
        )

    def volume(self, name: str) -> Volume | None:
        """Give a volume, None when there is none. Raises: as `pool`."""
        call = ("vol-dumpxml", *self._of(name))
        result = self._run(*call)
        said = result.stderr.decode(errors="replace")
        if result.exit_status and any(words in said for words in _ABSENT):
            return None
        told = self._parsed(self._good(call, result))
        return Volume(
            name=name,
            path=told.findtext("target/path", ""),
            size_bytes=int(told.findtext("physical", told.findtext("capacity", "0"))),
            changed_at=told.findtext("target/timestamps/mtime", ""),
            backed_by=told.findtext("backingStore/path", ""),
        )

    def volumes(self) -> Sequence[Volume]:
        """Give every volume of the pool. Raises: as `pool`."""
        listed = self._checked("vol-list", "--", self._pool).stdout.decode(errors="replace")
        names = [line.strip().partition("  ")[0] for line in listed.splitlines() if line.strip()]
        return [volume for name in names if (volume := self.volume(name)) is not None]

    def create(self, name: str, size_bytes: int) -> None:
        """Make an empty volume. Raises: as `pool`."""
        options = ("--allocation", "0", "--format", "raw")
        self._checked("vol-create-as", *options, "--", self._pool, name, f"{size_bytes}B")

    def upload(self, name: str, file: Path) -> None:
        """Write a file into a volume, its holes left out. Raises: as `pool`."""
        self._checked(
            *("vol-upload", "--sparse", *self._of(name), str(file)),
            seconds=_MOVING_SECONDS,
        )
        self._checked("pool-refresh", "--", self._pool)

    def download(self, name: str, file: Path, size_bytes: int) -> None:
        """Write what a volume holds at its beginning into a file. Raises: as `pool`."""
        options = ("--sparse", "--length", str(size_bytes))
        self._checked(
            *("vol-download", *options, *self._of(name), str(file)),
            seconds=_MOVING_SECONDS,
        )

    def delete(self, name: str) -> None:
        """Delete a volume. Raises: as `pool`."""
        self._checked("vol-delete", *self._of(name))

    def users_of(self, path: str) -> Iterator[str]:
        """Give the machines whose disks are a file, or lie upon it. Raises: as `pool`."""
        listed = self._checked("list", "--all", "--name").stdout.decode(errors="replace")
        for name in filter(None, map(str.strip, listed.splitlines())):
            sources = self._xml("dumpxml", "--", name).findall("devices/disk//source")
            if any(path in source.attrib.values() for source in sources):
                yield name

    def _of(self, name: str) -> Sequence[str]:
        """Name a volume of the pool, whatever letters its name begins with."""
        return (f"--pool={self._pool}", "--", name)

    def _xml(self, *call: str) -> "Element":
        return self._parsed(self._checked(*call))

    def _parsed(self, result: CommandResult) -> "Element":
        try:
            found: Element = fromstring(result.stdout)
        except ParseError as error:
            raise TargetUnavailable(self.place, result.argv[-1], f"No XML: {error}.") from error
        return found

    def _checked(self, *call: str, seconds: float = _SECONDS) -> CommandResult:
        return self._good(call, self._run(*call, seconds=seconds))

    def _run(self, *call: str, seconds: float = _SECONDS) -> CommandResult:
        argv = ["virsh", "--quiet", "--connect", self._uri, *call]
        command = Command(argv=argv, environment=_ENVIRONMENT, timeout_seconds=seconds)
        try:
            return self._commands.run(command)
        except ProgramMissing as error:
            raise TargetUnavailable(self.place, call[0], error.message, _INSTALL) from error

    def _good(self, call: Sequence[str], result: CommandResult) -> CommandResult:
        if result.exit_status == 0:
            return result
        said = result.last_lines
        if result.has_timed_out or any(words in said for words in _UNHEARD):
            raise TargetUnavailable(self.place, call[0], said)
        if any(words in said for words in _REFUSED):
            raise TargetRefused(self.place, call[0], said, _CHECK)
        raise PlacingFailed(self.place, call[0], said)
