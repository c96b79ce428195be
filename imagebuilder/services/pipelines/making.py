"""Making: one build, from what was prepared to what is recorded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.image import (
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionDraft,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.plan import Plan
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import Run, StepState
from imagebuilder.domain.units import size_text
from imagebuilder.ports.building import Roots
from imagebuilder.ports.disks import BuiltDisk, DiskRequest, Predecessor
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.progress import Progress
from imagebuilder.services.building.stacking import (
    Stack,
    StackRequest,
    upgrades_document,
)
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Workers
from imagebuilder.services.pipelines.planning import BuildRequest, Preparation
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.provisioning.components import ComponentRunner
from imagebuilder.services.validating import Examination, Validating

_PACKAGES = Script(
    text="if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${db:Status-Abbrev}|"
    "${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\\n'; fi\n",
    timeout_seconds=60,
)


class Making:
    """One build, from what was prepared to what is recorded."""

    def __init__(
        self,
        desk: Desk,
        workers: Workers,
        prepared: Preparation,
        request: BuildRequest,
        progress: RecordedProgress,
        run: Run,
    ) -> None:
        self._with = desk
        self._workers = workers
        self._prepared = prepared
        self._request = request
        self._progress = progress
        self._run = run

    def result(self) -> BuildResult:
        """Build, validate and record, or end with the files."""
        prepared = self._prepared
        with ExitStack() as held:
            roots = held.enter_context(self._workers.workshop.opened(prepared.archives))
            stack = self._with.stacking.stack(self._stack_request(), roots, self._progress)
            disk = self._disk(stack, roots, held)
            artifacts = self._artifacts(stack, disk, roots)
            if self._request.until_artifact:
                return self._unrecorded(stack, artifacts)
            packages = self._packages(stack, roots)
            reports = self._validated(stack, disk, roots)
            version = self._recorded(stack, disk, artifacts, packages, reports)
            if disk is not None:
                self._workers.disks.remember(stack.plan.image, disk)
        return BuildResult(
            run_id=self._run.id,
            version=version,
            built=stack.built,
            warnings=prepared.warnings,
            reason=prepared.reason,
        )

    def _stack_request(self) -> StackRequest:
        return StackRequest(
            ingredients=self._prepared.ingredients,
            rebuild_before=self._with.clock.now() if self._request.refresh else None,
            keep_folder=self._kept if self._request.keep else None,
            keyrings=self._prepared.keyrings,
        )

    @property
    def _kept(self) -> PurePath:
        return self._with.run_files.folder(self._run.id) / "root"

    def _disk(self, stack: Stack, roots: Roots, held: ExitStack) -> BuiltDisk | None:
        if set(stack.plan.artifacts) <= {ArtifactFormat.TAR}:
            return None
        self._progress.step_started("disk")
        root = held.enter_context(roots.scratch(stack.layers))
        disk = held.enter_context(
            self._workers.disks.assemble(
                DiskRequest(
                    name=stack.plan.image,
                    root=root.path,
                    tree=self._with.layers.tree(stack.layers),
                    size_bytes=stack.plan.disk.size_bytes,
                    firmware=stack.plan.disk.firmware,
                    source_date_epoch=stack.plan.source_date_epoch,
                    predecessor=self._predecessor(),
                )
            )
        )
        for part, seconds in disk.seconds.items():
            self._progress.line(f"{seconds:6.2f} s  {part}")
        how = (
            "anew" if disk.changed_blocks is None else f"{len(disk.changed_blocks)} blocks changed"
        )
        self._progress.step_ended(StepState.SUCCEEDED, how)
        return disk

    def _predecessor(self) -> Predecessor | None:
        before = self._prepared.before
        if before is None or self._prepared.plan.follows is None:
            return None
        qcow2 = next((a for a in before.artifacts if a.format is ArtifactFormat.QCOW2), None)
        if qcow2 is None or not self._with.blobs.has(qcow2.digest, qcow2.size_bytes):
            return None
        layers = [self._with.layers.get(layer.content) for layer in before.layers]
        return Predecessor(
            disk_digest=before.disk_digest,
            tree=self._with.layers.tree(layers),
            artifact=self._with.blobs.path(qcow2.digest),
        )

    def _artifacts(
        self, stack: Stack, disk: BuiltDisk | None, roots: Roots
    ) -> tuple[Artifact, ...]:
        made = []
        for format_ in stack.plan.artifacts:
            self._progress.step_started(f"artifact {format_}")
            with roots.scratch(stack.layers) as root:
                file = (
                    self._workers.disks.archive(root.path, stack.plan.source_date_epoch)
                    if disk is None
                    else self._workers.disks.package(disk, root.path, format_)
                )
            digest = self._with.blobs.adopt(file)
            size_bytes = self._with.blobs.size_bytes(digest)
            made.append(
                Artifact(
                    format=format_,
                    digest=digest,
                    size_bytes=size_bytes,
                    virtual_size_bytes=disk.size_bytes if disk else size_bytes,
                )
            )
            self._progress.step_ended(StepState.SUCCEEDED, size_text(size_bytes))
        return tuple(made)

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
            listed = root.machine(Network.NONE).run(_PACKAGES).stdout.decode(errors="replace")
        rows = (line.split("|") for line in listed.splitlines())
        return tuple(
            InstalledPackage(
                name=row[1],
                version=row[2],
                architecture=row[3],
                source=row[4],
                source_version=row[5],
            )
            for row in rows
            if row[0].startswith("ii")
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
                    failure.hint = f"Look inside with: systemd-nspawn --private-network --directory {self._kept}"
                raise

    def _component_tests(self, plan: Plan) -> "_ComponentTests":
        return _ComponentTests(plan, self._progress)

    def _recorded(
        self,
        stack: Stack,
        disk: BuiltDisk | None,
        artifacts: tuple[Artifact, ...],
        packages: tuple[InstalledPackage, ...],
        reports: tuple[TestReport, ...],
    ) -> ImageVersion:
        self._progress.step_started("record")
        plan, prepared = stack.plan, self._prepared
        version = self._with.cataloguing.record(
            VersionDraft(
                image=plan.image,
                asked=plan.recipe_version,
                run_id=self._run.id,
                plan_digest=plan.digest,
                definition_digest=plan.definition,
                plan=_plan_document(stack),
                parent=ParentEdge(
                    asked=plan.parent.asked,
                    identity=plan.parent.identity,
                    version_id=plan.parent.version_id,
                ),
                disk_digest=disk.digest if disk else artifacts[0].digest,
                artifacts=artifacts,
                layers=_recorded_layers(stack),
                packages=packages,
                reports=reports,
                documents=prepared.documents,
                indexes=self._indexes(stack),
            )
        )
        self._progress.step_ended(StepState.SUCCEEDED, version.reference)
        return version

    def _indexes(self, stack: Stack) -> Mapping[str, Digest]:
        """Say which signed indexes the packages came from; those of before when none was fetched."""
        if self._prepared.indexes:
            return self._prepared.indexes
        if stack.built or self._prepared.before is None:
            return self._with.sources.indexes(self._prepared.archives)
        return self._prepared.before.indexes


class _ComponentTests:
    """The test phases of a plan's components, on a booted machine."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
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
                on_line=self._progress.line,
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


def _plan_document(stack: Stack) -> Canonical:
    document = stack.plan.document()
    if not isinstance(document, Mapping):
        raise TypeError("a plan's document is a mapping")
    upgrades = {str(question): upgrades_document(u) for question, u in stack.upgrades.items()}
    return {**document, "upgrades": upgrades}


def _recorded_layers(stack: Stack) -> tuple[RecordedLayer, ...]:
    planned = {layer.key: layer for layer in stack.plan.layers}
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
