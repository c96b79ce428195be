"""qcow2 files: a raw disk compressed, or the predecessor's file with what changed in it."""

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.ports.disks import BLOCK_BYTES
from imagebuilder.ports.process import Command, CommandFailed, CommandRunner

_LONGEST_WRITE_BYTES = 16 * 1024 * 1024
_LARGEST_GROWTH = 1.3
_CLUSTER_BYTES = 64 * 1024
_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQ")
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
_ZEROS = bytes(_CLUSTER_BYTES)


class _Doubtful(Exception):
    """The patched file is not one we would hand out; it is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the first bytes of a file say. Source: QEMU, docs/interop/qcow2.txt."""

    size_bytes: int
    has_backing_file: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """A part of the disk that is all zeros, or all to be written."""

    start_bytes: int
    end_bytes: int
    is_zero: bool

    @property
    def size_bytes(self) -> int:
        return self.end_bytes - self.start_bytes


class Qcow2:
    """Makes qcow2 files. Every one stands alone: none has a backing file."""

    def __init__(self, commands: CommandRunner) -> None:
        """Run qemu's tools with commands."""
        self._commands = commands

    def convert(self, raw: Path, made: Path) -> None:
        """Make the file from all of the disk, always with the same bytes.

        Clusters are written in their order. Out of order (-W) it would take half the time, and the
        scheduler would say where each lies in the file.
        """
        options = ("-c", "-o", "compression_type=zstd", "-m", "16")
        self._check(
            "qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, str(raw), str(made)
        )

    def restore(self, artifact: Path, raw: Path) -> None:
        """Make the raw disk from the file. Raises: CommandFailed: it is damaged."""
        self._check(
            *("qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-m", "16", "-W"),
            *(str(artifact), str(raw)),
        )

    def patch(self, artifact: Path, raw: Path, changed: Sequence[int], made: Path) -> bool:
        """Make the file from the predecessor's, with the blocks that changed.

        False, and no file, when it must be made anew.
        """
        try:
            copy_sparse(artifact, made)
            self._write(raw, changed, made)
            self._accept(raw, made)
        except (OSError, _Doubtful, CommandFailed):
            # Whatever is wrong with the predecessor's file, the raw disk has it all.
            made.unlink(missing_ok=True)
            return False
        return True

    def _write(self, raw: Path, changed: Sequence[int], made: Path) -> None:
        """Write what changed, in one run of qemu-io.

        Its commands are split at spaces, so all files are named from their own folder.
        """
        argv = ["qemu-io", "-f", "qcow2", "-t", "unsafe", made.name]
        with contextlib.ExitStack() as pieces, raw.open("rb") as disk:
            stretches = list(_stretches(disk.fileno(), changed))
            for number, stretch in enumerate(stretches):
                span = f"{stretch.start_bytes} {stretch.size_bytes}"
                if stretch.is_zero:
                    argv += ["-c", f"write -q -z -u {span}"]
                    continue
                piece = made.with_name(f"piece-{number}")
                pieces.callback(piece.unlink, missing_ok=True)
                piece.write_bytes(os.pread(disk.fileno(), stretch.size_bytes, stretch.start_bytes))
                argv += ["-c", f"write -q -s {piece.name} {span}"]
            if stretches:
                command = Command(argv=argv, folder=str(made.parent), environment=_ENVIRONMENT)
                result = self._commands.check(command)
                # It is silent when all went well; its exit status does not tell in every version.
                if result.stdout.strip() or result.stderr.strip():
                    raise _Doubtful

    def _accept(self, raw: Path, made: Path) -> None:
        """Hold that the file is sound, of the right size, alone, and not much too large."""
        if _header(made) != _Header(size_bytes=raw.stat().st_size, has_backing_file=False):
            raise _Doubtful
        checked = self._check_metadata(made)
        allocated, compressed = (
            _number(checked, name) for name in ("allocated-clusters", "compressed-clusters")
        )
        size = made.stat().st_size
        fresh = size - (allocated - compressed) * _CLUSTER_BYTES
        if size > fresh * _LARGEST_GROWTH:
            raise _Doubtful

    def _check_metadata(self, made: Path) -> dict[str, object]:
        result = self._check("qemu-img", "check", "-f", "qcow2", "--output=json", str(made))
        fields = json.loads(result)
        if not isinstance(fields, dict):
            raise _Doubtful
        return fields

    def _check(self, *argv: str) -> bytes:
        command = Command(argv=argv, environment=_ENVIRONMENT, timeout_seconds=3600)
        return self._commands.check(command).stdout


def _header(made: Path) -> _Header:
    """Read the header. Raises: _Doubtful: it is none."""
    with made.open("rb") as opened:
        head = opened.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        raise _Doubtful
    _, _, backing_offset, _, _, size = _HEADER.unpack(head)
    return _Header(size_bytes=size, has_backing_file=backing_offset != 0)


def _number(fields: dict[str, object], name: str) -> int:
    found = fields.get(name, 0)
    return found if isinstance(found, int) else 0


def _stretches(disk: int, changed: Sequence[int]) -> Iterator[_Stretch]:
    """Give what changed as the longest stretches of one kind, cluster by cluster."""
    held: _Stretch | None = None
    for start, end in _clusters(disk, changed):
        is_zero = os.pread(disk, end - start, start) == _ZEROS[: end - start]
        if (
            held is not None
            and held.end_bytes == start
            and held.is_zero is is_zero
            and held.size_bytes < _LONGEST_WRITE_BYTES
        ):
            held = _Stretch(start_bytes=held.start_bytes, end_bytes=end, is_zero=is_zero)
            continue
        if held is not None:
            yield held
        held = _Stretch(start_bytes=start, end_bytes=end, is_zero=is_zero)
    if held is not None:
        yield held


def _clusters(disk: int, changed: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give the clusters of changed blocks, without what the end of the disk cuts off."""
    size = os.fstat(disk).st_size
    for number in sorted(changed):
        first = number * BLOCK_BYTES
        for start in range(first, min(first + BLOCK_BYTES, size), _CLUSTER_BYTES):
            yield start, min(start + _CLUSTER_BYTES, size)
