"""Making: one build, from what was prepared to what is recorded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.domain.digest import Canonical, Digest, DigestMismatch
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.image import (
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionDraft,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.plan import Plan, Upgrades
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepState
from imagebuilder.domain.updates import upgrades_document
from imagebuilder.ports.blobs import BlobMissing
from imagebuilder.ports.building import LayerMissing, Roots, Workshop
from imagebuilder.ports.disks import BuiltDisk, DiskBuilder, Predecessor
from imagebuilder.ports.inspection import Booter, TestRunner
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.progress import Progress
from imagebuilder.services.building.assembling import Assembling, Assembly
from imagebuilder.services.building.finishing import FinishFailed
from imagebuilder.services.building.stacking import (
    Stack,
    Stacking,
    StackRequest,
    look_inside,
)
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.provisioning.components import ComponentRunner, Means
from imagebuilder.services.validating import Examination, Validating

_PACKAGES = Script(
    text="if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${db:Status-Abbrev}|"
    "${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\\n'; fi\n",
    timeout_seconds=60,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What makes images and looks at them."""

    stacking: Stacking
    workshop: Workshop
    disks: DiskBuilder
    tests: TestRunner
    booter: Booter
    means: Means


class Making:
    """One build, from what was prepared to what is recorded."""

    def __init__(self, desk: Desk, workers: Workers, job: Job, progress: RecordedProgress) -> None:
        """Do a job with workers."""
        self._with = desk
        self._workers = workers
        self._prepared = job.prepared
        self._request = job.request
        self._progress = progress
        self._run = job.run

    def result(self) -> BuildResult:
        """Build, validate and record, or end with the files."""
        prepared = self._prepared
        with ExitStack() as held:
            roots = held.enter_context(self._workers.workshop.opened(prepared.archives))
            assembling = self._assembling(roots, held)
            request = self._stack_request(assembling)
            stack = self._workers.stacking.stack(request, roots, self._progress)
            if self._is_as_before(stack):
                return self._unchanged()
            indexes = self._indexes(stack)
            disk = assembling.disk(stack.layers)
            artifacts = assembling.artifacts(stack.layers, disk)
            if self._request.until_artifact:
                return self._unrecorded(stack, artifacts)
            packages = self._packages(stack, roots)
            reports = self._validated(stack, disk, roots)
            self._with.layers.settle()
            version = self._recorded(stack, _Made(disk, artifacts, packages, reports, indexes))
            if disk is not None:
                self._workers.disks.remember(stack.plan.image, disk)
        return BuildResult(
            run_id=self._run.id,
            version=version,
            built=stack.built,
            warnings=prepared.warnings,
            reason=prepared.reason,
        )

    def _is_as_before(self, stack: Stack) -> bool:
        """Whether all questions were answered as for the newest version, and nothing was made."""
        if stack.built or self._request.until_artifact:
            return False
        answered = replace(self._prepared, plan=stack.plan)
        return not self._with.planning.reason(answered, self._request)

    def _unchanged(self) -> BuildResult:
        return BuildResult(
            run_id=self._run.id,
            version=self._prepared.before,
            is_unchanged=True,
            warnings=self._prepared.warnings,
        )

    def _stack_request(self, assembling: Assembling) -> StackRequest:
        return StackRequest(
            ingredients=self._prepared.ingredients,
            rebuild_before=self._with.clock.now() if self._request.refresh else None,
            keep_folder=self._kept if self._request.keep else None,
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

    @property
    def _kept(self) -> PurePath:
        return self._with.run_files.folder(self._run.id) / "root"

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

    def _unrecorded(self, stack: Stack, artifacts: Sequence[Artifact]) -> BuildResult:
        return BuildResult(
            run_id=self._run.id,
            version=None,
            built=stack.built,
            files=tuple((a.format, self._with.blobs.path(a.digest)) for a in artifacts),
            warnings=self._prepared.warnings,
            reason=self._prepared.reason,
        )

    def _packages(self, stack: Stack, roots: Roots) -> tuple[InstalledPackage, ...]:
        with roots.scratch(stack.layers) as root:
            result = root.machine(Network.NONE).run(_PACKAGES)
        if result.exit_status != 0 or result.has_timed_out:
            raise FinishFailed("list of packages", result)
        rows = (line.split("|") for line in result.stdout.decode(errors="replace").splitlines())
        return tuple(
            InstalledPackage(
                name=row[1],
                version=row[2],
                architecture=row[3],
                source=row[4],
                source_version=row[5],
            )
            for row in rows
            # The second letter says what is there; the first only what is wanted, such as on hold.
            if row[0][1:2] == "i"
        )

    def _validated(
        self, stack: Stack, disk: BuiltDisk | None, roots: Roots
    ) -> tuple[TestReport, ...]:
        @contextmanager
        def container_root() -> Iterator[PurePath]:
            with roots.scratch(stack.layers) as root:
                yield root.path

        has_test_phase = any(
            layer.component and layer.component.steps(PhaseName.TEST) for layer in stack.plan.layers
        )
        validating = Validating(
            self._workers.tests, self._workers.booter, self._with.blobs, self._progress
        )
        with roots.scratch(stack.layers) as offline:
            examination = Examination(
                image=stack.plan.image,
                tests=self._prepared.tests,
                offline=offline.machine(Network.NONE),
                container_root=container_root,
                disk=disk.raw if disk else None,
                firmware=stack.plan.disk.firmware,
                consoles=self._with.run_files.folder(self._run.id),
                component_tests=self._component_tests(stack.plan) if has_test_phase else None,
            )
            try:
                return validating.validate(examination)
            except ImageBuilderError as failure:
                if self._request.keep:
                    offline.keep_copy(self._kept)
                    failure.hint = look_inside(self._kept)
                raise

    def _component_tests(self, plan: Plan) -> "_ComponentTests":
        return _ComponentTests(
            plan, self._prepared.recipe.path, self._workers.means, self._progress
        )

    def _recorded(self, stack: Stack, made: "_Made") -> ImageVersion:
        self._progress.step_started("record")
        plan, prepared = replace(stack.plan, follows=made.follows), self._prepared
        # A revocation may have come into force since the build began.
        self._with.usability.refuse_parent(plan.image, plan.parent)
        version = self._with.cataloguing.record(
            VersionDraft(
                image=plan.image,
                asked=plan.recipe_version,
                run_id=self._run.id,
                plan_digest=plan.digest,
                definition_digest=plan.definition,
                plan=_plan_document(plan, stack.upgrades),
                parent=ParentEdge(
                    asked=plan.parent.asked,
                    identity=plan.parent.identity,
                    version_id=plan.parent.version_id,
                ),
                disk_digest=made.disk.digest if made.disk else made.artifacts[0].digest,
                artifacts=made.artifacts,
                layers=_recorded_layers(stack),
                packages=made.packages,
                reports=made.reports,
                documents=prepared.documents,
                indexes=made.indexes,
            )
        )
        self._progress.step_ended(StepState.SUCCEEDED, version.reference)
        return version

    def _indexes(self, stack: Stack) -> Mapping[str, Digest]:
        """Say which signed indexes packages came from; those of before when none was fetched."""
        if self._prepared.indexes:
            return self._prepared.indexes
        if stack.built or self._prepared.before is None:
            return self._with.sources.indexes(self._prepared.archives)
        return self._prepared.before.indexes


@dataclass(frozen=True, slots=True)
class _Made:
    """What a stack was made into, and what was seen of it."""

    disk: BuiltDisk | None
    artifacts: tuple[Artifact, ...]
    packages: tuple[InstalledPackage, ...]
    reports: tuple[TestReport, ...]
    indexes: Mapping[str, Digest]

    @property
    def follows(self) -> Digest | None:
        """The disk whose layout was kept in the end, whatever the plan hoped for."""
        disk = self.disk
        if disk is None or disk.predecessor is None or disk.changed_blocks is None:
            return None
        return disk.predecessor.disk_digest


class _ComponentTests:
    """The test phases of a plan's components, on a booted machine."""

    def __init__(self, plan: Plan, on: str, means: Means, progress: Progress) -> None:
        self._plan = plan
        self._on = on
        self._means = means
        self._progress = progress

    def __call__(self, machine: Machine) -> tuple[TestResult, ...]:
        """Give a result for each step. Raises: ComponentFailed: a step says that it counts."""
        results = []
        for layer in self._plan.layers:
            if layer.component is None:
                continue
            runner = ComponentRunner(
                component=layer.component,
                parameters=layer.parameters,
                machine=machine,
                means=self._means,
                on=self._on,
                on_line=self._progress.line,
                on_detail=self._progress.detailed,
            )
            results += [
                TestResult(
                    name=f"{layer.name}: {outcome.name}",
                    outcome=Outcome.PASSED if outcome.is_success else Outcome.SKIPPED,
                    seconds=outcome.seconds,
                    detail="" if outcome.is_success else "its failure is ignored",
                )
                for outcome in runner.run(PhaseName.TEST)
            ]
        return tuple(results)


def _plan_document(plan: Plan, answers: Mapping[Digest, Upgrades]) -> Canonical:
    document = plan.document()
    if not isinstance(document, Mapping):
        raise TypeError("a plan's document is a mapping")
    asked = {layer.question for layer in plan.layers}
    upgrades = {str(q): upgrades_document(answer) for q, answer in answers.items() if q in asked}
    return {**document, "upgrades": upgrades}


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
