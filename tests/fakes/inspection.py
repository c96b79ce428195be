"""Tests and boots that go as they are told."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar

from imagebuilder.domain.bill import BilledPackage, Contents, Release, Software
from imagebuilder.domain.control import ControlMark
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import (
    BootedMachine,
    BootFailed,
    SuiteResult,
    TestSuite,
    TestsUnusable,
)
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine
from tests.fakes.machine import FakeMachine

BOOKWORM = Release(name="debian:bookworm", title="Debian GNU/Linux 12 (bookworm)")


def a_report(stage: Stage, *outcomes: Outcome, crash: str = "") -> TestReport:
    results = tuple(
        TestResult(name=f"test_{number}", outcome=outcome, seconds=0.1, detail=str(outcome))
        for number, outcome in enumerate(outcomes, 1)
    )
    return TestReport(stage=stage, results=results, seconds=1.0, crash=crash)


@dataclass(slots=True)
class FakeTestRunner:
    """Gives the report it was told for each stage; a stage without one has no tests."""

    __test__: ClassVar[bool] = False

    reports: dict[Stage, TestReport] = field(default_factory=dict)
    controls: dict[str, ControlMark] = field(default_factory=dict)
    ran: list[tuple[Stage, Machine]] = field(default_factory=list)
    asked: list[PurePath] = field(default_factory=list)
    recipe: Mapping[str, Canonical] = field(default_factory=dict)

    def run(
        self, suite: TestSuite, stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        self.ran.append((stage, machine))
        self.asked = [entry.path for entry in suite.entries]
        self.recipe = suite.recipe
        report = self.reports.get(stage, TestReport(stage=stage, results=(), seconds=0.0))
        if on_line is not None:
            for result in report.results:
                on_line(f"{result.name} {result.outcome}")
        return SuiteResult(report=report, output=f"{stage} output", controls=self.controls)

    def stages(self, suite: TestSuite) -> frozenset[Stage]:
        if not self.reports:
            raise TestsUnusable("there is no test in tests", "")
        return frozenset(self.reports)


@dataclass(slots=True)
class FakeBooter:
    """Boots what it is told to, and notes that it was ended."""

    fails: set[str] = field(default_factory=set)
    console_lines: tuple[str, ...] = ("Linux version 6", "login:")
    booted: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    in_container: FakeMachine = field(default_factory=FakeMachine)
    on_disk: FakeMachine = field(default_factory=FakeMachine)

    @contextmanager
    def container(self, root: PurePath) -> Iterator[Machine]:
        with self._boot("container"):
            yield self.in_container

    @contextmanager
    def machine(
        self, disk: PurePath, firmware: Firmware, console: PurePath, on_line: OnLine | None
    ) -> Iterator[BootedMachine]:
        if on_line is not None:
            for line in self.console_lines:
                on_line(line)
        with self._boot(firmware.value):
            yield BootedMachine(machine=self.on_disk, accelerator="tcg", seconds_to_login=30.0)

    @contextmanager
    def _boot(self, what: str) -> Iterator[None]:
        self.booted.append(what)
        if what in self.fails:
            raise BootFailed(f"as {what}", seconds=9, reason="it hung", last_lines="Kernel panic")
        try:
            yield
        finally:
            self.ended.append(what)


@dataclass(slots=True)
class FakeContentsReader:
    """Sees in every root what the test says, and remembers where it looked."""

    packages: Callable[[], Iterable[InstalledPackage]] = tuple
    release: Release = BOOKWORM
    fails: ImageBuilderError | None = None
    looked_at: list[PurePath] = field(default_factory=list)

    def read(self, root: PurePath) -> Contents:
        self.looked_at.append(root)
        if self.fails is not None:
            raise self.fails
        packages = tuple(BilledPackage(package=p) for p in sorted(set(self.packages())))
        return Contents(release=self.release, packages=packages)


@dataclass(slots=True)
class FakeSoftwareReader:
    """Finds in every root what the test says."""

    software: tuple[Software, ...] = ()
    fails: ImageBuilderError | None = None

    def read(self, root: PurePath) -> tuple[Software, ...]:
        if self.fails is not None:
            raise self.fails
        return self.software
