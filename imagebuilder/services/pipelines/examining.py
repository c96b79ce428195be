"""Examining: the stage of a build that looks at what was built, wherever that was."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.domain.built import Seen
from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.domain.control import Assessment
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestResult
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import VersionDraft
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.plan import LayerKind, Plan
from imagebuilder.ports.building import Roots
from imagebuilder.ports.inspection import Booter, TestSuite
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunFiles
from imagebuilder.services.assessing import Subject
from imagebuilder.services.building.stacking import look_inside
from imagebuilder.services.pipelines.desk import Desk, Job
from imagebuilder.services.provisioning.components import ComponentRunner, Means
from imagebuilder.services.validating import Examination, Validating


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A built image where it can be looked at; `disk` is its raw disk, None when there is none."""

    plan: Plan
    layers: tuple[Layer, ...]
    roots: Roots
    disk: PurePath | None = None


class Examining:
    """Puts what a job built through its stages of tests."""

    def __init__(
        self, desk: Desk, validating: Validating, booter: Booter, means: Means, job: Job
    ) -> None:
        """Examine for a job; run components with means."""
        self._booter = booter
        self._with = desk
        self._validating = validating
        self._means = means
        self._job = job

    def seen(self, specimen: Specimen, draft: VersionDraft, progress: Progress) -> Seen:
        """Give what tests and scans said of what is to be recorded, all of it in its favour.

        Raises: ValidationFailed; TestsUnusable; StepFailed: as `Validating.validate`; and as
        `Assessing.assess`.
        """
        plan, roots = specimen.plan, specimen.roots

        @contextmanager
        def container_root() -> Iterator[PurePath]:
            with roots.scratch(specimen.layers) as root:
                yield root.path

        run = self._job.run
        assessments: list[Future[Assessment]] = []
        with (
            ThreadPoolExecutor(max_workers=1) as beside,
            roots.scratch(specimen.layers, is_bounded=True) as offline,
        ):
            examination = Examination(
                image=plan.image,
                tests=TestSuite(entries=self._job.prepared.tests, recipe=about(plan)),
                offline=offline.machine(Network.NONE),
                container_root=container_root,
                disk=specimen.disk,
                firmware=plan.disk.firmware,
                consoles=self._with.run_files.folder(run.id),
                component_tests=component_tests(self._job, self._means, progress),
                at_rest=lambda: assessments.extend(
                    beside.submit(self._with.assessing.with_page, each)
                    for each in self._scanned(specimen, draft, progress)
                ),
            )
            try:
                reports = self._validating.validate(examination)
                return Seen(reports=reports, assessments=tuple(a.result() for a in assessments))
            except ImageBuilderError as failure:
                if self._job.request.keep:
                    folder = kept_root(self._with.run_files, run.id)
                    offline.keep_copy(folder)
                    failure.hint = look_inside(folder)
                raise

    def _scanned(
        self, specimen: Specimen, draft: VersionDraft, progress: Progress
    ) -> Iterator[Assessment]:
        """Scan what was built, which no test has written to."""
        for scan in self._job.prepared.plan.scans:
            with ExitStack() as places:
                root = places.enter_context(specimen.roots.scratch(specimen.layers))
                machine = root.machine(Network.NONE)
                if scan.compliance.is_booted:
                    machine = places.enter_context(self._booter.container(root.path))
                subject = Subject(
                    image=draft.image,
                    version=self._with.cataloguing.expected(draft),
                    release=draft.bill.release if draft.bill else "",
                    root=root.path,
                    machine=machine,
                    controls=self._job.prepared.controls,
                    about=about(specimen.plan),
                )
                yield self._with.assessing.assess(scan, subject, progress)


def component_tests(job: Job, means: Means, progress: Progress) -> "_ComponentTests | None":
    """Give what runs the test phases of a job's components; None when there are none."""
    plan = job.prepared.plan
    if not any(layer.component and layer.component.steps(PhaseName.TEST) for layer in plan.layers):
        return None
    return _ComponentTests(plan, job.prepared.recipe.path, means, progress)


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


def about(plan: Plan) -> Mapping[str, Canonical]:
    """Give what tests may know of the recipe they are for."""
    components: dict[str, Canonical] = {
        layer.name: {
            "version": str(layer.component.version),
            "parameters": dict(layer.parameters),
        }
        for layer in plan.layers
        if layer.kind is LayerKind.COMPONENT and layer.component is not None
    }
    return {
        "image": plan.image,
        "version": str(plan.recipe_version),
        "parent": plan.parent.asked,
        "suite": plan.parent.suite,
        "components": components,
        "artifacts": [artifact.value for artifact in plan.artifacts],
        "firmware": [firmware.value for firmware in plan.disk.firmware],
    }


def kept_root(files: RunFiles, run_id: RunId) -> PurePath:
    """Give where a run keeps the root that people want to look inside."""
    return files.folder(run_id) / "root"
