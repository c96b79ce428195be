"""Making: the stage of a build that makes layers, the disk and the files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.built import Built
from imagebuilder.domain.digest import Canonical, Digest, DigestMismatch
from imagebuilder.domain.ground import recorded_grounds
from imagebuilder.domain.image import ImageVersion, ParentEdge, RecordedLayer, VersionDraft
from imagebuilder.domain.kept import kept_mapping
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepState
from imagebuilder.domain.updates import upgrades_document
from imagebuilder.ports.blobs import BlobMissing
from imagebuilder.ports.building import LayerMissing, Roots, Workshop
from imagebuilder.ports.disks import BuiltDisk, DiskBuilder, Predecessor
from imagebuilder.ports.inspection import Booter, TestRunner
from imagebuilder.services.building.assembling import Assembling, Assembly
from imagebuilder.services.building.stacking import Stack, Stacking, StackRequest
from imagebuilder.services.building.stocktaking import Stock, Stocktaking
from imagebuilder.services.pipelines.desk import Desk, Job
from imagebuilder.services.pipelines.examining import Specimen, kept_root
from imagebuilder.services.pipelines.packing import LiveShop
from imagebuilder.services.pipelines.planning import Preparation
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.provisioning.components import Means


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What makes images and looks at them."""

    stacking: Stacking
    workshop: Workshop
    disks: DiskBuilder
    tests: TestRunner
    booter: Booter
    means: Means
    stocktaking: Stocktaking
    live: LiveShop


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was built, and where it can be looked at while its workshop is open."""

    built: Built
    specimen: Specimen
    disk: BuiltDisk | None = None


class Making:
    """Makes what was prepared."""

    def __init__(self, desk: Desk, workers: Workers, job: Job, progress: RecordedProgress) -> None:
        """Do a job with workers."""
        self._with = desk
        self._workers = workers
        self._prepared = job.prepared
        self._request = job.request
        self._progress = progress
        self._run = job.run

    @contextmanager
    def made(self) -> Iterator[Made]:
        """Give what was built, or that after all nothing changed; the workshop is open meanwhile.

        Done again, it finds every layer that was made before, from scratch or not.
        """
        with ExitStack() as held:
            roots = held.enter_context(self._workers.workshop.opened(self._prepared.archives))
            assembling = self._assembling(roots, held)
            request = self._stack_request(assembling)
            stack = self._workers.stacking.stack(request, roots, self._progress)
            specimen = Specimen(plan=stack.plan, layers=stack.layers, roots=roots)
            if self._is_as_before(stack):
                yield Made(built=unchanged(self._prepared), specimen=specimen)
                return
            indexes = self._indexes(stack)
            disk = assembling.disk(stack.layers)
            artifacts = assembling.artifacts(stack.layers, disk)
            stock = None if self._request.until_artifact else self._stock(stack, roots)
            parts = _Parts(disk, artifacts, stock, indexes)
            yield Made(
                built=self._built(stack, parts),
                specimen=replace(specimen, disk=disk.raw if disk else None),
                disk=disk,
            )

    def _is_as_before(self, stack: Stack) -> bool:
        """Whether all questions were answered as for the newest version, and nothing was made."""
        if stack.built or self._request.until_artifact:
            return False
        answered = replace(self._prepared, plan=stack.plan, forecast=None)
        return not self._with.planning.reasons(answered, self._request)

    def _stack_request(self, assembling: Assembling) -> StackRequest:
        folder = kept_root(self._with.run_files, self._run.id) if self._request.keep else None
        return StackRequest(
            ingredients=self._prepared.ingredients,
            # The run's own layers are from scratch also when a process of it was killed.
            rebuild_before=self._run.started_at if self._request.refresh else None,
            keep_folder=folder,
            keyrings=self._prepared.keyrings,
            meanwhile=assembling.draft,
        )

    def _assembling(self, roots: Roots, held: ExitStack) -> Assembling:
        assembly = Assembly(
            disks=self._workers.disks,
            layers=self._with.layers,
            blobs=self._with.blobs,
            progress=self._progress,
            predecessor=self._predecessor,
        )
        return Assembling(assembly, self._prepared.plan, roots, held)

    def _predecessor(self) -> Predecessor | None:
        before = self._prepared.before
        if before is None or self._prepared.plan.follows is None:
            return None
        qcow2 = next((a for a in before.artifacts if a.format is ArtifactFormat.QCOW2), None)
        if qcow2 is None:
            return None
        try:
            # Blocks that did not change are taken over from it, so it must be what was tested.
            self._with.blobs.verify(qcow2.digest)
            tree = self._with.layers.tree([layer.content for layer in before.layers])
        except (BlobMissing, DigestMismatch, LayerMissing) as lost:
            # To follow a layout saves blocks; an image without that is as good.
            self._progress.line(f"laid out anew: {lost.message}")
            return None
        return Predecessor(
            disk_digest=before.disk_digest,
            tree=tree,
            artifact=self._with.blobs.path(qcow2.digest),
        )

    def _stock(self, stack: Stack, roots: Roots) -> Stock:
        self._progress.step_started("bill of materials")
        known = [v.bill for v in (self._parent(stack), self._prepared.before) if v is not None]
        with roots.scratch(stack.layers) as root:
            stock = self._workers.stocktaking.take(root.path, self._prepared.archives, known)
        if stock.complaint:
            self._progress.line(stock.complaint)
        found = stock.contents
        detail = f"{len(found.packages)} packages of {found.release.name}"
        if found.software:
            detail += f", {len(found.software)} installed otherwise"
        self._progress.step_ended(StepState.SUCCEEDED, detail)
        return stock

    def _parent(self, stack: Stack) -> ImageVersion | None:
        parent = stack.plan.parent.version_id
        return None if parent is None else self._with.cataloguing.show(parent)

    def _plan_document(self, stack: Stack, packages: Sequence[InstalledPackage]) -> Canonical:
        """Give the plan with what was asked, and of what, for the questions that it still has."""
        before, asked = self._prepared.before, {layer.question for layer in stack.plan.layers}
        known = recorded_grounds(before.plan, before.packages) if before else {}
        return {
            **kept_mapping(stack.plan.document()),
            "upgrades": {
                str(q): upgrades_document(answer)
                for q, answer in stack.upgrades.items()
                if q in asked
            },
            "grounds": {
                str(q): ground.document(packages)
                for q, ground in {**known, **stack.grounds}.items()
                if ground is not None and q in asked
            },
        }

    def _indexes(self, stack: Stack) -> Mapping[str, Digest]:
        """Say which signed indexes packages came from; those of before when none was fetched."""
        if self._prepared.indexes:
            return self._prepared.indexes
        if stack.built or self._prepared.before is None:
            return self._with.sources.indexes(self._prepared.archives)
        return self._prepared.before.indexes

    def _built(self, stack: Stack, parts: "_Parts") -> Built:
        plan, prepared = replace(stack.plan, follows=parts.follows), self._prepared
        draft = VersionDraft(
            image=plan.image,
            asked=plan.recipe_version,
            run_id=self._run.id,
            plan_digest=plan.digest,
            definition_digest=plan.definition,
            plan=self._plan_document(replace(stack, plan=plan), parts.packages),
            parent=ParentEdge(
                asked=plan.parent.asked,
                identity=plan.parent.identity,
                version_id=plan.parent.version_id,
            ),
            disk_digest=parts.disk.digest if parts.disk else parts.artifacts[0].digest,
            artifacts=parts.artifacts,
            layers=_recorded_layers(stack),
            packages=parts.packages,
            reports=(),
            documents=prepared.documents,
            indexes=parts.indexes,
            bill=parts.stock.bill if parts.stock else None,
        )
        return Built(
            draft=draft,
            before=prepared.before.id if prepared.before else None,
            made=stack.built,
            reason=prepared.reason,
            warnings=prepared.warnings,
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a stack was made into, and what was seen of it."""

    disk: BuiltDisk | None
    artifacts: tuple[Artifact, ...]
    stock: Stock | None
    indexes: Mapping[str, Digest]

    @property
    def packages(self) -> tuple[InstalledPackage, ...]:
        return self.stock.contents.installed if self.stock else ()

    @property
    def follows(self) -> Digest | None:
        """The disk whose layout was kept in the end, whatever the plan hoped for."""
        disk = self.disk
        if disk is None or disk.predecessor is None or disk.changed_blocks is None:
            return None
        return disk.predecessor.disk_digest


def unchanged(prepared: Preparation) -> Built:
    """Give that the newest version already is what would be built."""
    before = prepared.before.id if prepared.before else None
    return Built(draft=None, before=before, warnings=prepared.warnings)


def _recorded_layers(stack: Stack) -> tuple[RecordedLayer, ...]:
    # An empty layer has the key of the one below, which keeps what it is.
    planned = {layer.key: layer for layer in stack.plan.layers if not layer.is_empty}
    recorded = []
    for layer in stack.layers:
        wanted = planned.get(layer.key)
        component = wanted.component if wanted else None
        recorded.append(
            RecordedLayer(
                name=layer.name,
                key=layer.key,
                content=layer.content,
                size_bytes=layer.size_bytes,
                component_version=str(component.version) if component else "",
                component_digest=component.digest if component else None,
                parameters=wanted.parameters if wanted else {},
            )
        )
    return tuple(recorded)
