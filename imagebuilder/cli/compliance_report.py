"""`imagebuilder compliance report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.compliance_shown import ProfileOption, counted, shown_results
from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import moment_text, print_json, print_lines, told_errors
from imagebuilder.cli.written_files import ForceOption, write_new

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.control import Assessment

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def report(
    reference: ReferenceArgument,
    *,
    html: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="The page to write.", show_default=False)
    ],
    profile: ProfileOption = None,
    force: ForceOption = False,
    as_json: AsJson = False,
) -> None:
    """Write the page that the engine made when it scanned a version, as it was kept.

    Of controls of one's own there is none; they get one of ours.
    """
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.compliance_trend import chosen

        application = Application()
        version = application.cataloguing.show(reference)
        assessment = chosen(version, profile)
        content = _page(application, version.reference, assessment)
        write_new(html, content, replaces=force)
        if as_json:
            told = {"path": str(html.absolute()), "profile": assessment.profile}
            print_json({**told, "size_bytes": len(content)})
        else:
            print_lines(str(html))


def _page(application: "Application", reference: str, assessment: "Assessment") -> bytes:
    if assessment.report is not None:
        return application.blobs.read(assessment.report)
    from imagebuilder import __version__
    from imagebuilder.domain.control import ControlOutcome
    from imagebuilder.formats.report import Card, Cell, Page, Section, Tone, report_html

    tones = {
        ControlOutcome.PASS: Tone.GOOD,
        ControlOutcome.FAIL: Tone.BAD,
        ControlOutcome.ERROR: Tone.BAD,
    }
    failed = assessment.counts.get(ControlOutcome.FAIL, 0)
    section = Section(
        name="Controls",
        headings=("Outcome", "Severity", "Control", "Title", "Seen"),
        rows=tuple(
            (
                Cell(text=each.outcome, tone=tones.get(each.outcome, Tone.PLAIN)),
                Cell(text=each.severity),
                Cell(text=each.rule),
                Cell(text=each.title),
                Cell(text=each.evidence),
            )
            for each in shown_results(assessment, only_failed=False)
        ),
    )
    return report_html(
        Page(
            title=f"{reference}: {assessment.profile}",
            made=f"Scanned {moment_text(assessment.scanned_at)}, by imagebuilder {__version__}",
            facts=(
                ("Benchmark", assessment.benchmark),
                ("Content", str(assessment.content_digest)),
            ),
            cards=(
                Card(
                    name="Controls",
                    text=f"{failed} failed",
                    more=counted(assessment),
                    tone=Tone.BAD if failed else Tone.GOOD,
                ),
            ),
            sections=(section,),
        )
    )
