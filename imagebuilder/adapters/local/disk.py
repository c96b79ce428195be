"""LocalDisks: disks made on this machine, in user space: no mount, loop device or device mapper.

A disk is made anew, or is the predecessor's with the difference applied to it. Whatever speaks
against following (another layout, too much change, a name that cannot be spoken, a fault found
afterwards) means anew. The predecessor's own bytes are taken for it; when the new disk is not
remembered, they are given back as they were.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from imagebuilder.adapters.local.at_hand import RawsAtHand
from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.adapters.local.bootloader import Bootloader, BootPart, write_parts
from imagebuilder.adapters.local.capacity import check_size, contents_of, too_small
from imagebuilder.adapters.local.conversion import Conversion
from imagebuilder.adapters.local.debugfs import Debugfs, FileSystemEditFailed, Place, Unspeakable
from imagebuilder.adapters.local.ext4 import (
    Ext4,
    FileSystemFull,
    TreeNotAsRecorded,
    check_listing,
)
from imagebuilder.adapters.local.inplace import CannotFollow, Edit, edit_between, parent
from imagebuilder.adapters.local.partition_table import PartitionTable, partition_table
from imagebuilder.adapters.local.qcow2 import Qcow2
from imagebuilder.adapters.local.record import Record, is_remembered, set_remembered
from imagebuilder.adapters.local.sparse import copy_sparse
from imagebuilder.adapters.local.stopwatch import Stopwatch
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.disk import (
    SECTOR_BYTES,
    DiskIdentity,
    DiskLayout,
    FileSystemPlan,
    needed_bytes,
)
from imagebuilder.domain.layer import Tree
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.disks import BuiltDisk, DiskRequest, Predecessor
from imagebuilder.ports.process import CommandFailed, CommandRunner

_GRUB_FOLDER = Path("/usr/lib/grub")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One disk in the making, with all that follows from its request."""

    request: DiskRequest
    folder: Path
    has_name: bool
    layout: DiskLayout
    identity: DiskIdentity
    table: PartitionTable
    boot_parts: Sequence[BootPart]
    watch: Stopwatch
    ext4: Ext4

    @property
    def raw(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def undo(self) -> Path:
        """Where debugfs keeps what it overwrites."""
        return self.folder / "undo"

    @property
    def taken(self) -> Path:
        """The file that tells which disk at hand the raw disk was."""
        return self.folder / "taken"

    @property
    def place(self) -> Place:
        return Place(raw=self.raw, offset_bytes=self.layout.root.start_bytes)

    @property
    def editor(self) -> Debugfs:
        return self.ext4.editor(self.place)


class LocalDisks:
    """Makes disks with e2fsprogs, GRUB, dosfstools, mtools and qemu's tools."""

    def __init__(self, commands: CommandRunner, clock: Clock, work: Path, store: Path) -> None:
        """Make disks below work; keep what the next may use below store."""
        self._commands = commands
        self._clock = clock
        self._work = work
        self._at_hand = RawsAtHand(store)
        self._bootloader = Bootloader(commands, store, _GRUB_FOLDER)
        self._qcow2 = Qcow2(commands)
        self._conversion = Conversion(commands)

    @contextlib.contextmanager
    def assemble(self, request: DiskRequest) -> Iterator[BuiltDisk]:
        """Make the disk; it is gone when the context ends.

        Raises: DiskTooSmall; GrubMissing; TreeNotAsRecorded; CommandFailed: a tool refused.
        """
        check_size(request)
        with (
            working_folder(self._work, "disk-") as folder,
            self._at_hand.claimed(request.name) as has_name,
        ):
            job = self._job(request, folder, has_name=has_name)
            try:
                yield self._built(job)
            finally:
                self._give_back(job)

    def complete(self, draft: BuiltDisk, held: Tree, request: DiskRequest) -> BuiltDisk:
        """Make a disk of one that was just assembled, which holds less, in its place.

        Raises: DiskTooSmall; TreeNotAsRecorded; CommandFailed: a tool refused.
        """
        check_size(request)
        folder = Path(draft.raw).parent
        before = Record.read(folder)
        job = self._job(request, folder, has_name=before.has_name)
        try:
            with job.watch.measured("file system"):
                edit = edit_between(held, request.tree, request.root, job.ext4.values())
                _apply(job, edit)
            with job.watch.measured("check"):
                _check_applied(job, edit)
        except CannotFollow as reason:
            job.raw.unlink()
            return self._made_anew(job, str(reason))
        with job.watch.measured("block map"):
            blocks = BlockMap.of(job.raw)
        with job.watch.measured("qcow2"):
            self._patch_draft(job, blocks.changed_since(before.map))
        return _built(job, blocks)

    def _patch_draft(self, job: _Job, changed: tuple[int, ...]) -> None:
        """Have the qcow2 file at hand, if there is one of the draft."""
        draft = _artifact(job.folder, ArtifactFormat.QCOW2)
        if draft.exists():
            self._qcow2.patch(draft, job.raw, changed, _patched(job.folder))

    def package(self, disk: BuiltDisk, root: PurePath, format_: ArtifactFormat) -> PurePath:
        """Make a file of a format in the disk's working folder; the caller takes it away."""
        raw = Path(disk.raw)
        made = _artifact(raw.parent, format_)
        made.unlink(missing_ok=True)
        record = Record.read(raw.parent)
        identity = DiskIdentity.of(f"{record.name}/{disk.digest.hex}").disk
        match format_:
            case ArtifactFormat.RAW:
                copy_sparse(raw, made)
            case ArtifactFormat.QCOW2:
                self._package_qcow2(disk, raw, made)
            case ArtifactFormat.TAR:
                self._conversion.tar(root, made, record.epoch)
            case ArtifactFormat.VMDK:
                self._conversion.vmdk(raw, made, identity)
            case ArtifactFormat.VHD:
                self._conversion.vhd(raw, made, identity, record.epoch)
        return made

    def archive(self, root: PurePath, source_date_epoch: int) -> PurePath:
        """Make a tar file of a root that needs no disk; the caller takes it away."""
        self._work.mkdir(parents=True, exist_ok=True)
        for left in self._work.glob("archive-*.tar"):
            if not Path(f"/proc/{left.name.split('-')[1]}").exists():
                left.unlink(missing_ok=True)
        prefix = f"archive-{os.getpid()}-"
        descriptor, made = tempfile.mkstemp(dir=self._work, prefix=prefix, suffix=".tar")
        os.close(descriptor)
        try:
            self._conversion.tar(root, Path(made), source_date_epoch)
        except BaseException:
            Path(made).unlink()
            raise
        return Path(made)

    @contextlib.contextmanager
    def recalled(
        self, name: str, digest: Digest, files: Mapping[ArtifactFormat, PurePath]
    ) -> Iterator[Path]:
        """Give a raw disk that was built before, to be read; it is gone when the context ends.

        Raises: DigestMismatch: none of the files holds that disk.
        """
        with self._at_hand.claimed(name) as is_ours, contextlib.ExitStack() as held:
            # While the name is ours, nobody makes the next disk of this one.
            found = self._at_hand.look(name, digest) if is_ours else None
            if found is None:
                folder = held.enter_context(working_folder(self._work, "disk-"))
                found = self._conversion.restored(files, digest, folder / "disk.raw")
            yield found

    def remember(self, name: str, disk: BuiltDisk) -> None:
        """Keep the raw disk at hand as the predecessor of the next; only a hint, it may be lost."""
        raw = Path(disk.raw)
        record = Record.read(raw.parent)
        with contextlib.ExitStack() as context:
            is_claimed = record.has_name and record.name == name
            if is_claimed or context.enter_context(self._at_hand.claimed(name)):
                self._at_hand.keep(name, raw, record.map)
                set_remembered(raw.parent)

    def _package_qcow2(self, disk: BuiltDisk, raw: Path, made: Path) -> None:
        patched = _patched(raw.parent)
        if patched.exists():
            patched.rename(made)
            return
        if disk.predecessor is not None and disk.changed_blocks is not None:
            artifact = Path(disk.predecessor.artifact)
            if self._qcow2.patch(artifact, raw, disk.changed_blocks, made):
                return
        self._qcow2.convert(raw, made)

    def _job(self, request: DiskRequest, folder: Path, *, has_name: bool) -> _Job:
        watch = Stopwatch(self._clock)
        layout = DiskLayout.for_firmware(request.size_bytes, request.firmware)
        identity = DiskIdentity.of(request.name)
        with watch.measured("boot loader"):
            boot_parts = self._bootloader.parts(layout, identity)
        return _Job(
            request=request,
            folder=folder,
            has_name=has_name,
            layout=layout,
            identity=identity,
            table=partition_table(layout, identity),
            boot_parts=boot_parts,
            watch=watch,
            ext4=Ext4(self._commands, folder, request.source_date_epoch),
        )

    def _built(self, job: _Job) -> BuiltDisk:
        """Make the disk from its predecessor's if it has one that can be followed, else anew."""
        if job.request.predecessor is None:
            return self._made_anew(job, "")
        try:
            return self._followed(job, job.request.predecessor)
        except CannotFollow as reason:
            self._give_back(job)
            job.raw.unlink(missing_ok=True)
            return self._made_anew(job, str(reason))

    def _made_anew(self, job: _Job, because: str) -> BuiltDisk:
        request, watch = job.request, job.watch
        with job.raw.open("wb") as disk:
            disk.truncate(job.layout.size_bytes)
        contents = contents_of(request.tree)
        plan = FileSystemPlan.for_size(job.layout.root.size_bytes, contents)
        try:
            with watch.measured("file system"):
                job.ext4.make(job.place, plan, job.identity, request.root)
        except FileSystemFull as error:
            raise too_small(request, needed_bytes(contents, request.firmware)) from error
        with watch.measured("owners and times"):
            job.ext4.stamp(job.place, request.tree)
        with watch.measured("check"):
            job.ext4.check(job.place)
        with watch.measured("boot area"):
            _write_table(job)
            write_parts(job.raw, job.boot_parts)
        with watch.measured("block map"):
            blocks = BlockMap.of(job.raw)
        return _built(job, blocks, because=because)

    def _followed(self, job: _Job, predecessor: Predecessor) -> BuiltDisk:
        """Make the disk of the predecessor's. Raises: CannotFollow."""
        request, watch = job.request, job.watch
        with watch.measured("difference"):
            edit = edit_between(predecessor.tree, request.tree, request.root, job.ext4.values())
        with watch.measured("predecessor"):
            before = self._predecessor_disk(job, predecessor)
        with watch.measured("file system"):
            _apply(job, edit)
        with watch.measured("check"):
            _check_applied(job, edit)
        with watch.measured("boot area"):
            write_parts(job.raw, job.boot_parts)
        with watch.measured("block map"):
            blocks = BlockMap.of(job.raw)
        return _built(job, blocks, changed=blocks.changed_since(before))

    def _predecessor_disk(self, job: _Job, predecessor: Predecessor) -> BlockMap:
        """Put the predecessor's raw disk in place, taken from at hand or made from its artifact.

        Raises: CannotFollow: it cannot be had, or is laid out in another way.
        """
        digest = predecessor.disk_digest
        found = self._at_hand.take(job.request.name, digest, job.raw) if job.has_name else None
        if found is not None:
            job.taken.write_text(digest.hex)
        else:
            found = self._restored(job.raw, predecessor)
        if not _has_layout(job.raw, job):
            raise CannotFollow("the disk before has another size or other partitions")
        return found

    def _restored(self, raw: Path, predecessor: Predecessor) -> BlockMap:
        try:
            self._qcow2.restore(Path(predecessor.artifact), raw)
        except CommandFailed as error:
            raise CannotFollow("the disk before cannot be read") from error
        blocks = BlockMap.of(raw)
        if blocks.digest != predecessor.disk_digest:
            raise CannotFollow("the disk before is damaged")
        return blocks

    def _give_back(self, job: _Job) -> None:
        """Keep the predecessor's disk again, if it was taken and nothing better came of it."""
        if not job.taken.exists() or is_remembered(job.folder):
            return
        digest = Digest(job.taken.read_text())
        with contextlib.suppress(CommandFailed):
            # Should it fail, the disk is lost, and made from its artifact by the next.
            job.editor.roll_back(job.undo)
            blocks = BlockMap.of(job.raw)
            if blocks.digest == digest:
                self._at_hand.keep(job.request.name, job.raw, blocks)
        job.taken.unlink()


def _artifact(folder: Path, format_: ArtifactFormat) -> Path:
    return folder / f"artifact.{format_.value}"


def _patched(folder: Path) -> Path:
    """Give where the qcow2 file of a completed disk waits."""
    return folder / "patched.qcow2"


def _apply(job: _Job, edit: Edit) -> None:
    """Change the file system; nothing is left of what is gone. Raises: CannotFollow: it failed."""
    try:
        job.editor.apply(edit.script, job.undo)
        job.ext4.zero_free_blocks(job.place)
    except (FileSystemEditFailed, CommandFailed) as error:
        raise CannotFollow(f"the difference could not be applied: {error}") from error


def _check_applied(job: _Job, edit: Edit) -> None:
    """Look whether the file system is sound, and holds what it should wherever it was changed.

    Raises: CannotFollow: it does not.
    """
    folders, tree = set(edit.folders), job.request.tree
    try:
        job.ext4.check(job.place)
        listing = job.editor.list_folders(edit.folders) if folders else {}
        listing.pop("/", None)
        expected = {p: e for p, e in tree.items() if p != "/" and parent(p) in folders}
        check_listing(listing, expected)
    except (FileSystemEditFailed, CommandFailed, TreeNotAsRecorded, Unspeakable) as error:
        raise CannotFollow(f"the difference could not be applied: {error}") from error


def _write_table(job: _Job) -> None:
    with job.raw.open("r+b") as disk:
        disk.write(job.table.front)
        disk.seek(job.layout.size_bytes - len(job.table.back))
        disk.write(job.table.back)


def _has_layout(raw: Path, job: _Job) -> bool:
    """Whether a disk has the very partition table that is wanted; its boot code may differ."""
    wanted = job.table.front[SECTOR_BYTES:]
    with raw.open("rb") as disk:
        disk.seek(SECTOR_BYTES)
        return raw.stat().st_size == job.layout.size_bytes and disk.read(len(wanted)) == wanted


def _built(
    job: _Job, blocks: BlockMap, *, changed: tuple[int, ...] | None = None, because: str = ""
) -> BuiltDisk:
    request = job.request
    record = Record(
        name=request.name,
        epoch=request.source_date_epoch,
        map=blocks,
        has_name=job.has_name,
    )
    record.write(job.folder)
    return BuiltDisk(
        raw=job.raw,
        digest=blocks.digest,
        size_bytes=job.layout.size_bytes,
        changed_blocks=changed,
        predecessor=request.predecessor,
        anew_because=because,
        seconds=job.watch.seconds,
    )
