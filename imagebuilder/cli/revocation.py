"""`imagebuilder image revoke` and `image restore`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.moments import parsed_moment
from imagebuilder.cli.options import AsJson, DryRun, ReferenceArgument
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    told_errors,
)
from imagebuilder.domain.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from datetime import datetime

    from imagebuilder.cli.output import Json
    from imagebuilder.services.revoking import ChannelChange, Impact, Revoking

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_SHOWN = 10
_UNCHANGED = "nothing was changed"

Message = Annotated[
    str,
    typer.Option(
        "--message", metavar="TEXT", help="Why; all who use it read this.", show_default=False
    ),
]


def revoke(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    *,
    message: Message,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="From this moment on.")
    ] = None,
    in_: Annotated[
        str | None, typer.Option("--in", metavar="DURATION", help="From then on, such as in 30d.")
    ] = None,
    no_descendants: Annotated[
        bool, typer.Option("--no-descendants", help="Leave what was built on it usable.")
    ] = False,
    no_rollback: Annotated[
        bool, typer.Option("--no-rollback", help="Leave channels on it, though it is revoked.")
    ] = False,
    dry_run: DryRun = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, whatever else it reaches.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say that a version, and what was built on it, must not be used any more."""
    with told_errors(as_json=as_json):
        from imagebuilder.services.revoking import RevocationOrder

        revoking = _revoking()
        order = RevocationOrder(
            message=message,
            at=_moment(at, in_),
            reaches_descendants=not no_descendants,
            rolls_channels_back=not no_rollback,
        )
        if not dry_run and not yes:
            reached = revoking.revoke(reference, order, is_rehearsal=True)
            if reached.reaches_others and not _is_wanted(reached):
                note(_UNCHANGED)
                return
        impact = revoking.revoke(reference, order, is_rehearsal=dry_run)
        _print_impact(impact, is_rehearsal=dry_run, as_json=as_json)
        if not dry_run:
            _withdraw(impact, message, as_json=as_json)


def restore(
    reference: ReferenceArgument,
    *,
    message: Message,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that a revoked version may be used again; channels that fell back stay there."""
    with told_errors(as_json=as_json):
        impact = _revoking().restore(reference, message, is_rehearsal=dry_run)
        _print_impact(impact, is_rehearsal=dry_run, as_json=as_json)


class ConfirmationMissing(Refused):
    """What reaches more than was named is to be done, and nobody can be asked."""

    code = "confirmation-missing"

    def __init__(self, reference: str, reached: str) -> None:
        """Say what else it reaches."""
        super().__init__(
            f"{reference} was not revoked: it reaches more than that version.",
            context=reached,
            hint="See all of it with --dry-run; then say --yes.",
        )


class MomentTwice(InvalidInput):
    """A moment is given in two ways."""

    code = "moment-twice"

    def __init__(self) -> None:
        """Name both."""
        super().__init__(
            "A moment can be given by --at or by --in, not by both.",
            hint="Leave one of them out.",
        )


class DurationMalformed(InvalidInput):
    """What was typed is no duration."""

    code = "duration-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"{text[:80]!r} is not a duration.",
            context="A duration is a whole number, 1 or more, and one of s, m, h, d, w.",
            hint="Write 90m, 12h or 30d.",
        )


def _withdraw(impact: "Impact", message: str, *, as_json: bool) -> None:
    """Take what is revoked now from where distributions put it; the rest is for people to do."""
    from imagebuilder.bootstrap import Application
    from imagebuilder.cli.distribute import withdraw_overdue

    is_brought = any(placement.distribution_id is not None for _, placement in impact.placements)
    if is_brought and impact.at > impact.said_at:
        note("Once it is in force, withdraw it with: imagebuilder distribute withdraw --retry")
    elif is_brought:
        withdraw_overdue(Application(), message, as_json=as_json)
    for reference, placement in impact.placements:
        if placement.distribution_id is None:
            note(f"{reference} stays at {placement.subject}: no distribution put it there.")


def _moment(at: str | None, in_: str | None) -> "datetime | None":
    if in_ is None:
        return parsed_moment(at)
    if at is not None:
        raise MomentTwice
    from datetime import timedelta

    from imagebuilder.bootstrap import Application
    from imagebuilder.domain.units import duration_seconds

    try:
        return Application().clock.now() + timedelta(seconds=duration_seconds(in_))
    except (ValueError, OverflowError) as error:
        raise DurationMalformed(in_) from error


def _is_wanted(impact: "Impact") -> bool:
    """Ask the person at the terminal. Raises: ConfirmationMissing: nobody is there."""
    told = _told(impact, is_done=False)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfirmationMissing(impact.reference, "\n".join(told))
    note("\n".join([*told, "Revoke it? [y/N]"]))
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print_impact(impact: "Impact", *, is_rehearsal: bool, as_json: bool) -> None:
    if as_json:
        print_json({**_impact_json(impact), "dry_run": is_rehearsal})
        return
    print_lines(*_told(impact, is_done=not is_rehearsal))
    if is_rehearsal:
        note(_UNCHANGED)


def _told(impact: "Impact", *, is_done: bool) -> list[str]:
    standing = impact.standing
    state = standing.state if standing else "unknown"
    is_to_come = impact.at > impact.said_at
    tense = ("will be" if is_to_come else "is") if is_done else "would be"
    count = len(impact.versions)
    lines = [f"{impact.reference} {tense} {state} as of {moment_text(impact.at)}"]
    becomes = "unusable" if standing and not standing.is_usable else "usable"
    if count:
        lines.append(f"{count} {'version' if count == 1 else 'versions'} {becomes} then:")
        lines += [f"  {reference}" for reference in impact.versions[:_SHOWN]]
        lines += [f"  and {count - _SHOWN} more"] if count > _SHOWN else []
    lines += [
        f"channel {change.channel.reference}: {_change_text(change)}" for change in impact.channels
    ]
    lines += [
        f"placement {placement.external_id} at {placement.target}: {reference}"
        for reference, placement in impact.placements[:_SHOWN]
    ]
    more = len(impact.placements) - _SHOWN
    return lines + ([f"and {more} more placements"] if more > 0 else [])


def _change_text(change: "ChannelChange") -> str:
    if change.old == change.new:
        return f"stays on {change.new}"
    return f"{change.old or 'none'} -> {change.new or 'none'}"


def _impact_json(impact: "Impact") -> "dict[str, Json]":
    return {
        "reference": impact.reference,
        "state": impact.standing.state if impact.standing else None,
        "at": impact.at.isoformat(),
        "version_count": len(impact.versions),
        "versions": list(impact.versions),
        "channels": [
            {"channel": change.channel.reference, "from": change.old, "to": change.new}
            for change in impact.channels
        ],
        "placements": [
            {"reference": reference, "target": p.target, "id": p.external_id}
            for reference, p in impact.placements
        ],
    }


def _revoking() -> "Revoking":
    from imagebuilder.bootstrap import Application

    return Application().revoking
