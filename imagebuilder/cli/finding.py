"""`imagebuilder finding`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder import __version__
from imagebuilder.cli.gate_options import severity_names
from imagebuilder.cli.moments import parsed_until
from imagebuilder.cli.options import (
    AsJson,
    OptionalReferenceArgument,
    ReferenceArgument,
    channel_names,
)
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
)
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.finding_search import FoundIn
    from imagebuilder.domain.waiver import Waiver
    from imagebuilder.services.gating import Gating

app = typer.Typer(
    help="Findings: vulnerabilities, controls and tests that speak against versions.",
    no_args_is_help=True,
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time


_SHOWN = 3
"""So many versions are warned of one by one."""


class Form(StrEnum):
    """How findings are written."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    OPENVEX = "openvex"


ByChannel = Annotated[
    str | None,
    typer.Option(
        "--channel",
        metavar="CHANNEL",
        help="As this channel's gate sees them.",
        autocompletion=channel_names,
    ),
]


@app.command("list")
def list_(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: OptionalReferenceArgument = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Of all versions that are in use.")] = False,
    kind: Annotated[FindingKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    severity: Annotated[
        str | None,
        typer.Option(
            "--severity",
            metavar="SEVERITY",
            help="Only those at least this bad.",
            autocompletion=severity_names,
        ),
    ] = None,
    only_fixable: Annotated[
        bool, typer.Option("--only-fixable", help="Only those with a fix.")
    ] = False,
    waived: Annotated[
        bool | None,
        typer.Option("--waived/--unwaived", help="Only those that are accepted, or not."),
    ] = None,
    expiring: Annotated[
        str | None,
        typer.Option(
            "--expiring", metavar="WHEN", help="Only those whose waiver ends by then: 14d."
        ),
    ] = None,
    channel: ByChannel = None,
    form: Annotated[Form, typer.Option("--format", help="How they are written.")] = Form.TABLE,
    as_json: AsJson = False,
) -> None:
    """List what is found of a version, and what became of it; the worst first."""
    as_json = as_json or form is Form.JSON
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.finding_search import FindingQuery

        if (reference is None) != every:
            raise FindingsOfWhat
        application = Application()
        query = FindingQuery(
            kind=kind,
            severity=None if severity is None else _severity(severity),
            is_only_fixable=only_fixable,
            is_waived=waived,
            expires_by=None
            if expiring is None
            else parsed_until(expiring, application.clock.now()),
        )
        found = application.gating.findings(reference, query, channel)
        _note_doubts(application.gating, reference)
        _write(found, Form.JSON if as_json else form, application, is_of_many=every)


@app.command()
def show(
    finding: Annotated[
        str,
        typer.Argument(
            metavar="FINDING", help="A CVE, a rule, a control's number, a test.", show_default=False
        ),
    ],
    reference: ReferenceArgument,
    *,
    channel: ByChannel = None,
    as_json: AsJson = False,
) -> None:
    """Show all of a finding of a version."""
    with told_errors(as_json=as_json):
        from imagebuilder.domain.finding_search import FindingQuery

        gating = _gating()
        found = gating.findings(reference, FindingQuery(name=finding), channel)
        if not found:
            raise FindingNotFound(finding, gating.version(reference).reference)
        if as_json:
            print_json([_json(each) for each in found])
            return
        for number, each in enumerate(found):
            print_lines(*([""] if number else []), *_lines(each))


class FindingsOfWhat(InvalidInput):
    """It is not said whose findings are to be listed."""

    code = "findings-of-what"

    def __init__(self) -> None:
        """Say what can be said."""
        super().__init__(
            "It is not clear whose findings are asked for.",
            hint="Name a version, such as debian-web@stable; or give --all for all in use.",
        )


class SeverityUnknown(InvalidInput):
    """What was typed is no severity."""

    code = "severity-unknown"

    def __init__(self, text: str) -> None:
        """Name those that are."""
        super().__init__(
            f"{text[:80]!r} is no severity.",
            hint=f"Write one of {', '.join(Severity)}.",
        )


class FindingNotFound(WrongState):
    """A version has no such finding."""

    code = "finding-not-found"

    def __init__(self, finding: str, reference: str) -> None:
        """Say where to look."""
        super().__init__(
            f"{reference} has no finding {finding[:120]}.",
            context="It never had, it was mended, or nobody looked for it.",
            hint=f"List what it has with: imagebuilder finding list {reference}",
        )


def _note_doubts(gating: "Gating", reference: str | None) -> None:
    """Say where nothing found means that nobody could know."""
    doubts = gating.doubts(reference)
    for of, why in doubts[:_SHOWN]:
        note(f"warning: {of}: {why}")
    if len(doubts) > _SHOWN:
        note(f"warning: so are those of {len(doubts) - _SHOWN} more")


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError as error:
        raise SeverityUnknown(text) from error


def _write(
    found: "Sequence[FoundIn]", form: Form, application: "Application", *, is_of_many: bool
) -> None:
    from imagebuilder.formats.openvex import statement_of_finding, write_openvex
    from imagebuilder.formats.sarif import sarif

    match form:
        case Form.JSON:
            print_json([_json(each) for each in found])
        case Form.TABLE:
            _print(found, is_of_many=is_of_many)
        case Form.SARIF:
            print_json(sarif(found, version=__version__))
        case Form.OPENVEX:
            told = [
                statement_of_finding(each)
                for each in found
                if each.judged.finding.kind is FindingKind.VULNERABILITY
            ]
            now, author = application.clock.now(), application.settings.actor
            print_json(write_openvex(told, author=author, written_at=now))


def _print(found: "Sequence[FoundIn]", *, is_of_many: bool) -> None:
    headings = ("STATE", "SEVERITY", "FINDING", "IN", "INSTALLED", "FIXED", "WAIVED UNTIL")
    rows = []
    for each in found:
        finding, waiver = each.judged.finding, each.judged.waiver
        row = (
            each.judged.state,
            f"{finding.severity}{', exploited' if finding.is_known_exploited else ''}",
            finding.id,
            finding.scope,
            finding.installed_version,
            finding.fixed_version,
            f"{waiver.expires_at:%Y-%m-%d}" if waiver else "",
        )
        rows.append((each.reference, *row) if is_of_many else row)
    print_table(("VERSION", *headings) if is_of_many else headings, rows)


def _json(found: "FoundIn") -> "dict[str, Json]":
    judged = found.judged
    finding, waiver, lapsed = judged.finding, judged.waiver, judged.lapsed
    return {
        "reference": found.reference,
        "state": judged.state.value,
        "kind": finding.kind.value,
        "id": finding.id,
        "scope": finding.scope,
        "severity": finding.severity.value,
        "title": finding.title,
        "aliases": list(finding.aliases),
        "installed_version": finding.installed_version,
        "fixed_version": finding.fixed_version,
        "is_known_exploited": finding.is_known_exploited,
        "epss": finding.epss,
        "is_undecided": finding.is_undecided,
        "detail": finding.detail,
        "waiver": None if waiver is None else waiver.id,
        "waived_until": None if waiver is None else waiver.expires_at.isoformat(),
        "lapsed_waiver": None if lapsed is None else lapsed.id,
    }


def _lines(found: "FoundIn") -> "Iterator[str]":
    judged = found.judged
    finding, waiver, lapsed = judged.finding, judged.waiver, judged.lapsed
    exploited = ", known to be exploited" if finding.is_known_exploited else ""
    facts = [
        (finding.kind.value, finding.id),
        ("also", ", ".join(finding.aliases)),
        ("of", found.reference),
        ("in", f"{finding.scope} {finding.installed_version}".strip()),
        ("about", finding.title),
        ("severity", f"{finding.severity}{exploited}"),
        ("epss", "" if finding.epss is None else f"{finding.epss:.1%}"),
        ("fixed in", finding.fixed_version),
        ("state", judged.state.value),
        ("waived", _waiver_text(waiver) if waiver else ""),
        ("lapsed", _waiver_text(lapsed) if lapsed else ""),
        ("detail", finding.detail),
    ]
    for name, value in facts:
        if value:
            first, *rest = value.splitlines()
            yield f"{name:15}{first}"
            yield from (f"{'':15}{line}" for line in rest)


def _waiver_text(waiver: "Waiver") -> str:
    until = moment_text(waiver.expires_at)
    return f"until {until} by {waiver.approver}: {waiver.reason} ({waiver.id})"


def _gating() -> "Gating":
    from imagebuilder.bootstrap import Application

    return Application().gating
