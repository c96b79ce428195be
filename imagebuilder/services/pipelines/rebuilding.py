"""Rebuilding: a version made once more of the same plan, beside the store, and compared with it.

Packages are held at the recorded versions, upgrades are those that were recorded, the parent is the
one that was built on, and the disk keeps the layout that it kept. Nothing is recorded, and no layer
or file of it is kept: all of it is made on a bench that is gone afterwards.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest

from imagebuilder.domain.bill import contents_of
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, RecordedLayer, parse_reference
from imagebuilder.domain.layer import Tree
from imagebuilder.domain.layer import contents_of as layer_contents
from imagebuilder.domain.package import PackageKey, Upgrade
from imagebuilder.domain.plan import INITRAMFS_LAYER
from imagebuilder.domain.rebuild import (
    DISK,
    LayoutLost,
    NotAsRecorded,
    PackagesGone,
    PinnedPackages,
    Rebuild,
    RecipeNotKnown,
    artifact_differences,
    file_differences,
    first_versions,
)
from imagebuilder.domain.recipe import ArtifactFormat, OverrideUnknown, RootfsParent
from imagebuilder.domain.run import StepState
from imagebuilder.domain.updates import recorded_updates
from imagebuilder.ports.archives import PackageArchives, PackageFiles
from imagebuilder.ports.blobs import BlobMissing, BlobStore
from imagebuilder.ports.building import (
    LayerMissing,
    LayerStore,
    Roots,
    Workshop,
)
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.disks import DiskBuilder, Predecessor
from imagebuilder.ports.locks import STORE_LOCK, Locks
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunStore
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.building.assembling import Assembling, Assembly
from imagebuilder.services.building.stacking import Stack, Stacking, StackRequest
from imagebuilder.services.pipelines.planning import BuildRequest, Planning, Preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRequest:
    """Which version to make again, of which recipe when the usual place is not meant.

    `is_of_files_only` when no disk and no file to hand out is made.
    """

    reference: str
    recipe_path: str | None = None
    is_of_files_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPlan:
    """All that a rebuild is made of; nothing was made yet."""

    version: ImageVersion
    prepared: Preparation
    pinned: PinnedPackages
    predecessor: Predecessor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a version is made again: stores that hold nothing of what it is made anew of.

    Layers of a parent image are found in `layers` all the same.
    """

    stacking: Stacking
    workshop: Workshop
    layers: LayerStore
    blobs: BlobStore


OpenBench = Callable[[PinnedPackages], AbstractContextManager[Bench]]
"""Opens a bench that is gone when its context ends, and installs these versions of packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known of versions, and what was kept of them."""

    versions: VersionStore
    runs: RunStore
    layers: LayerStore
    blobs: BlobStore
    archives: PackageArchives
    packages: PackageFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildShop:
    """What a version is made again with."""

    bench: OpenBench
    disks: DiskBuilder
    locks: Locks
    clock: Clock


