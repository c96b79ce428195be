"""LocalDiskImporter: a disk that another program made, as the files that people take.

What it is read as is what its maker was told to write: to guess would let a raw disk pass for a
qcow2 file that names a file of this machine.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.conversion import Conversion
from imagebuilder.adapters.local.foreign_root import Walled
from imagebuilder.adapters.local.qcow2 import Qcow2
from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.disk import DiskIdentity
from imagebuilder.domain.plan import DEFAULT_SOURCE_DATE_EPOCH
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.disks import DiskUnreadable, ImportedDisk
from imagebuilder.ports.process import Command, CommandFailed, CommandRunner

_READ_AS = {
    ArtifactFormat.RAW: "raw",
    ArtifactFormat.QCOW2: "qcow2",
    ArtifactFormat.VMDK: "vmdk",
    ArtifactFormat.VHD: "vpc",
}
_GUESSED_SAFELY = {"raw", "qcow2"}
_LONGEST_SECONDS = 3600.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class LocalDiskImporter:
    """Reads disks with qemu's tools."""

    def __init__(self, commands: CommandRunner, work: Path) -> None:
        """Work in folders below work."""
        self._commands = commands
        self._work = work
        self._conversion = Conversion(commands)
        self._qcow2 = Qcow2(commands)

    @contextmanager
    def imported(
        self, file: PurePath, read_as: ArtifactFormat, formats: Sequence[ArtifactFormat]
    ) -> Iterator[ImportedDisk]:
        """Give a disk as a raw file and in formats; all is gone when the context ends.

        Raises: DiskUnreadable: it is none of that format, or stands on another file.
        """
        with working_folder(self._work, "import-") as folder:
            raw = folder / "disk.raw"
            self._refuse_references(file, read_as)
            argv = ["qemu-img", "convert", "-f", _READ_AS[read_as], "-O", "raw"]
            self._run([*argv, str(file), str(raw)], file)
            blocks = BlockMap.of(raw)
            yield ImportedDisk(
                raw=raw,
                digest=blocks.digest,
                size_bytes=raw.stat().st_size,
                files={each: self._made(raw, blocks.digest.hex, each) for each in formats},
            )

    def _made(self, raw: Path, digest: str, format_: ArtifactFormat) -> Path:
        made = raw.with_name(f"artifact.{format_.value}")
        identity = DiskIdentity.of(digest).disk
        match format_:
            case ArtifactFormat.RAW:
                copy_sparse(raw, made)
            case ArtifactFormat.QCOW2:
                self._qcow2.convert(raw, made)
            case ArtifactFormat.VMDK:
                self._conversion.vmdk(raw, made, identity)
            case ArtifactFormat.VHD:
                self._conversion.vhd(raw, made, identity, DEFAULT_SOURCE_DATE_EPOCH)
            case ArtifactFormat.TAR:
                raise ValueError("of a disk alone no tar file is made")
        return made

    def _refuse_references(self, file: PurePath, read_as: ArtifactFormat) -> None:
        """See that all of a disk is in its file: else it could be any of this machine's files."""
        argv = ["qemu-img", "info", "-f", _READ_AS[read_as], "--output=json", str(file)]
        told = json.loads(self._run(argv, file))
        if _others(told, file):
            raise DiskUnreadable(str(file), "It stands on another file.")

    def _run(self, argv: Sequence[str], file: PurePath) -> bytes:
        return _printed(self._commands, argv, file)


def require_plain(commands: CommandRunner, disk: PurePath, folder: Path) -> None:
    """Let a disk of ours pass that is safe with a program that guesses its format by its bytes.

    The first bytes of a raw disk are its image's to write, and may read as another format's, with
    files of this machine in it; so the program that guesses here sees none of those, but folder.
    Raises: DiskUnreadable.
    """
    argv = ["qemu-img", "info", "--output=json", str(disk)]
    told = json.loads(
        _printed(Walled(commands=commands, disk=Path(disk), folder=folder), argv, disk)
    )
    if told.get("format") not in _GUESSED_SAFELY or _others(told, disk):
        raise DiskUnreadable(str(disk), f"Programs take it for a {told.get('format')} disk.")


def _others(told: Mapping[str, Any], file: PurePath) -> list[str]:
    """Give the files that a disk stands on, beside its own."""
    specific = told.get("format-specific", {}).get("data", {})
    extents = {each.get("filename") for each in specific.get("extents", [])}
    others = {told.get("backing-filename"), specific.get("data-file"), *extents}
    return sorted(others - {str(file), None})


def _printed(commands: CommandRunner, argv: Sequence[str], file: PurePath) -> bytes:
    command = Command(argv=argv, environment=_ENVIRONMENT, timeout_seconds=_LONGEST_SECONDS)
    try:
        return commands.check(command).stdout
    except CommandFailed as failed:
        raise DiskUnreadable(str(file), failed.result.last_lines) from failed
