"""`imagebuilder waiver`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import ends_text, parsed_until
from imagebuilder.cli.options import (
    AsJson,
    DryRun,
    ImageOption,
    Why,
    image_names,
    open_waivers,
    waivers,
)
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
)
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.waiver import ENDS_SOON, Justification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from typer.models import OptionInfo

    from imagebuilder.cli.output import Json
    from imagebuilder.domain.waiver import Waiver, WaiverState
    from imagebuilder.services.accepting import Accepting, Given, Taken, WaiverWish

app = typer.Typer(
    help="Waivers: findings that are accepted, by whom and until when.", no_args_is_help=True
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_SHOWN = 10
"""So many things that were left out, or are covered, are told one by one."""


class ExportForm(StrEnum):
    """How waivers are written for others."""

    OPENVEX = "openvex"


WaiverArgument = Annotated[
    str,
    typer.Argument(
        metavar="WAIVER",
        help="The waiver's id, or its start.",
        autocompletion=waivers,
        show_default=False,
    ),
]


FindingArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[FINDING]",
        help="What is accepted: a CVE, a rule or a control's number, a test.",
        show_default=False,
    ),
]
FromFile = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="FILE", help="Accept what this OpenVEX document says does no harm."
    ),
]
NoHarm = Annotated[
    Justification | None,
    typer.Option("--justification", help="Why it does no harm there, as OpenVEX says it."),
]
ForImage = Annotated[
    str,
    typer.Option(
        "--image",
        metavar="NAME",
        help="For which image, or images: web, 'web-*'.",
        autocompletion=image_names,
        show_default=False,
    ),
]
Expires = Annotated[
    str,
    typer.Option(
        "--expires", metavar="WHEN", help="Until when: 30d, or 2026-12-31.", show_default=False
    ),
]


def _text(name: str, metavar: str, told: str) -> "OptionInfo":
    option: OptionInfo = typer.Option(f"--{name}", metavar=metavar, help=told)
    return option


@app.command()
def add(  # noqa: PLR0913 - typer takes each option as a parameter
    finding: FindingArgument = None,
    *,
    file: FromFile = None,
    image: ForImage,
    expires: Expires,
    versions: Annotated[str, _text("versions", "VERSIONS", "Only 1.x, 1.2.3, 1.2.3/4.")] = "",
    package: Annotated[str, _text("package", "NAME", "Only in this source package.")] = "",
    benchmark: Annotated[str, _text("benchmark", "NAME", "It is a control of this one.")] = "",
    stage: Annotated[str, _text("stage", "STAGE", "It is a test of this stage.")] = "",
    justification: NoHarm = None,
    reason: Annotated[str, _text("reason", "TEXT", "Why it can be accepted.")] = "",
    ticket: Annotated[str, _text("ticket", "ID", "Where the matter is followed.")] = "",
    owner: Annotated[str, _text("owner", "NAME", "Who sees to the matter.")] = "",
    approver: Annotated[
        str, _text("approver", "NAME", "Who accepts it; who runs this if left out.")
    ] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Accept one finding of an image for a while, or what a document says does no harm."""
    with told_errors(as_json=as_json):
        from imagebuilder.domain.waiver import Accepted, kind_of
        from imagebuilder.services.accepting import WaiverWish

        if (finding is None) == (file is None):
            raise WaiverOfWhat
        accepting = _accepting()
        wish = WaiverWish(
            accepted=Accepted(kind=FindingKind.VULNERABILITY, id="", within=package)
            if finding is None
            else kind_of(finding, benchmark=benchmark, stage=stage, package=package),
            justification=justification,
            image=image,
            versions=versions,
            reason=reason,
            ticket=ticket,
            owner=owner,
            approver=approver,
            expires_at=parsed_until(expires, accepting.now()),
        )
        wishes = [wish] if file is None else _taken(accepting.read(file, wish))
        given = accepting.add(wishes, is_rehearsal=dry_run)
        _print_given(given, accepting.now(), is_rehearsal=dry_run, as_json=as_json)


