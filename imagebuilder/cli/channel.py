"""`imagebuilder channel`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.gate_options import (
    FailOn,
    KnownExploited,
    MaxDataAge,
    MinCoverage,
    OnlyFixable,
    Profile,
    RequiredTests,
)
from imagebuilder.cli.moments import ends_text
from imagebuilder.cli.options import (
    AsJson,
    ChannelArgument,
    DryRun,
    ImageArgument,
    ReferenceArgument,
    Why,
    channel_names,
    references,
)
from imagebuilder.cli.output import (
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
)

if TYPE_CHECKING:
    from imagebuilder.cli.output import Json
    from imagebuilder.services.promoting import MoveOrder, Promoting, ShownChannel, ShownMove

app = typer.Typer(help="Channels: moving names for versions.", no_args_is_help=True)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="REF",
        help="Only if the channel means this version now; none for no version.",
        autocompletion=references,
    ),
]


@app.command("list")
def list_(name: ImageArgument = None, *, as_json: AsJson = False) -> None:
    """List channels, and the versions that they mean."""
    with told_errors(as_json=as_json):
        found = _promoting().list(name)
        if as_json:
            print_json([_channel_json(each) for each in found])
            return
        print_table(
            ("CHANNEL", "VERSION", "STATE", "SINCE", "BY"),
            [
                (
                    each.channel.reference,
                    each.reference or "-",
                    each.standing.state if each.standing else "-",
                    moment_text(each.channel.moved.at) if each.channel.moved else "-",
                    each.channel.moved.actor if each.channel.moved else "-",
                )
                for each in found
            ],
        )


@app.command()
def show(channel: ChannelArgument, *, as_json: AsJson = False) -> None:
    """Show what a channel means, since when, and what its gate asks for."""
    with told_errors(as_json=as_json):
        _print_channel(_promoting().show(channel), as_json=as_json)


@app.command("set")
def set_(  # noqa: PLR0913 - typer takes each option as a parameter
    reference: ReferenceArgument,
    channel: Annotated[
        str,
        typer.Argument(
            metavar="CHANNEL",
            help="The channel of its image, such as stable.",
            autocompletion=channel_names,
            show_default=False,
        ),
    ],
    *,
    why: Why = "",
    expect: Expect = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a channel mean a version."""
    with told_errors(as_json=as_json):
        order = _order(why, expect, is_rehearsal=dry_run)
        moved = _promoting().set(reference, channel, order)
        _print_move(moved, is_rehearsal=dry_run, as_json=as_json)


@app.command()
def promote(  # noqa: PLR0913 - typer takes each option as a parameter
    image: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The image.", show_default=False),
    ],
    *,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="CHANNEL",
            help="The channel that means the version.",
            autocompletion=channel_names,
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="CHANNEL",
            help="The channel that is to mean it too.",
            autocompletion=channel_names,
            show_default=False,
        ),
    ],
    why: Why = "",
    expect: Expect = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a channel mean the version that another one means."""
    with told_errors(as_json=as_json):
        order = _order(why, expect, is_rehearsal=dry_run)
        moved = _promoting().promote(image, source, target, order)
        _print_move(moved, is_rehearsal=dry_run, as_json=as_json)


@app.command()
def rollback(  # noqa: PLR0913 - typer takes each option as a parameter
    channel: ChannelArgument,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="REF",
            help="A version that it held; without it, the one it held before.",
            autocompletion=references,
        ),
    ] = None,
    why: Why = "",
    expect: Expect = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let a channel mean a version that it held before."""
    with told_errors(as_json=as_json):
        moved = _promoting().rollback(channel, _order(why, expect, is_rehearsal=dry_run), to)
        _print_move(moved, is_rehearsal=dry_run, as_json=as_json)


@app.command()
def unset(
    channel: ChannelArgument, *, why: Why = "", expect: Expect = None, as_json: AsJson = False
) -> None:
    """Let a channel mean nothing; its history stays."""
    with told_errors(as_json=as_json):
        moved = _promoting().unset(channel, _order(why, expect, is_rehearsal=False))
        _print_move(moved, is_rehearsal=False, as_json=as_json)


@app.command()
def history(channel: ChannelArgument, *, as_json: AsJson = False) -> None:
    """List a channel's moves, falling back among them, the newest first."""
    with told_errors(as_json=as_json):
        found = list(reversed(_promoting().history(channel)))
        if as_json:
            print_json([_move_json(each) for each in found])
            return
        print_table(
            ("AT", "BY", "HOW", "FROM", "TO", "WHY"),
            [
                (
                    moment_text(each.move.act.at),
                    each.move.act.actor,
                    _how(each),
                    each.old or "-",
                    each.new or "-",
                    each.move.act.why,
                )
                for each in found
            ],
        )


