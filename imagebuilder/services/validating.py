"""Validating: what tests and boots say of an image before it may be recorded.

Cheapest first: its files at rest, its services in a container, at last the whole machine through
its firmware. The first stage that speaks against the image ends it; what each stage said is kept
either way.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TypeAlias

from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult, ValidationFailed
from imagebuilder.domain.recipe import Firmware
from imagebuilder.domain.run import StepState
from imagebuilder.formats.junit import junit_of
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.inspection import Booter, BootFailed, SuiteResult, TestRunner, TestSuite
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.progress import Progress

_KEPT_CONSOLE_LINES = 20_000

ComponentTests: TypeAlias = Callable[[Machine], tuple[TestResult, ...]]
"""Runs the test phases of an image's components on a booted machine. Raises: StepFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to validate, and how thoroughly.

    `offline` is a sandbox over the root without a network; `container_root` gives a root folder
    that a boot may write to. `disk` is None when no disk is made. The consoles are written into
    the folder `consoles`. One boot proves the boot loader's configuration and the system;
    `boots_every_firmware` proves each way into it. `at_rest` is called between the tests
    at rest and the first boot. `hint` says how to look inside.
    """

    image: str
    tests: TestSuite
    offline: Machine
    container_root: Callable[[], AbstractContextManager[PurePath]]
    disk: PurePath | None
    firmware: tuple[Firmware, ...]
    consoles: PurePath
    component_tests: ComponentTests | None = None
    at_rest: Callable[[], None] | None = None
    boots_every_firmware: bool = False
    hint: str = "Build again with --keep to look inside the root file system."


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveExamination:
    """What to validate of an image that is only to be had as a machine that runs."""

    image: str
    tests: TestSuite
    consoles: PurePath
    component_tests: ComponentTests | None = None
    hint: str = "Run its tests on a machine of your own to look closer."


class Validating:
    """Puts images through their stages."""

    def __init__(
        self, tests: TestRunner, booter: Booter, blobs: BlobStore, progress: Progress
    ) -> None:
        """Keep the evidence of each stage in blobs."""
        self._tests = tests
        self._booter = booter
        self._blobs = blobs
        self._progress = progress

    def validate(self, examination: Examination) -> tuple[TestReport, ...]:
        """Give what each stage said, every one in favour of the image.

        Raises: ValidationFailed: a stage spoke against it; TestsUnusable: there are no tests in a
        file or folder that should have some; StepFailed: a component's test phase failed.
        """
        reports: list[TestReport] = []
        stages: frozenset[Stage] = frozenset()
        if examination.tests.entries:
            reports += self._offline(examination)
            stages = self._tests.stages(examination.tests)
        if examination.at_rest is not None:
            examination.at_rest()
        if Stage.BOOTED in stages or examination.component_tests is not None:
            reports.append(self._booted(examination, has_tests=Stage.BOOTED in stages))
        if examination.disk is not None:
            count = None if examination.boots_every_firmware else 1
            for firmware in examination.firmware[:count]:
                has_tests = Stage.MACHINE in stages
                reports.append(
                    self._machine(examination, examination.disk, firmware, has_tests=has_tests)
                )
        return tuple(reports)

    def validate_machine(
        self,
        examination: LiveExamination,
        machine: Machine,
        name: str,
        boot: TestResult | None = None,
    ) -> tuple[TestReport, ...]:
        """Give what the tests of all stages say of a machine that runs, all of it in its favour.

        What is told of its boot comes first. Raises: as `validate`.
        """
        reports: list[TestReport] = []
        if boot is not None:
            reports.append(self._judged(examination, _nothing_more(Stage.MACHINE), (boot,)))
        if examination.tests.entries:
            stages = self._tests.stages(examination.tests)
            for stage in (each for each in Stage if each in stages):
                with self._step(f"{stage.value} tests on {name}") as step:
                    result = self._suite(examination, stage, machine)
                    reports.append(self._judged(examination, result))
                    step.detail = _counted(reports[-1])
        if examination.component_tests is not None:
            with self._step(f"components' tests on {name}") as step:
                said = examination.component_tests(machine)
                reports.append(self._judged(examination, _nothing_more(Stage.BOOTED), said))
                step.detail = _counted(reports[-1])
        return tuple(reports)

    def validate_fresh(
        self, examination: LiveExamination, disk: PurePath, firmware: Firmware
    ) -> tuple[TestReport, ...]:
        """Boot a disk that nobody booted before, and give what that and all tests say of it.

        Raises: as `validate`.
        """
        name = f"boot through {firmware.value} to a login"
        boot = TestResult(name=name, outcome=Outcome.PASSED, seconds=0.0)
        console = examination.consoles / f"console-{firmware.value}.log"
        self._progress.step_started(name)
        try:
            with self._booter.machine(disk, firmware, console, self._progress.line) as booted:
                how = f"under {booted.accelerator}"
                boot = replace(boot, seconds=booted.seconds_to_login, detail=how)
                detail = f"login after {boot.seconds:.0f} s {how}"
                self._progress.step_ended(StepState.SUCCEEDED, detail)
                return self.validate_machine(examination, booted.machine, "a fresh machine", boot)
        except BootFailed as failure:
            self._progress.step_ended(StepState.FAILED, failure.message)
            self._judged(examination, _nothing_more(Stage.MACHINE), (_failed(boot, failure),))
            raise

    def _offline(self, examination: Examination) -> tuple[TestReport, ...]:
        """Run the offline tests; no report when all tests are for later stages."""
        with self._step("test files at rest") as step:
            result = self._suite(examination, Stage.OFFLINE, examination.offline)
            report = self._judged(examination, result)
            step.detail = _counted(report)
        return (report,) if report.results else ()

    def _booted(self, examination: Examination, *, has_tests: bool) -> TestReport:
        with self._step("test booted in a container") as step:
            boot = TestResult(name="boot in a container", outcome=Outcome.PASSED, seconds=0.0)
            extra: tuple[TestResult, ...] = (boot,)
            try:
                with (
                    examination.container_root() as root,
                    self._booter.container(root) as machine,
                ):
                    if examination.component_tests is not None:
                        extra += examination.component_tests(machine)
                    result = (
                        self._suite(examination, Stage.BOOTED, machine)
                        if has_tests
                        else _nothing_more(Stage.BOOTED)
                    )
            except BootFailed as failure:
                result, extra = _nothing_more(Stage.BOOTED), (_failed(boot, failure),)
            report = self._judged(examination, result, extra)
            step.detail = _counted(report)
        return report

    def _machine(
        self, examination: Examination, disk: PurePath, firmware: Firmware, *, has_tests: bool
    ) -> TestReport:
        name = f"boot through {firmware.value} to a login"
        console: deque[str] = deque(maxlen=_KEPT_CONSOLE_LINES)

        def on_line(line: str) -> None:
            console.append(line)
            self._progress.line(line)

        with self._step(name) as step:
            boot = TestResult(name=name, outcome=Outcome.PASSED, seconds=0.0)
            file = examination.consoles / f"console-{firmware.value}.log"
            try:
                with self._booter.machine(disk, firmware, file, on_line) as booted:
                    how = f"under {booted.accelerator}"
                    boot = replace(boot, seconds=booted.seconds_to_login, detail=how)
                    result = (
                        self._suite(examination, Stage.MACHINE, booted.machine, firmware)
                        if has_tests
                        else _nothing_more(Stage.MACHINE)
                    )
            except BootFailed as failure:
                result, boot = _nothing_more(Stage.MACHINE), _failed(boot, failure)
            report = self._judged(examination, result, (boot,), console)
            step.detail = f"{_counted(report)}, login after {boot.seconds:.0f} s {boot.detail}"
        return report

    def _suite(
        self,
        examination: Examination | LiveExamination,
        stage: Stage,
        machine: Machine,
        firmware: Firmware | None = None,
    ) -> SuiteResult:
        suite = replace(examination.tests, firmware=firmware)
        return self._tests.run(suite, stage, machine, self._progress.line)

    def _judged(
        self,
        examination: Examination | LiveExamination,
        result: SuiteResult,
        extra: tuple[TestResult, ...] = (),
        console: Sequence[str] = (),
    ) -> TestReport:
        """Keep a stage's evidence and give its report, if it is in favour of the image."""
        report = replace(
            result.report,
            results=(*extra, *result.report.results),
            seconds=result.report.seconds + sum(r.seconds for r in extra),
        )
        evidence = canonical_json(
            {
                # Made of what is recorded: what the tests say of themselves is only their output.
                "junit": junit_of(examination.image, [report]).decode(),
                "output": result.output,
                "console": "\n".join(console),
            }
        )
        report = replace(report, evidence=self._blobs.put(evidence))
        if not report.has_passed:
            raise ValidationFailed(examination.image, report, hint=examination.hint)
        return report

    @contextmanager
    def _step(self, name: str) -> Iterator["_Step"]:
        step = _Step()
        self._progress.step_started(name)
        try:
            yield step
        except ImageBuilderError as error:
            self._progress.step_ended(StepState.FAILED, error.message)
            raise
        except BaseException:
            self._progress.step_ended(StepState.FAILED)
            raise
        self._progress.step_ended(StepState.SUCCEEDED, step.detail)


@dataclass(slots=True)
class _Step:
    """What to say of a step when it ends well."""

    detail: str = ""


def _nothing_more(stage: Stage) -> SuiteResult:
    """A stage in which no test files have a say."""
    report = TestReport(stage=stage, results=(), seconds=0.0)
    return SuiteResult(report=report, output="")


def _failed(boot: TestResult, failure: BootFailed) -> TestResult:
    detail = f"{failure.message}\n{failure.context}".strip()
    return replace(boot, outcome=Outcome.FAILED, detail=detail)


def _counted(report: TestReport) -> str:
    skipped = sum(r.outcome is Outcome.SKIPPED for r in report.results)
    shaky = sum(result.is_shaky for result in report.results)
    told = [f"{len(report.results) - skipped} passed"]
    told += [f"{shaky} of them on a retry"] if shaky else []
    told += [f"{skipped} skipped"] if skipped else []
    return ", ".join(told)
