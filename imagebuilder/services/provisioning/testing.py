"""RunTestinfra: test files shipped with a component, run against the machine of the step."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from imagebuilder.domain.component import PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.evidence import Outcome, Stage, TestReport
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.inspection import (
    SuiteEntry,
    SuiteResult,
    TestRunner,
    TestSuite,
    TestsUnusable,
)
from imagebuilder.ports.process import CommandResult

_BAD = (Outcome.FAILED, Outcome.ERROR)


class RunTestinfra:
    """Runs tests as a recipe's are run: confined, with nothing in reach but the machine.

    In validate these are the tests of files at rest, the unmarked ones; in test, where the image is
    booted, the ones marked for that, and the unmarked again.
    """

    def __init__(self, tests: TestRunner) -> None:
        """Let tests do it."""
        self._tests = tests

    def run(self, call: ActionCall) -> ActionResult:
        """Run the tests and say which failed and why; that none ran is a failure too."""
        try:
            results = self._results(call)
        except TestsUnusable as fault:
            return ActionResult(result=_result(1, [], f"{fault.message}\n{fault.context}", 0.0))
        reports = [result.report for result in results]
        counts = {
            "passed": _count(reports, Outcome.PASSED),
            "failed": _count(reports, *_BAD),
            "skipped": _count(reports, Outcome.SKIPPED),
        }
        complaint = "\n".join(_complaints(call.phase, reports))
        return ActionResult(
            result=_result(
                1 if complaint else 0,
                [result.output for result in results],
                complaint,
                sum(report.seconds for report in reports),
            ),
            outputs=({name: str(count) for name, count in counts.items()},),
        )

    def _results(self, call: ActionCall) -> list[SuiteResult]:
        """Run each stage's tests. Raises: TestsUnusable."""
        if call.folder is None:
            raise TestsUnusable("there are no files beside this component", "")
        paths = [call.folder / path for path in _paths(call.inputs)]
        tests = TestSuite(entries=tuple(SuiteEntry(path=path) for path in paths))
        wanted = (Stage.BOOTED, Stage.OFFLINE) if call.phase == PhaseName.TEST else (Stage.OFFLINE,)
        stages = self._tests.stages(tests)
        return [
            self._tests.run(tests, stage, call.machine, call.on_line)
            for stage in wanted
            if stage in stages
        ]


def _paths(inputs: Canonical) -> Sequence[PurePath]:
    paths = inputs.get("paths") if isinstance(inputs, Mapping) else None
    return [PurePath(str(path)) for path in paths] if isinstance(paths, list | tuple) else []


def _count(reports: Sequence[TestReport], *outcomes: Outcome) -> int:
    return sum(result.outcome in outcomes for report in reports for result in report.results)


def _complaints(phase: str, reports: Sequence[TestReport]) -> Iterator[str]:
    """Give what speaks against the image, the last the worst."""
    for report in reports:
        for result in report.results:
            if result.outcome in _BAD:
                yield f"{result.name} {result.outcome}: {result.detail}"
        if report.crash:
            yield report.crash
    if not any(report.results or report.crash for report in reports):
        yield f"No test is for the phase {phase}: what is marked for later stages is not run in it."


def _result(
    exit_status: int, outputs: Sequence[str], complaint: str, seconds: float
) -> CommandResult:
    return CommandResult(
        argv=("pytest",),
        exit_status=exit_status,
        stdout="\n".join(outputs).encode(),
        stderr=complaint.encode(),
        seconds=seconds,
    )
