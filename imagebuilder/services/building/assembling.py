"""Assembling: layers made into a disk, and the disk into the files people take."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.layer import Layer, Tree, contents_of
from imagebuilder.domain.plan import INITRAMFS_LAYER, Plan
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import size_text
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, Roots
from imagebuilder.ports.disks import BuiltDisk, DiskBuilder, DiskRequest, Predecessor
from imagebuilder.ports.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What disks are made with; `predecessor` gives the one to follow, if there is any."""

    disks: DiskBuilder
    layers: LayerStore
    blobs: BlobStore
    progress: Progress
    predecessor: Callable[[], Predecessor | None]


class Assembling:
    """Makes one image's disk and artifacts, while its context `held` is open.

    The initramfs takes longest to be made and is one file. A disk that follows none is therefore
    laid out without it, and it is put there in the end: always so, whatever was cached, since the
    same layers must give the same disk.
    """

    def __init__(self, assembly: Assembly, plan: Plan, roots: Roots, held: ExitStack) -> None:
        """Make the disk of a plan, with roots."""
        self._with = assembly
        self._plan = plan
        self._roots = roots
        self._held = held
        self._draft: _Draft | None = None

    def draft(self, layers: Sequence[Layer]) -> None:
        """Lay out the disk with all layers but the initramfs, if it is to follow no other."""
        if self._draft is not None or self._predecessor is not None:
            return
        self._with.progress.step_started("disk layout")
        early = [layer for layer in layers if layer.name != INITRAMFS_LAYER]
        request = self._request(early)
        disk = self._held.enter_context(self._with.disks.assemble(request))
        if ArtifactFormat.QCOW2 in self._plan.artifacts:
            self._with.disks.package(disk, request.root, ArtifactFormat.QCOW2)
        self._draft = _Draft(disk, request.tree)
        self._told(disk)

    def disk(self, layers: Sequence[Layer]) -> BuiltDisk | None:
        """Make the disk of all layers; none when no artifact is made of one."""
        if set(self._plan.artifacts) <= {ArtifactFormat.TAR}:
            return None
        self.draft(layers)
        self._with.progress.step_started("disk")
        request = self._request(layers)
        if self._draft is None:
            disk = self._held.enter_context(self._with.disks.assemble(request))
        else:
            disk = self._with.disks.complete(self._draft.disk, self._draft.tree, request)
        self._told(disk)
        return disk

    def artifacts(self, layers: Sequence[Layer], disk: BuiltDisk | None) -> tuple[Artifact, ...]:
        """Make every file the plan asks for, and keep it."""
        return tuple(self._artifact(layers, disk, format_) for format_ in self._plan.artifacts)

    @cached_property
    def _predecessor(self) -> Predecessor | None:
        return self._with.predecessor()

    def _request(self, layers: Sequence[Layer]) -> DiskRequest:
        plan = self._plan
        return DiskRequest(
            name=plan.image,
            root=self._held.enter_context(self._roots.scratch(layers)).path,
            tree=self._with.layers.tree(contents_of(layers)),
            size_bytes=plan.disk.size_bytes,
            firmware=plan.disk.firmware,
            source_date_epoch=plan.source_date_epoch,
            predecessor=self._predecessor,
        )

    def _told(self, disk: BuiltDisk) -> None:
        for part, seconds in disk.seconds.items():
            self._with.progress.line(f"{seconds:6.2f} s  {part}")
        changed = disk.changed_blocks
        how = "anew" if changed is None else f"{len(changed)} blocks changed"
        self._with.progress.step_ended(StepState.SUCCEEDED, how)

    def _artifact(
        self, layers: Sequence[Layer], disk: BuiltDisk | None, format_: ArtifactFormat
    ) -> Artifact:
        self._with.progress.step_started(f"artifact {format_}")
        with self._roots.scratch(layers) as root:
            file = (
                self._with.disks.archive(root.path, self._plan.source_date_epoch)
                if disk is None
                else self._with.disks.package(disk, root.path, format_)
            )
        digest = self._with.blobs.adopt(file)
        size_bytes = self._with.blobs.size_bytes(digest)
        self._with.progress.step_ended(StepState.SUCCEEDED, size_text(size_bytes))
        return Artifact(
            format=format_,
            digest=digest,
            size_bytes=size_bytes,
            virtual_size_bytes=disk.size_bytes if disk else size_bytes,
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A disk that lacks the initramfs, and what it holds."""

    disk: BuiltDisk
    tree: Tree
