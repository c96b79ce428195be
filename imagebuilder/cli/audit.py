"""`imagebuilder audit`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import MomentText, parsed_moment
from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import moment_text, note, print_json, print_table, told_errors
from imagebuilder.domain.audit import AuditAction, AuditQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagebuilder.cli.output import Json
    from imagebuilder.domain.audit import AuditEntry
    from imagebuilder.domain.digest import Canonical

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
            limit=limit + 1,
            offset=(page - 1) * limit,
        )
        found = Application().audit.entries(query)
        entries = found[:limit]
        if as_json:
            print_json([_entry_json(entry) for entry in entries])
        else:
            headings = ("WHEN", "WHO", "WHAT", "OF", "WHY", "CHANGE")
            print_table(headings, [_cells(entry) for entry in entries])
        if len(found) > limit:
            note(f"there are older ones: --page {page + 1}")


def _cells(entry: "AuditEntry") -> tuple[str, ...]:
    act = entry.act
    change = "; ".join(_changes(entry.before, entry.after))
    return moment_text(act.at), act.actor, entry.action, entry.subject, act.why, change


def _changes(before: "Canonical", after: "Canonical") -> "Iterator[str]":
    """Give what was changed: of a thing with parts, those that differ."""
    old, new = (_parts(value) for value in (before, after))
    for name in dict.fromkeys((*old, *new)):
        was, is_ = old.get(name), new.get(name)
        if was != is_:
            change = _text(is_) if was is None else f"{_text(was)} -> {_text(is_)}"
            yield f"{name}: {change}" if name else change


def _parts(value: "Canonical") -> "dict[str, Canonical]":
    """Give the parts of a value, which is its own only part when it has none; of nothing none."""
    if isinstance(value, Mapping):
        return dict(value)
    return {} if value is None else {"": value}


def _text(value: "Canonical") -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, str | int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


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