@app.command("list")
def list_(
    *,
    image: ImageOption = None,
    finding: Annotated[
        str, typer.Option("--finding", metavar="FINDING", help="Only of this finding.")
    ] = "",
    expiring: Annotated[
        str | None,
        typer.Option(
            "--expiring", metavar="WHEN", help="Only those that end by then: 14d, 2026-12-31."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those that ran out or were revoked, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the waivers that are in force; those first that end first."""
    with told_errors(as_json=as_json):
        from imagebuilder.domain.waiver import WaiverQuery, WaiverState

        accepting = _accepting()
        now = accepting.now()
        query = WaiverQuery(
            image=image or "",
            finding=finding,
            state=None if every else WaiverState.ACTIVE,
            expires_by=None if expiring is None else parsed_until(expiring, now),
        )
        found = accepting.list(query)
        if as_json:
            print_json([waiver_json(each, each.state(now)) for each in found])
            return
        print_table(
            ("FINDING", "IN", "FOR", "UNTIL", "OWNER", "TICKET"),
            [
                (
                    each.accepted.id,
                    each.accepted.within,
                    each.where,
                    _until(each, now),
                    each.owner,
                    each.ticket,
                )
                for each in found
            ],
            beneath=[each.id for each in found],
        )


@app.command()
def export(
    *,
    image: ImageOption = None,
    form: Annotated[ExportForm, typer.Option("--format", help="How.")] = ExportForm.OPENVEX,
) -> None:
    """Write the waivers of vulnerabilities that are in force, for others to read."""
    with told_errors():
        from imagebuilder.bootstrap import Application
        from imagebuilder.domain.waiver import WaiverQuery, WaiverState
        from imagebuilder.formats.openvex import write_openvex

        application = Application()
        query = WaiverQuery(image=image or "", state=WaiverState.ACTIVE)
        told = application.accepting.statements(query)
        match form:
            case ExportForm.OPENVEX:
                now, author = application.clock.now(), application.settings.actor
                print_json(write_openvex(told, author=author, written_at=now))


@app.command()
def show(waiver: WaiverArgument, *, as_json: AsJson = False) -> None:
    """Show all of a waiver."""
    with told_errors(as_json=as_json):
        accepting = _accepting()
        found, now = accepting.show(waiver), accepting.now()
        if as_json:
            print_json(waiver_json(found, found.state(now)))
            return
        print_lines(*_lines(found, now))


@app.command()
def revoke(
    waiver: Annotated[
        str,
        typer.Argument(
            metavar="WAIVER",
            help="The waiver's id, or its start.",
            autocompletion=open_waivers,
            show_default=False,
        ),
    ],
    *,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Accept a finding no longer: what it is of does not pass a gate any more."""
    with told_errors(as_json=as_json):
        accepting = _accepting()
        found = accepting.revoke(waiver, why=why, is_rehearsal=dry_run)
        if as_json:
            told = waiver_json(found, found.state(accepting.now()))
            print_json({**told, "dry_run": dry_run})
            return
        tense = "would be" if dry_run else "is"
        print_lines(f"{found.accepted} {tense} accepted for {found.where} no longer ({found.id})")
        if dry_run:
            note("nothing was changed")


class WaiverOfWhat(InvalidInput):
    """It is not said what is to be accepted, or twice."""

    code = "waiver-of-what"

    def __init__(self) -> None:
        """Say what can be said."""
        super().__init__(
            "It is not clear what is to be accepted.",
            hint="Name one finding, such as CVE-2026-1234; or give --from FILE, without one.",
        )


def _until(waiver: "Waiver", now: "datetime") -> str:
    """Say until when a waiver counts, or that it does no more."""
    day = f"{waiver.expires_at:%Y-%m-%d}"
    if not waiver.is_in_force(now):
        return f"{waiver.state(now)} {day}"
    is_soon = waiver.expires_at - now <= 2 * ENDS_SOON
    return f"{day} ({ends_text(waiver.expires_at, now)})" if is_soon else day


def _taken(taken: "Taken") -> "Sequence[WaiverWish]":
    """Give what was taken over from a document, and say what was not."""
    for each in taken.left[:_SHOWN]:
        note(f"left out: {each}")
    if len(taken.left) > _SHOWN:
        note(f"left out: {len(taken.left) - _SHOWN} more")
    return taken.wishes


def waiver_json(waiver: "Waiver", state: "WaiverState") -> "dict[str, Json]":
    """Give a waiver."""
    revoked = waiver.revoked
    return {
        "id": waiver.id,
        "state": state.value,
        "kind": waiver.accepted.kind.value,
        "finding": waiver.accepted.id,
        "within": waiver.accepted.within,
        "image": waiver.image,
        "versions": waiver.versions,
        "reason": waiver.reason,
        "justification": waiver.justification.value if waiver.justification else None,
        "ticket": waiver.ticket,
        "owner": waiver.owner,
        "approver": waiver.approver,
        "created_at": waiver.created_at.isoformat(),
        "expires_at": waiver.expires_at.isoformat(),
        "revoked_at": None if revoked is None else revoked.at.isoformat(),
        "revoked_by": None if revoked is None else revoked.actor,
        "revoked_why": None if revoked is None else revoked.why,
    }


def _print_given(
    given: "Sequence[Given]", now: "datetime", *, is_rehearsal: bool, as_json: bool
) -> None:
    if as_json:
        print_json(
            [
                {
                    **waiver_json(each.waiver, each.waiver.state(now)),
                    "is_found": bool(each.covered),
                    "covers": list(each.covered),
                    "dry_run": is_rehearsal,
                }
                for each in given
            ]
        )
    for each in given:
        waiver = each.waiver
        if not as_json:
            would = "would be" if is_rehearsal else "is"
            until = moment_text(waiver.expires_at)
            known = "" if is_rehearsal else f" ({waiver.id})"
            print_lines(
                f"{waiver.accepted} {would} accepted for {waiver.where} until {until}{known}"
            )
        if len(each.covered) > 1:
            named = ", ".join(each.covered[:_SHOWN])
            rest = len(each.covered) - _SHOWN
            note(
                f"warning: {waiver.accepted} stands for {len(each.covered):,} findings that are "
                f"there now, all accepted together: {named}"
                + (f" and {rest:,} more" if rest > 0 else "")
            )
        if not each.covered:
            note(
                f"warning: no version of {waiver.where} that is in use has {waiver.accepted} now; "
                "is it spelled as `imagebuilder finding list` writes it?"
            )
    if is_rehearsal:
        note("nothing was changed")


def _lines(waiver: "Waiver", now: "datetime") -> list[str]:
    revoked = waiver.revoked
    facts = [
        ("waiver", waiver.id),
        ("state", waiver.state(now)),
        (waiver.accepted.kind, str(waiver.accepted)),
        ("for", waiver.where),
        ("reason", waiver.reason),
        ("justification", waiver.justification or ""),
        ("ticket", waiver.ticket),
        ("owner", waiver.owner),
        ("approver", waiver.approver),
        ("given", moment_text(waiver.created_at)),
        ("expires", moment_text(waiver.expires_at)),
        ("revoked", f"{moment_text(revoked.at)} by {revoked.actor}" if revoked else ""),
        ("why", revoked.why if revoked else ""),
    ]
    return [f"{name:15}{value}" for name, value in facts if value]


def _accepting() -> "Accepting":
    from imagebuilder.bootstrap import Application

    return Application().accepting
