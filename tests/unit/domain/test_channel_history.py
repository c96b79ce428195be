"""What a channel means, and how it came to, by its kept moves and what was said of versions."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import ChannelMove, MoveKind
from imagebuilder.domain.channel_history import (
    held_before,
    history,
    last_move,
    seconds_held,
    was_held,
)
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.standing import Ban
from tests.build import SOME_DAY

A, B, C = (VersionId(name) for name in "ABC")
NOBODY: Mapping[VersionId, Sequence[Ban]] = {}


def moved(
    second: float,
    new: VersionId | None,
    *,
    old: VersionId | None = None,
    kind: MoveKind = MoveKind.SET,
) -> ChannelMove:
    act = Act(actor="ben", at=SOME_DAY + timedelta(seconds=second))
    return ChannelMove(kind=kind, act=act, old=old, new=new)


def banned(begin: float, end: float | None = None, *, moves_channels: bool = True) -> Ban:
    return Ban(
        act=Act(actor="ann", at=SOME_DAY + timedelta(seconds=begin), why="bad"),
        until=None if end is None else SOME_DAY + timedelta(seconds=end),
        moves_channels=moves_channels,
    )


def woven(
    moves: list[ChannelMove], bans: Mapping[VersionId, Sequence[Ban]], second: float = 100
) -> tuple[ChannelMove, ...]:
    moment = SOME_DAY + timedelta(seconds=second)
    found = history(moves, lambda version: bans.get(version, ()), moment)
    assert last_move(moves, lambda version: bans.get(version, ()), moment) == (
        found[-1] if found else None
    )
    return found


def steps(found: Sequence[ChannelMove]) -> list[tuple[str, VersionId | None]]:
    return [(move.kind.value, move.new) for move in found]


ABC = [moved(1, A), moved(2, B, old=A), moved(3, C, old=B)]


def test_history_when_nothing_was_kept_then_is_empty() -> None:
    assert woven([], NOBODY) == ()


def test_history_when_versions_stay_usable_then_is_what_was_kept() -> None:
    assert woven(ABC, NOBODY) == tuple(ABC)
    assert woven(ABC, NOBODY, 2) == tuple(ABC[:2])


def test_history_when_the_version_is_banned_then_falls_at_that_moment_in_that_name() -> None:
    found = woven(ABC, {C: [banned(5)]})

    assert found[-1] == ChannelMove(
        kind=MoveKind.FELL_BACK,
        act=Act(actor="ann", at=SOME_DAY + timedelta(seconds=5), why="bad"),
        old=C,
        new=B,
    )
    assert steps(woven(ABC, {C: [banned(5)]}, 4.9)) == steps(ABC)


def test_history_when_all_fall_one_after_the_other_then_ends_with_none() -> None:
    found = woven(ABC, {C: [banned(5)], A: [banned(6)], B: [banned(7)]})

    assert steps(found[3:]) == [("fell-back", B), ("fell-back", None)]


def test_history_when_the_one_before_is_banned_without_moving_channels_then_is_passed_over() -> (
    None
):
    found = woven(ABC, {C: [banned(5)], B: [banned(4, moves_channels=False)]})

    assert steps(found[3:]) == [("fell-back", A)]


def test_history_when_a_ban_ends_then_the_channel_stays_where_it_fell() -> None:
    assert steps(woven(ABC, {C: [banned(5, 6)]})[3:]) == [("fell-back", B)]


def test_history_when_a_ban_ended_before_the_move_then_nothing_falls() -> None:
    assert steps(woven(ABC, {C: [banned(0.1, 0.2)]})) == steps(ABC)


def test_history_when_moved_onto_a_banned_version_then_falls_as_it_moves() -> None:
    found = woven(ABC, {C: [banned(0)]})

    assert steps(found[3:]) == [("fell-back", B)]
    assert found[-1].act.at == ABC[-1].act.at


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (B, [("set", B), ("set", C)]),
        (A, [("set", B), ("fell-back", A), ("set", C)]),
    ],
    ids=["moved-first", "fell-first"],
)
def test_history_when_a_ban_begins_as_the_channel_moves_then_what_was_left_tells_the_order(
    old: VersionId, expected: list[tuple[str, VersionId]]
) -> None:
    moves = [moved(1, A), moved(2, B, old=A), moved(3, C, old=old)]

    assert steps(woven(moves, {B: [banned(3)]})[1:]) == expected


def test_history_when_it_falls_between_moves_then_the_fall_stands_between_them() -> None:
    moves = [moved(1, A), moved(2, B, old=A), moved(5, C, old=A)]

    assert steps(woven(moves, {B: [banned(4)]})) == [
        ("set", A),
        ("set", B),
        ("fell-back", A),
        ("set", C),
    ]


def test_history_when_rolled_back_from_a_version_then_never_falls_to_it() -> None:
    back = moved(4, A, old=C, kind=MoveKind.ROLLED_BACK)

    assert steps(woven([*ABC, back], {A: [banned(5)]})[4:]) == [("fell-back", None)]


def test_history_when_rolled_back_to_what_was_dropped_then_holds_it_again() -> None:
    back = moved(4, A, old=C, kind=MoveKind.ROLLED_BACK)
    again = moved(5, C, old=A, kind=MoveKind.ROLLED_BACK)

    assert steps(woven([*ABC, back, again], {C: [banned(6)]})[5:]) == [("fell-back", A)]


def test_history_when_unset_then_nothing_falls() -> None:
    unset = moved(4, None, old=C, kind=MoveKind.UNSET)

    assert steps(woven([*ABC, unset], {C: [banned(5)]})) == [*steps(ABC), ("unset", None)]


def test_held_before_when_only_moved_then_gives_the_last_held_first() -> None:
    assert held_before(woven(ABC, NOBODY)) == (B, A)
    assert held_before(()) == ()


def test_held_before_when_it_fell_then_gives_what_is_below_where_it_fell_to() -> None:
    assert held_before(woven(ABC, {C: [banned(5)]})) == (A,)
    assert held_before(woven(ABC, {C: [banned(5)], B: [banned(4)]})) == ()


def test_held_before_when_it_holds_nothing_then_gives_all_that_it_held() -> None:
    unset = moved(4, None, old=C, kind=MoveKind.UNSET)
    all_gone = {name: [banned(5)] for name in (A, B, C)}

    assert held_before(woven([*ABC, unset], NOBODY)) == (C, B, A)
    assert held_before(woven(ABC, all_gone)) == (C, B, A)


def test_held_before_when_a_version_was_held_twice_then_is_given_once() -> None:
    twice = [*ABC, moved(4, A, old=C), moved(5, C, old=A)]

    assert held_before(woven(twice, NOBODY)) == (A, B)


def test_was_held_then_knows_what_was_left_and_what_was_entered() -> None:
    assert was_held(ABC[1:2], A)
    assert was_held(ABC[1:2], B)
    assert not was_held(ABC[1:2], C)


def test_seconds_held_when_held_twice_then_adds_both_up_to_now() -> None:
    found = woven([moved(0, A), moved(10, B, old=A), moved(15, A, old=B)], NOBODY)

    now = SOME_DAY + timedelta(seconds=100)
    assert seconds_held(found, A, now) == 10 + 85
    assert seconds_held(found, B, now) == 5
    assert seconds_held(found, C, now) == 0
    assert seconds_held((), A, now) == 0
