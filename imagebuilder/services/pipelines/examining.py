"""Examining: the stage of a build that looks at what was built, wherever that was."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.plan import Plan
from imagebuilder.ports.building import Roots
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunFiles
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

    def __init__(self, desk: Desk, validating: Validating, means: Means, job: Job) -> None:
        """Examine for a job; run components with means."""
        self._with = desk
        self._validating = validating
        self._means = means
        self._job = job

    def reports(self, specimen: Specimen, progress: Progress) -> tuple[TestReport, ...]:
        """Give what each stage said, every one in favour of the image.

        Raises: ValidationFailed; TestsUnusable; StepFailed: as `Validating.validate`.
        """
        plan, roots = specimen.plan, specimen.roots

        @contextmanager
        def container_root() -> Iterator[PurePath]:
            with roots.scratch(specimen.layers) as root:
                yield root.path

        has_test_phase = any(
            layer.component and layer.component.steps(PhaseName.TEST) for layer in plan.layers
        )
        run = self._job.run
        with roots.scratch(specimen.layers) as offline:
            examination = Examination(
                image=plan.image,
                tests=self._job.prepared.tests,
                offline=offline.machine(Network.NONE),
                container_root=container_root,
                disk=specimen.disk,
                firmware=plan.disk.firmware,
                consoles=self._with.run_files.folder(run.id),
                component_tests=self._component_tests(plan, progress) if has_test_phase else None,
            )
            try:
                return self._validating.validate(examination)
            except ImageBuilderError as failure:
                if self._job.request.keep:
                    folder = kept_root(self._with.run_files, run.id)
                    offline.keep_copy(folder)
                    failure.hint = look_inside(folder)
                raise

    def _component_tests(self, plan: Plan, progress: Progress) -> "_ComponentTests":
        return _ComponentTests(plan, self._job.prepared.recipe.path, self._means, progress)


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


def kept_root(files: RunFiles, run_id: RunId) -> PurePath:
    """Give where a run keeps the root that people want to look inside."""
    return files.folder(run_id) / "root"
