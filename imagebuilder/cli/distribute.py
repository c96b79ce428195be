"""`imagebuilder distribute`, and `imagebuilder distribute withdraw`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer
from typer.core import TyperGroup

from imagebuilder.cli.options import (
    AsJson,
    DryRun,
    OptionalReferenceArgument,
    ReferenceArgument,
    Why,
)
from imagebuilder.cli.output import note, print_lines, told_errors
from imagebuilder.domain.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.bootstrap import Application
    from imagebuilder.services.distributing.withdrawing import Reach

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_START = "start"
"""What stands for the command when no other is named."""


class _StartsByItself(TyperGroup):
    """Takes what names no command for the reference of a version."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command's own name before its arguments."""
        if args and args[0] not in (*self.commands, "--help"):
            args = [_START, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_StartsByItself,
    help="Bring a version to its targets: distribute REF --to FILE, or distribute REF --retry. "
    "All options are told by distribute REF --help.",
    no_args_is_help=True,
)

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="TARGET", help="Only this target or entry; * stands for any letters."
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="TARGET", help="Leave this target or entry out."),
]


@app.command(_START, hidden=True)
def start(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The distribution document.")
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Do what is missing of what was begun before.")
    ] = False,
    only: Only = None,
    without: Without = None,
    dry_run: DryRun = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Bring a version to all targets of a document, or to those where it is missing."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.distribute_shown import (
            deliveries_shown,
            print_distributed,
            print_rehearsal,
        )
        from imagebuilder.domain.distribution import DeliveryHindered
        from imagebuilder.services.distributing.distributing import Choice

        if (to is None) is not retry or (retry and dry_run):
            raise DestinationUnclear(reference)
        application = Application()
        choice = Choice(only=tuple(only or ()), without=tuple(without or ()))
        if to is not None and dry_run:
            said = application.distributing.rehearse(reference, str(to), choice)
            print_rehearsal(said, as_json=as_json)
            if said.hindrances:
                raise DeliveryHindered(said.reference, said.hindrances)
            return
        with deliveries_shown(as_json=as_json) as progress:
            if to is None:
                done = application.distributing.retry(reference, choice, progress)
            else:
                one = application.distributing.distribute(
                    reference, str(to), choice, progress, why=why
                )
                done = [one]
        print_distributed(done, as_json=as_json)


@app.command()
def withdraw(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: OptionalReferenceArgument = None,
    *,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="TARGET", help="Only from this target or entry."),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete it there too; nothing in use is deleted.")
    ] = False,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Withdraw what is revoked or retired, of REF or of all."),
    ] = False,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """See that nobody can use a version any more at targets where a distribution put it."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application
        from imagebuilder.cli.distribute_shown import print_gone, print_overdue, print_reach

        application = Application()
        if retry:
            overdue = application.withdrawing.overdue(reference)
            if dry_run:
                print_overdue(overdue, as_json=as_json)
                return
            print_gone(application.withdrawing.catch_up(overdue, why), as_json=as_json)
            return
        if reference is None:
            raise WithdrawalUnclear
        reach = application.withdrawing.reach(reference, from_ or (), delete=delete)
        if dry_run:
            print_reach(reach, as_json=as_json)
            return
        if reach.carried and not yes and not _is_wanted(reach):
            note("nothing was changed")
            return
        gone = application.withdrawing.withdraw(reach, delete=delete, why=why)
        print_gone(gone, as_json=as_json)


def withdraw_overdue(application: "Application", why: str, *, as_json: bool) -> None:
    """Take what nobody may use any more from targets, and say so to who made it so.

    What could not be withdrawn is told, and does not undo what was said of versions.
    """
    from imagebuilder.domain.distribution import WithdrawalIncomplete

    overdue = application.withdrawing.overdue()
    if not overdue:
        return
    try:
        gone = application.withdrawing.catch_up(overdue, why)
    except WithdrawalIncomplete as incomplete:
        note(f"warning: {incomplete.message}\n{incomplete.context}\n{incomplete.hint}")
        return
    if not as_json:
        print_lines(*(f"withdrawn: {placement.subject}" for placement in gone))


def _is_wanted(reach: "Reach") -> bool:
    """Ask the person at the terminal. Raises: WithdrawalUnconfirmed: nobody is there."""
    from imagebuilder.cli.distribute_shown import reach_lines

    told = reach_lines(reach)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WithdrawalUnconfirmed(reach.reference, told)
    note("\n".join([*told, "Withdraw it? [y/N]"]))
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class DestinationUnclear(InvalidInput):
    """It is not said, or said twice, what is to be distributed where."""

    code = "destination-unclear"

    def __init__(self, reference: str) -> None:
        """Show both ways."""
        super().__init__(
            f"It is not clear where {reference} is to go.",
            context="A document says it, or what was begun before is gone on with; not both.",
            hint=f"Write imagebuilder distribute {reference} --to FILE [--dry-run], or --retry.",
        )


class WithdrawalUnclear(InvalidInput):
    """It is not said what is to be withdrawn."""

    code = "withdrawal-unclear"

    def __init__(self) -> None:
        """Show the ways."""
        super().__init__(
            "It is not said what is to be withdrawn.",
            hint="Name a version, or withdraw all that is revoked or retired with --retry.",
        )


class WithdrawalUnconfirmed(Refused):
    """A withdrawal was asked for where nobody can be asked back."""

    code = "withdrawal-unconfirmed"

    def __init__(self, reference: str, told: "Sequence[str]") -> None:
        """Say what it reaches."""
        super().__init__(
            f"{reference} was not withdrawn: nobody could be asked.",
            context="\n".join(told),
            hint="See all of it with --dry-run; then say --yes.",
        )