class Rebuilding:
    """Makes versions again, to see whether the same comes out."""

    def __init__(
        self, authoring: Authoring, planning: Planning, memory: Memory, shop: RebuildShop
    ) -> None:
        """Read and plan with these; compare with what memory holds; work in a shop."""
        self._authoring = authoring
        self._planning = planning
        self._memory = memory
        self._with = shop

    def plan(self, request: RebuildRequest) -> RebuildPlan:
        """Give what a version would be made of, when all of that can be had; nothing is made.

        Raises: VersionNotFound; RecipeNotKnown; NotAsRecorded; PackagesGone; LayoutLost;
        MirrorUnreachable; SignatureRefused; InvalidDocument.
        """
        version = self._original(request.reference)
        prepared = self._prepared(version, request)
        predecessor = None if request.is_of_files_only else self._predecessor(version)
        return RebuildPlan(
            version=version,
            prepared=prepared,
            pinned=self._pinned(version, prepared),
            predecessor=predecessor,
        )

    def check(self, request: RebuildRequest, progress: Progress) -> Rebuild:
        """Give how a version comes out now, in comparison with what was recorded of it.

        Raises: as `plan`; what making layers and disks raises.
        """
        with self._with.locks.share(STORE_LOCK, f"image rebuild {request.reference}"):
            plan = self.plan(request)
            version = plan.version
            recorded = self._memory.layers.tree([layer.content for layer in version.layers])
            for content in plan.prepared.plan.parent.contents:
                self._memory.layers.get(content)  # where it is shared, it is fetched by this
            with (
                self._with.bench(plan.pinned) as bench,
                bench.workshop.opened(plan.prepared.archives) as roots,
                ExitStack() as held,
            ):
                work = _Work(plan, bench, self._with.disks, progress)
                rebuilt, digests = work.made(roots, held, is_whole=not request.is_of_files_only)
                progress.step_started("comparison")
                result = Rebuild(
                    reference=version.reference,
                    files=file_differences(recorded, rebuilt),
                    artifacts=artifact_differences(_digests(version), digests),
                    compared=tuple(digests),
                    file_count=len(recorded),
                )
                told = "equal" if result.is_equal else f"{len(result.files)} files differ"
                progress.step_ended(StepState.SUCCEEDED, told)
        return result

    def _original(self, reference: str) -> ImageVersion:
        """Give the version that is meant; of a copy the one that was built."""
        found = self._memory.versions.find(parse_reference(reference), self._with.clock.now())
        while found.copied_from is not None:
            found = self._memory.versions.get(found.copied_from)
        return found

    def _prepared(self, version: ImageVersion, request: RebuildRequest) -> Preparation:
        """Give what documents say of a version, if it is what they said. Raises: NotAsRecorded."""
        name = next((d.name for d in version.documents if d.kind == "recipe"), version.image)
        asked = BuildRequest(
            recipe_path=request.recipe_path or self._recipe_path(version, name),
            variant=version.image.removeprefix(name).removeprefix("-"),
        )
        prepared = self._planning.recorded(asked, version)
        _refuse_other_documents(version, prepared)
        settings = _settings(version, prepared)
        if settings:
            try:
                asked = replace(asked, overrides=settings)
                prepared = self._planning.recorded(asked, version)
            except OverrideUnknown as unknown:
                raise NotAsRecorded(version.reference, sorted(settings)) from unknown
        _refuse_other_layers(version, prepared)
        return prepared

    def _recipe_path(self, version: ImageVersion, name: str) -> str:
        """Give where the recipe was for a pipeline, else where one of that name is here."""
        order = self._memory.runs.get(version.run_id).order
        if order is not None:
            return order.recipe_path
        usual = f"recipes/{name}.yaml"
        found = self._authoring.find_recipe(ImageName(name), usual)
        if found is None:
            raise RecipeNotKnown(version.reference, usual)
        return found

    def _pinned(self, version: ImageVersion, prepared: Preparation) -> PinnedPackages:
        """Give the versions to install, if all can be had. Raises: PackagesGone."""
        upgrades = recorded_updates(version.plan).upgrades
        versions = first_versions(version.packages, upgrades)
        if not prepared.archives:
            return PinnedPackages(versions=versions)
        known = self._known_digests(version)
        wanted = self._wanted(version, prepared, versions, upgrades)
        listed = self._memory.archives.sums(prepared.archives, wanted)
        lost = {
            key for key in wanted if key not in listed or listed[key] != known.get(key, listed[key])
        }
        kept = self._memory.packages.held({k: known[k] for k in lost if k in known})
        # What no signed list ever told of came with a component, or with an archive of its own.
        is_billed = version.bill is not None
        final = {package.key for package in version.packages}
        gone = [k for k in lost - kept if k in known or not is_billed or k not in final]
        if gone:
            raise PackagesGone(version.reference, sorted(gone))
        return PinnedPackages(versions=versions, kept={key: known[key] for key in kept})

    def _wanted(
        self,
        version: ImageVersion,
        prepared: Preparation,
        versions: Iterable[PackageKey],
        upgrades: Iterable[Upgrade],
    ) -> frozenset[PackageKey]:
        """Give what has to be fetched: all but what the parent brings."""
        wanted = {(u.name, u.new_version, u.architecture) for u in upgrades}
        if isinstance(prepared.plan.parent.source, RootfsParent):
            return frozenset(wanted)  # the rest may be from the tar file itself
        wanted |= set(versions)
        above = version.parent.version_id
        return frozenset(wanted - self._packages_of(above))

    def _packages_of(self, version_id: VersionId | None) -> set[PackageKey]:
        if version_id is None:
            return set()
        return {package.key for package in self._memory.versions.get(version_id).packages}

    def _known_digests(self, version: ImageVersion) -> Mapping[PackageKey, Digest]:
        """Give the digests that the bills of a version, and of those before it, tell."""
        known: dict[PackageKey, Digest] = {}
        place: ImageVersion | None = version
        while place is not None:
            known = {**self._billed(place), **known}
            older = self._memory.versions.before(place.id)
            place = None if older is None else self._memory.versions.get(older)
        return known

    def _billed(self, version: ImageVersion) -> Mapping[PackageKey, Digest]:
        if version.bill is None:
            return {}
        try:
            found = contents_of(json.loads(self._memory.blobs.read(version.bill.document)))
        except (ImageBuilderError, ValueError):
            return {}  # it only helps to find packages, and then these are not found
        return {p.package.key: p.archive for p in found.packages if p.archive is not None}

    def _predecessor(self, version: ImageVersion) -> Predecessor | None:
        """Give the disk whose layout a version kept. Raises: LayoutLost."""
        followed = version.plan.get("follows") if isinstance(version.plan, Mapping) else None
        if not isinstance(followed, str):
            return None
        place = version
        while (older := self._memory.versions.before(place.id)) is not None:
            place = self._memory.versions.get(older)
            if str(place.disk_digest) == followed:
                return self._disk_of(version, place)
        raise LayoutLost(version.reference, f"no version has the disk {followed}.")

    def _disk_of(self, version: ImageVersion, before: ImageVersion) -> Predecessor:
        qcow2 = next((a for a in before.artifacts if a.format is ArtifactFormat.QCOW2), None)
        if qcow2 is None:
            raise LayoutLost(version.reference, f"{before.reference} has no qcow2 file.")
        try:
            self._memory.blobs.verify(qcow2.digest)
            tree = self._memory.layers.tree([layer.content for layer in before.layers])
        except (BlobMissing, DigestMismatch, LayerMissing) as lost:
            raise LayoutLost(version.reference, lost.message) from lost
        artifact = self._memory.blobs.path(qcow2.digest)
        return Predecessor(disk_digest=before.disk_digest, tree=tree, artifact=artifact)


