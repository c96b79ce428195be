"""Tests and boots that go as they are told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar

from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import BootedMachine, BootFailed, SuiteResult, TestsUnusable
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine
from tests.fakes.machine import FakeMachine


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
    ran: list[tuple[Stage, Machine]] = field(default_factory=list)
    asked: list[PurePath] = field(default_factory=list)

    def run(
        self, tests: Sequence[PurePath], stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        self.ran.append((stage, machine))
        self.asked = list(tests)
        report = self.reports.get(stage, TestReport(stage=stage, results=(), seconds=0.0))
        if on_line is not None:
            for result in report.results:
                on_line(f"{result.name} {result.outcome}")
        return SuiteResult(report=report, junit=b"<testsuites/>", output=f"{stage} output")

    def stages(self, tests: Sequence[PurePath]) -> frozenset[Stage]:
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
