"""BuildImage: the whole journey. Nothing is recorded that was not booted and tested."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.image import (
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionDraft,
    VersionNotFound,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.plan import Plan
from imagebuilder.domain.recipe import ArtifactFormat, CircularParents, ImageParent
from imagebuilder.domain.run import Run, RunInterrupted, RunState, StepState
from imagebuilder.domain.units import size_text
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, PackageSources, Roots, Workshop
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.disks import BuiltDisk, DiskBuilder, DiskRequest, Predecessor
from imagebuilder.ports.inspection import Booter, TestRunner
from imagebuilder.ports.locks import Locks
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunFiles, RunStore
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.building.stacking import (
    PreviewedLayer,
    Stack,
    Stacking,
    StackRequest,
    upgrades_document,
)
from imagebuilder.services.cataloguing import Cataloguing
from imagebuilder.services.pipelines.planning import BuildRequest, Planning, Preparation
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.provisioning.components import ComponentRunner
from imagebuilder.services.sweeping import Sweeping, run_lock
from imagebuilder.services.validating import Examination, Validating

_PACKAGES = Script(
    text="if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${db:Status-Abbrev}|"
    "${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\\n'; fi\n",
    timeout_seconds=60,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """How a build ended well.

    `version` is None when it was to end with the files; `built` are the layers made now.
    """

    run_id: RunId
    version: ImageVersion | None
    is_unchanged: bool = False
    built: tuple[str, ...] = ()
    files: tuple[tuple[ArtifactFormat, PurePath], ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What decides whether to build, and keeps the records."""

    authoring: Authoring
    planning: Planning
    stacking: Stacking
    cataloguing: Cataloguing
    sweeping: Sweeping
    layers: LayerStore
    blobs: BlobStore
    sources: PackageSources
    runs: RunStore
    run_files: RunFiles
    locks: Locks
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What is needed only when there is something to build."""

    workshop: Workshop
    disks: DiskBuilder
    tests: TestRunner
    booter: Booter


class BuildImage:
    """Builds an image from a recipe's path, its missing parents first."""

    def __init__(self, desk: Desk, workers: Callable[[], Workers], process: str) -> None:
        """Get workers when there is something to build; process says to others who is building."""
        self._with = desk
        self._workers = workers
        self._process = process

    def build(self, request: BuildRequest, watcher: Progress) -> BuildResult:
        """Build and record a version, or find that the newest one is what would be built.

        Raises: any ImageBuilderError; the run is then kept as failed, with its logs.
        """
        self._with.sweeping.sweep()
        return self._build(request, watcher, ())

    def plan(self, request: BuildRequest) -> Preparation:
        """Give what a build would start from; nothing is made or recorded."""
        return self._with.planning.prepare(request)

    def preview(self, prepared: Preparation, request: BuildRequest) -> tuple[PreviewedLayer, ...]:
        """Give what a build would find in the cache."""
        oldest = self._with.clock.now() if request.refresh else None
        return self._with.stacking.preview(
            StackRequest(ingredients=prepared.ingredients, rebuild_before=oldest)
        )

    def _build(
        self, request: BuildRequest, watcher: Progress, chain: tuple[ImageName, ...]
    ) -> BuildResult:
        recipe = self._with.authoring.recipe(request.recipe_path).value
        if recipe.name in chain:
            circle = (*chain[chain.index(recipe.name) :], recipe.name)
            raise CircularParents(circle, origin=recipe.parent_origin)
        if isinstance(recipe.parent, ImageParent):
            self._build_missing_parent(recipe.parent, request, watcher, (*chain, recipe.name))
        with self._with.locks.hold(f"image {recipe.name}", self._process):
            prepared = self._with.planning.prepare(request)
            with self._run(recipe.name) as run:
                progress = RecordedProgress(
                    run.run.id,
                    watcher,
                    self._with.runs,
                    self._with.run_files,
                    self._with.clock,
                )
                with _failing_step(progress):
                    return run.ended(self._result(prepared, request, progress, run.run))

    def _result(
        self,
        prepared: Preparation,
        request: BuildRequest,
        progress: RecordedProgress,
        run: Run,
    ) -> BuildResult:
        """Build unless nothing changed."""
        if prepared.is_unchanged and not request.until_artifact:
            return BuildResult(
                run_id=run.id,
                version=prepared.before,
                is_unchanged=True,
                warnings=prepared.warnings,
            )
        return _Build(self._with, self._workers(), prepared, request, progress, run).result()

    def _build_missing_parent(
        self,
        parent: ImageParent,
        request: BuildRequest,
        watcher: Progress,
        chain: tuple[ImageName, ...],
    ) -> None:
        reference = f"{parent.name}@{parent.asked}" if parent.asked else parent.name
        if parent.name in chain:
            raise CircularParents((*chain[chain.index(parent.name) :], parent.name))
        try:
            self._with.cataloguing.show(reference)
        except VersionNotFound as missing:
            path = self._with.authoring.find_recipe(parent.name, request.recipe_path)
            if path is None:
                missing.hint = (
                    f"Build {parent.name} first; no recipe of that name is beside this one."
                )
                raise
            self._build(BuildRequest(recipe_path=path, keep=request.keep), watcher, chain)

    @contextmanager
    def _run(self, image: ImageName) -> Iterator["_OpenRun"]:
        """Keep a run's record true, however it ends."""
        run = Run(
            id=RunId(self._with.ids.new("run")),
            image=image,
            state=RunState.RUNNING,
            started_at=self._with.clock.now(),
        )
        with self._with.locks.hold(run_lock(run.id), self._process):
            self._with.runs.save(run)
            opened = _OpenRun(run, self._with.runs, self._with.clock)
            try:
                yield opened
            except ImageBuilderError as error:
                opened.end(RunState.FAILED, error_code=error.code, error=error.message)
                raise
            except (KeyboardInterrupt, RunInterrupted):
                opened.end(RunState.CANCELLED, error="It was cancelled.")
                raise
            except BaseException as error:
                opened.end(RunState.FAILED, error_code="unexpected", error=repr(error))
                raise


class _OpenRun:
    """A run that is not over yet."""

    def __init__(self, run: Run, runs: RunStore, clock: Clock) -> None:
        self.run = run
        self._runs = runs
        self._clock = clock

    def ended(self, result: BuildResult) -> BuildResult:
        """Record that it ended well."""
        version_id = result.version.id if result.version else None
        state = RunState.UNCHANGED if result.is_unchanged else RunState.SUCCEEDED
        self.run = replace(self.run, version_id=version_id)
        self.end(state)
        return result

    def end(self, state: RunState, *, error_code: str = "", error: str = "") -> None:
        """Record how it ended."""
        self.run = replace(
            self.run, state=state, ended_at=self._clock.now(), error_code=error_code, error=error
        )
        self._runs.save(self.run)


class _Build:
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


@contextmanager
def _failing_step(progress: RecordedProgress) -> Iterator[None]:
    """See that the step an error came out of is shown and kept as failed."""
    try:
        yield
    except ImageBuilderError as error:
        progress.fail_open_step(error.message)
        raise
    except BaseException:
        progress.fail_open_step("interrupted")
        raise