@app.command()
def gate(  # noqa: PLR0913 - typer takes each option as a parameter
    channel: ChannelArgument,
    *,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="CHANNEL",
            help="It must have been on this channel.",
            autocompletion=channel_names,
        ),
    ] = None,
    soak: Annotated[
        str | None,
        typer.Option("--soak", metavar="DURATION", help="For so long in all, such as 24h."),
    ] = None,
    tests: Annotated[
        str | None,
        typer.Option(
            "--tests", metavar="STAGE,...", help="It must have passed offline, booted, machine."
        ),
    ] = None,
    fail_on: FailOn = None,
    only_fixable: OnlyFixable = False,
    known_exploited: KnownExploited = False,
    profile: Profile = None,
    min_coverage: MinCoverage = None,
    max_data_age: MaxDataAge = None,
    require_test: RequiredTests = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the gate away.")] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Ask for more of versions that enter a channel; with no option, show what is asked for."""
    with told_errors(as_json=as_json):
        from imagebuilder.cli.channel_gate import WrittenAssurance, WrittenGate

        assurance = WrittenAssurance(
            fail_on=fail_on,
            is_only_fixable=only_fixable,
            stops_known_exploited=known_exploited,
            profile=profile,
            min_coverage=min_coverage,
            max_data_age=max_data_age,
            tests=tuple(require_test or ()),
        )
        written = WrittenGate(after=after, soak=soak, tests=tests, assurance=assurance)
        wanted = written.parsed(clear=clear)
        promoting = _promoting()
        is_change = wanted is not None or clear
        shown = promoting.gate(channel, wanted, why) if is_change else promoting.show(channel)
        _print_channel(shown, as_json=as_json)


def _promoting() -> "Promoting":
    from imagebuilder.bootstrap import Application

    return Application().promoting


def _order(why: str, expected: str | None, *, is_rehearsal: bool) -> "MoveOrder":
    from imagebuilder.services.promoting import MoveOrder

    return MoveOrder(why=why, expected=expected, is_rehearsal=is_rehearsal)


def _print_channel(shown: "ShownChannel", *, as_json: bool) -> None:
    if as_json:
        print_json(_channel_json(shown))
        return
    channel = shown.channel
    facts = [
        ("channel", channel.reference),
        ("version", shown.reference or "none"),
        ("state", shown.standing.state if shown.standing else ""),
        ("since", moment_text(channel.moved.at) if channel.moved else ""),
        ("by", channel.moved.actor if channel.moved else ""),
        ("why", channel.moved.why if channel.moved else ""),
        ("gate", "; ".join(channel.gate.parts) if channel.gate else ""),
    ]
    print_lines(*(f"{name:10}{value}" for name, value in facts if value))


def _print_move(moved: "ShownMove", *, is_rehearsal: bool, as_json: bool) -> None:
    if moved.complaint:
        note(moved.complaint)
    _note_ending(moved)
    if as_json:
        told = {**_move_json(moved), "is_move": moved.is_move, "dry_run": is_rehearsal}
        ending = [judged.waiver.id for judged in moved.ending if judged.waiver]
        print_json({**told, "ending_waivers": ending})
        return
    if not moved.is_move:
        print_lines(f"{moved.channel} already means {moved.new or 'no version'}")
        return
    would = "would be " if is_rehearsal else ""
    print_lines(
        f"{moved.channel}: {moved.old or 'none'} -> {moved.new or 'none'} ({would}{_how(moved)})"
    )
    if is_rehearsal:
        note("nothing was changed")


def _note_ending(moved: "ShownMove") -> None:
    """Warn of what will stop the version when its waiver has ended."""
    for judged in moved.ending:
        waiver = judged.waiver
        if waiver is not None:
            ends = f"{ends_text(waiver.expires_at, moved.move.act.at)} ({waiver.id})"
            note(
                f"warning: the waiver of {waiver.accepted} {ends}: "
                f"{moved.channel} will not let {moved.new} in again"
            )


def _how(moved: "ShownMove") -> str:
    source = moved.move.source
    return moved.move.kind if source is None else f"{moved.move.kind} from {source}"


def _channel_json(shown: "ShownChannel") -> "dict[str, Json]":
    from imagebuilder.domain.gate import gate_document

    channel, standing = shown.channel, shown.standing
    gate = channel.gate
    return {
        "channel": channel.reference,
        "image": channel.image,
        "name": channel.name,
        "is_managed": channel.is_managed,
        "version": shown.reference,
        "version_id": channel.version_id,
        "state": standing.state if standing else None,
        "moved_at": channel.moved.at.isoformat() if channel.moved else None,
        "moved_by": channel.moved.actor if channel.moved else None,
        "why": channel.moved.why if channel.moved else None,
        "gate": None
        if gate is None
        else {
            "after": gate.after,
            "soak_seconds": gate.soak_seconds,
            "tests": list(gate.stages),
            "assurance": gate_document(gate.assurance),
        },
    }


def _move_json(moved: "ShownMove") -> "dict[str, Json]":
    return {
        "channel": moved.channel,
        "at": moved.move.act.at.isoformat(),
        "by": moved.move.act.actor,
        "why": moved.move.act.why,
        "how": moved.move.kind,
        "source": moved.move.source,
        "from": moved.old,
        "to": moved.new,
    }