class _Work:
    """One version in the making."""

    def __init__(
        self, plan: RebuildPlan, bench: Bench, disks: DiskBuilder, progress: Progress
    ) -> None:
        self._plan = plan
        self._bench = bench
        self._disks = disks
        self._progress = progress

    def made(
        self, roots: Roots, held: ExitStack, *, is_whole: bool
    ) -> tuple[Tree, Mapping[str, Digest]]:
        """Give the files of the version, and the digests of what is made of them, if it is whole.

        Shape: a format, or DISK -> digest.
        """
        assembly = Assembly(
            disks=self._disks,
            layers=self._bench.layers,
            blobs=self._bench.blobs,
            progress=self._progress,
            predecessor=lambda: self._plan.predecessor,
        )
        assembling = Assembling(assembly, self._plan.prepared.plan, roots, held)
        stack = self._stack(roots, assembling if is_whole else None)
        tree = self._bench.layers.tree(layer_contents(stack.layers))
        if not is_whole:
            return tree, {}
        disk = assembling.disk(stack.layers)
        files = assembling.artifacts(stack.layers, disk)
        found = {} if disk is None else {DISK: disk.digest}
        return tree, found | {artifact.format: artifact.digest for artifact in files}

    def _stack(self, roots: Roots, assembling: Assembling | None) -> Stack:
        request = StackRequest(
            ingredients=self._plan.prepared.ingredients,
            keyrings=self._plan.prepared.keyrings,
            asks_anew=False,
            meanwhile=assembling.draft if assembling else None,
        )
        return self._bench.stacking.stack(request, roots, self._progress)


def _digests(version: ImageVersion) -> dict[str, Digest]:
    return {DISK: version.disk_digest} | {a.format: a.digest for a in version.artifacts}


def _refuse_other_documents(version: ImageVersion, prepared: Preparation) -> None:
    """Do nothing when the documents are those that were recorded. Raises: NotAsRecorded."""
    recorded = {(d.kind, d.name, d.digest) for d in version.documents}
    found = {(d.kind, d.name, d.digest) for d in prepared.documents}
    other = sorted({f"{kind} {name}" for kind, name, _ in recorded ^ found})
    if other:
        raise NotAsRecorded(version.reference, other)


def _own_layers(version: ImageVersion, prepared: Preparation) -> list[RecordedLayer]:
    """Give the layers that were made for a version by its plan."""
    own = version.layers[len(prepared.plan.parent.contents) :]
    return [
        layer
        for layer in own
        if layer.component_digest is not None or layer.name != INITRAMFS_LAYER
    ]


def _settings(version: ImageVersion, prepared: Preparation) -> dict[str, str]:
    """Give the parameters that a version was built with and its recipe does not set so."""
    planned = {layer.name: layer.parameters for layer in prepared.plan.layers if layer.component}
    return {
        f"{layer.name}.{name}": value
        for layer in _own_layers(version, prepared)
        for name, value in layer.parameters.items()
        if layer.name in planned and planned[layer.name].get(name) != value
    }


def _refuse_other_layers(version: ImageVersion, prepared: Preparation) -> None:
    """Do nothing when each layer would be made of the same. Raises: NotAsRecorded."""
    recorded = [(layer.key, layer.name) for layer in _own_layers(version, prepared)]
    planned = [(layer.key, layer.name) for layer in prepared.plan.layers if not layer.is_empty]
    for one, other in zip_longest(recorded, planned, fillvalue=(None, "")):
        if one[0] != other[0]:
            # The first explains the others: each key holds those below.
            raise NotAsRecorded(version.reference, [f"what layer {one[1] or other[1]} is made of"])
