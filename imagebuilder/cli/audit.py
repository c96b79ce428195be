"""`imagebuilder audit`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import MomentText, parsed_moment
from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import moment_text, print_json, print_table, told_errors
from imagebuilder.domain.audit import AuditAction, AuditQuery

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.domain.audit import AuditEntry

app = typer.Typer(help="The audit: who changed what, when and why.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Look at the audit."""


@app.command("list")
def list_(  # noqa: PLR0913 - typer takes each option as a parameter
    *,
    subject: Annotated[
        str, typer.Option("--subject", metavar="REF", help="Only what is named so.")
    ] = "",
    action: Annotated[
        AuditAction | None, typer.Option("--action", help="Only what was done so.")
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="WHO", help="Only what they did.")] = "",
    since: Annotated[
        MomentText, typer.Option("--since", metavar="TIME", help="Only from then on.")
    ] = None,
    until: Annotated[
        MomentText, typer.Option("--until", metavar="TIME", help="Only before then.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many on a page.")] = 100,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    as_json: AsJson = False,
) -> None:
    """List changes of the catalogue, the newest first."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up

        query = AuditQuery(
            subject=subject,
            action=action,
            actor=by,
            since=parsed_moment(since),
            until=parsed_moment(until),
            limit=limit,
            offset=(page - 1) * limit,
        )
        entries = Application().audit.entries(query)
        if as_json:
            print_json([_entry_json(entry) for entry in entries])
            return
        print_table(
            ("WHEN", "WHO", "WHAT", "OF", "WHY"),
            [(moment_text(e.act.at), e.act.actor, e.action, e.subject, e.act.why) for e in entries],
        )


def _entry_json(entry: "AuditEntry") -> "dict[str, Json]":
    return {
        "at": entry.act.at.isoformat(),
        "actor": entry.act.actor,
        "action": entry.action,
        "subject": entry.subject,
        "why": entry.act.why,
        "before": entry.before,
        "after": entry.after,
    }
