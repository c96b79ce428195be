"""`imagebuilder image tests`."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import note, print_json, print_table, told_errors, write
from imagebuilder.domain.evidence import Stage

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.evidence import TestReport
    from imagebuilder.domain.image import ImageVersion

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


class TestsFormat(StrEnum):
    """How test reports are written."""

    __test__ = False

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


def list_tests(
    reference: ReferenceArgument,
    *,
    stage: Annotated[Stage | None, typer.Option(help="Of this stage only.")] = None,
    format_: Annotated[
        TestsFormat, typer.Option("--format", help="JUnit is what build servers read.")
    ] = TestsFormat.TABLE,
    as_json: AsJson = False,
) -> None:
    """Show every test of a version, as it was recorded: its outcome, its tries, its reason."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.formats.junit import junit_of

        version = Application().cataloguing.show(reference)
        reports = [r for r in version.reports if stage in (None, r.stage)]
        wanted = TestsFormat.JSON if as_json and format_ is TestsFormat.TABLE else format_
        if wanted is TestsFormat.TABLE:
            print_table(("STAGE", "OUTCOME", "TOOK", "TEST"), list(_rows(reports)))
        elif wanted is TestsFormat.JSON:
            print_json(_json(version, reports))
        else:
            write(junit_of(f"{version.image}@{version.version}", reports).decode())
        if not reports:
            note(f"It has no tests{f' of stage {stage}' if stage else ''}.")


def _rows(reports: Sequence["TestReport"]) -> Iterator[tuple[str, str, str, str]]:
    from imagebuilder.domain.units import duration_text

    for report in reports:
        for result in report.results:
            tried = f" on try {result.attempts}" if result.attempts > 1 else ""
            took = duration_text(result.seconds)
            yield report.stage, f"{result.outcome}{tried}", took, result.name
        if report.crash:
            yield report.stage, "error", "", report.crash.partition("\n")[0]


def _json(version: "ImageVersion", reports: Sequence["TestReport"]) -> "Json":
    return {
        "reference": f"{version.image}@{version.version}",
        "reports": [
            {
                "stage": report.stage,
                "seconds": round(report.seconds, 3),
                "crash": report.crash,
                "evidence": str(report.evidence) if report.evidence else None,
                "tests": [
                    {
                        "name": result.name,
                        "outcome": result.outcome,
                        "seconds": round(result.seconds, 3),
                        "attempts": result.attempts,
                        "detail": result.detail,
                    }
                    for result in report.results
                ],
            }
            for report in reports
        ],
    }
