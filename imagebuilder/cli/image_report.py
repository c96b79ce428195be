"""`imagebuilder image report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson, ReferenceArgument
from imagebuilder.cli.output import moment_text, print_json, print_lines, told_errors, write
from imagebuilder.cli.written_files import ForceOption, write_new

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application
    from imagebuilder.formats.report import Card, Page
    from imagebuilder.services.gating import Checked

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


def report(
    reference: ReferenceArgument,
    *,
    html: Annotated[  # noqa: ARG001 - it is the one form there is, and said for what may come
        bool, typer.Option("--html", help="As a page, which is the only form there is.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write, if no pipe."),
    ] = None,
    force: ForceOption = False,
    as_json: AsJson = False,
) -> None:
    """Write all that is known of a version as one page that needs nothing but itself."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.formats.report import report_html

        content = report_html(page_of(Application(), reference))
        if output is None and not as_json:
            write(content.decode())
            return
        path = output or Path(f"{reference.replace('@', '-').replace('/', '-')}.html")
        write_new(path, content, replaces=force)
        if as_json:
            print_json({"path": str(path.absolute()), "size_bytes": len(content)})
        else:
            print_lines(str(path))


def page_of(application: "Application", reference: str) -> "Page":
    """Give the page of a version as things are now."""
    from imagebuilder import __version__
    from imagebuilder.cli import report_sections as sections
    from imagebuilder.cli.assurance import assurance_of
    from imagebuilder.domain.comparison import NoVersionBefore
    from imagebuilder.domain.lineage import Scope
    from imagebuilder.formats.report import Page

    version = application.cataloguing.show(reference)
    found = assurance_of(application, version)
    told = application.revoking.told_of(version.id)
    checked = application.gating.check(version.reference)
    try:
        diff = application.comparing.diff(version.reference)
    except NoVersionBefore:
        diff = None
    bill = application.billing.bill(version) if version.bill else None
    return Page(
        title=version.reference,
        made=f"As of {moment_text(found.verdict.at)}, by imagebuilder {__version__}",
        facts=sections.facts(version, told, bill),
        cards=(
            sections.standing_card(told),
            _gate_card(checked),
            *sections.cards(found),
        ),
        sections=(
            sections.objections(checked),
            sections.findings(found),
            sections.waivers(found),
            sections.scans(found),
            sections.tests(version),
            sections.attestations(found.signed),
            sections.lineage(version, application.versions.descent(version.id, Scope(limit=200))),
            sections.changes(diff),
            sections.parts(version, bill),
            sections.packages(version, bill),
        ),
    )


def _gate_card(checked: "Checked") -> "Card":
    from imagebuilder.formats.report import Card, Tone

    if not checked.gates:
        return Card(name="Gates", text="none asked", more="no channel or pipeline guards it")
    count = len(checked.objections)
    of = ", ".join(name for name, _ in checked.gates)
    if count:
        return Card(name="Gates", text=f"refused, {count} reasons", more=of, tone=Tone.BAD)
    return Card(name="Gates", text="passes", more=of, tone=Tone.GOOD)
