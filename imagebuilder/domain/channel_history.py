"""A channel's history: its kept moves, woven with its falls, and what it means because of them.

A channel falls back when the version it means stops being usable. That is computed from what was
said of versions, never kept: it happens at its moment though no process is up.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import dropwhile
from typing import TypeAlias

from imagebuilder.domain.channel import ChannelMove, MoveKind
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.standing import Ban

BansOf: TypeAlias = Callable[[VersionId], Sequence[Ban]]
"""Gives when a version is not usable."""


def history(moves: Sequence[ChannelMove], bans: BansOf, at: datetime) -> tuple[ChannelMove, ...]:
    """Give a channel's moves up to a moment, falls among them, oldest first."""
    kept = _up_to(moves, at)
    woven: list[ChannelMove] = []
    for count, move in enumerate(kept, start=1):
        woven.append(move)
        following = kept[count] if count < len(kept) else None
        for fall, _ in _falls(kept[:count], bans, at):
            if following is not None and not _comes_before(fall, following):
                break
            woven.append(fall)
    return tuple(woven)


def last_move(moves: Sequence[ChannelMove], bans: BansOf, at: datetime) -> ChannelMove | None:
    """Give the last move up to a moment, be it a fall; None of a channel that never was.

    Its `new` is what the channel means. Bans are asked for of few versions: those it fell from.
    """
    kept = _up_to(moves, at)
    last = kept[-1] if kept else None
    for fall, _ in _falls(kept, bans, at):
        last = fall
    return last


def held_before(woven: Sequence[ChannelMove]) -> tuple[VersionId, ...]:
    """Give what a channel held before what it means, by its woven history, the last held first.

    What it was rolled back from is not among it; of an unset or empty channel, all it held is.
    """
    held = _held(move for move in woven if move.kind is not MoveKind.FELL_BACK)
    current = woven[-1].new if woven else None
    if current is not None:
        for fall in _falls_at_the_end(woven):
            held.pop()
            while held and held[-1] != fall.new:
                held.pop()
    return tuple(dict.fromkeys(version for version in reversed(held) if version != current))


def was_held(moves: Iterable[ChannelMove], version: VersionId) -> bool:
    """Whether a channel ever meant a version."""
    return any(version in (move.old, move.new) for move in moves)


def seconds_held(woven: Sequence[ChannelMove], version: VersionId, at: datetime) -> float:
    """Give how long a channel meant a version, all times together, by its woven history."""
    ends = [*(move.act.at for move in woven[1:]), at]
    return sum(
        (end - move.act.at).total_seconds()
        for move, end in zip(woven, ends, strict=False)
        if move.new == version
    )


def _falls_at_the_end(woven: Sequence[ChannelMove]) -> Sequence[ChannelMove]:
    kept = sum(1 for _ in dropwhile(lambda m: m.kind is MoveKind.FELL_BACK, reversed(woven)))
    return woven[kept:]


def _up_to(moves: Sequence[ChannelMove], at: datetime) -> Sequence[ChannelMove]:
    return [move for move in moves if move.act.at <= at]


def _held(moves: Iterable[ChannelMove]) -> list[VersionId]:
    """Give the versions that a channel can fall back through, the last held at the end.

    What it was rolled back from is not among them: somebody did not want it.
    """
    held: list[VersionId] = []
    for move in moves:
        if move.new is None:
            continue
        if move.kind is MoveKind.ROLLED_BACK and move.new in held:
            while held[-1] != move.new:
                held.pop()
        else:
            held.append(move.new)
    return held


def _falls(
    kept: Sequence[ChannelMove], bans: BansOf, at: datetime
) -> Iterator[tuple[ChannelMove, int]]:
    """Give the falls after the last of some moves, each with the place it ends at among `_held`."""
    if not kept or kept[-1].new is None:
        return
    held = _held(kept)
    place, moment = len(held) - 1, kept[-1].act.at
    while place >= 0:
        ban = _first_to_move(bans(held[place]), moment)
        if ban is None or ban.act.at > at:
            return
        moment = max(ban.act.at, moment)
        below, version = _last_usable(held[:place], bans, moment)
        yield (
            ChannelMove(
                kind=MoveKind.FELL_BACK,
                act=replace(ban.act, at=moment),
                old=held[place],
                new=version,
            ),
            below,
        )
        place = below


def _first_to_move(bans: Iterable[Ban], moment: datetime) -> Ban | None:
    """Give the first ban in force from a moment on that makes channels leave the version."""
    lasting = (b for b in bans if b.moves_channels and (b.until is None or moment < b.until))
    return min(lasting, key=lambda ban: ban.act.at, default=None)


def _last_usable(
    held: Sequence[VersionId], bans: BansOf, at: datetime
) -> tuple[int, VersionId | None]:
    for place in range(len(held) - 1, -1, -1):
        if not any(ban.is_in_force(at) for ban in bans(held[place])):
            return place, held[place]
    return -1, None


def _comes_before(fall: ChannelMove, move: ChannelMove) -> bool:
    """Whether a fall was before a kept move: at one moment, what the move left tells."""
    if fall.act.at == move.act.at:
        return move.old != fall.old
    return fall.act.at < move.act.at
