"""The forms a disk leaves in besides qcow2, made so that the same disk gives the same bytes.

Source: Microsoft's Virtual Hard Disk image format specification 1.0 (the footer); VMware's virtual
disk format 5.0 (the descriptor of a stream-optimised file).
"""

import re
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePath

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.process import Command, CommandRunner

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
_LONGEST_SECONDS = 3600

_READ_AS = {
    ArtifactFormat.RAW: "raw",
    ArtifactFormat.QCOW2: "qcow2",
    ArtifactFormat.VHD: "vpc",
    ArtifactFormat.VMDK: "vmdk",
}
"""The files that a disk can be had of, the cheapest first, and what qemu calls them."""

_NOT_IN_ARCHIVES = ("./proc/*", "./sys/*", "./dev/*")
"""What the kernel fills at every start."""

_VHD_FOOTER_BYTES = 512
_VHD_EPOCH = 946684800
"""Times of a VHD count from the year 2000."""
_VHD_TIME_AT, _VHD_CHECKSUM_AT, _VHD_ID_AT = 24, 64, 68
_VMDK_HEAD_BYTES = 64 * 1024
_VMDK_ID = re.compile(rb"\nCID=[0-9a-f]{1,8}\n")
"""qemu writes no leading zeros."""


class Conversion:
    """Makes files of other formats."""

    def __init__(self, commands: CommandRunner) -> None:
        """Run qemu-img and tar with commands."""
        self._commands = commands

    def vmdk(self, raw: Path, made: Path, identity: uuid.UUID) -> None:
        """Make a stream-optimised VMDK, which is what imports of clouds and vSphere take."""
        self._convert(raw, made, "vmdk", "subformat=streamOptimized")
        with made.open("r+b") as opened:
            head = opened.read(_VMDK_HEAD_BYTES)
            opened.seek(0)
            opened.write(_named_head(head, identity))

    def vhd(self, raw: Path, made: Path, identity: uuid.UUID, epoch: int) -> None:
        """Make a VHD of fixed size, which is what Azure takes."""
        self._convert(raw, made, "vpc", "subformat=fixed,force_size=on")
        with made.open("r+b") as opened:
            opened.seek(-_VHD_FOOTER_BYTES, 2)
            footer = opened.read(_VHD_FOOTER_BYTES)
            opened.seek(-_VHD_FOOTER_BYTES, 2)
            opened.write(_fixed_footer(footer, identity, epoch))

    def restored(
        self, files: Mapping[ArtifactFormat, PurePath], digest: Digest, made: Path
    ) -> Path:
        """Give the raw disk of the files it was handed out as: one of them, or made of one.

        Raises: DigestMismatch: the file holds another disk; CommandFailed: it is damaged.
        """
        format_ = next(known for known in _READ_AS if known in files)
        raw = Path(files[format_])
        if format_ is not ArtifactFormat.RAW:
            read_as = ["-f", _READ_AS[format_], "-O", "raw", "-m", "16", "-W"]
            self._check(["qemu-img", "convert", *read_as, str(raw), str(made)])
            raw = made
        found = BlockMap.of(raw).digest
        if found != digest:
            what = f"The disk that the {format_} file holds"
            hint = "Build the image again: its layers are reused and the file is made anew."
            raise DigestMismatch(what, expected=digest, found=found, hint=hint)
        return raw

    def tar(self, root: PurePath, made: Path, epoch: int) -> None:
        """Make an archive of the root file system, without what the kernel fills."""
        argv = [
            *("tar", "--create", f"--file={made}", f"--directory={root}", "--format=posix"),
            *("--numeric-owner", "--sort=name", f"--mtime=@{epoch}", "--clamp-mtime"),
            *("--xattrs", "--xattrs-include=*", "--xattrs-exclude=trusted.overlay.*"),
            # Parts of seconds, and the moment of this run, are no property of the image.
            "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime,delete=mtime",
            "--anchored",
            *(f"--exclude={pattern}" for pattern in _NOT_IN_ARCHIVES),
            ".",
        ]
        self._check(argv)

    def _convert(self, raw: Path, made: Path, format_: str, options: str) -> None:
        argv = ["qemu-img", "convert", "-f", "raw", "-O", format_, "-o", options]
        self._check([*argv, str(raw), str(made)])

    def _check(self, argv: list[str]) -> None:
        self._commands.check(
            Command(argv=argv, environment=_ENVIRONMENT, timeout_seconds=_LONGEST_SECONDS)
        )


def _named_head(head: bytes, identity: uuid.UUID) -> bytes:
    """Give the head with a number of ours, as long as it was; qemu draws one."""
    found = _VMDK_ID.search(head)
    if found is None:
        raise ValueError("qemu-img wrote a VMDK without a CID")
    number = b"\nCID=%08x\n" % (identity.int & 0xFFFFFFFE)
    # What follows moves into the zeros that end the descriptor.
    end = head.index(b"\0", found.end())
    grown = len(number) - len(found.group())
    return head[: found.start()] + number + head[found.end() : end] + head[end + grown :]


def _fixed_footer(footer: bytes, identity: uuid.UUID, epoch: int) -> bytes:
    """Give the footer with the time and the id that belong to the image, and the sum over them."""
    fixed = bytearray(footer)
    struct.pack_into(">I", fixed, _VHD_TIME_AT, max(0, epoch - _VHD_EPOCH))
    fixed[_VHD_ID_AT : _VHD_ID_AT + 16] = identity.bytes
    struct.pack_into(">I", fixed, _VHD_CHECKSUM_AT, 0)
    struct.pack_into(">I", fixed, _VHD_CHECKSUM_AT, ~sum(fixed) & 0xFFFFFFFF)
    return bytes(fixed)
