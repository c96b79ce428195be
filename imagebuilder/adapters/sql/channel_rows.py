"""Reading the rows of channels: as few as tell what a channel means."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    func,
    select,
    true,
)

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.lines import read_said
from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import Channel, ChannelGate, ChannelMove, MoveKind, channel_gate_of
from imagebuilder.domain.channel_history import last_move
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.standing import Ban

_AHEAD = 50
"""So many versions are asked about at once, when a channel falls back through what it held."""
_FIRST_LOOK = 4
"""So many of the highest versions are looked at first for one that is usable."""

_v = tables.versions.c
_i = tables.images.c
_c = tables.channels.c
_m = tables.channel_moves.c
_old = tables.versions.alias("old_version")
_new = tables.versions.alias("new_version")
HIGHEST_FIRST = (_v.major.desc(), _v.minor.desc(), _v.patch.desc(), _v.build.desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChannel:
    """A channel as it is kept: the count of its moves, and the last of them."""

    number: int
    image: ImageName
    name: ChannelName
    gate: ChannelGate | None
    moves_kept: int
    last: ChannelMove | None

    def seen(self, last: ChannelMove | None) -> Channel:
        """Give the channel whose last move is the one given, be it a fall."""
        return Channel(
            image=self.image,
            name=self.name,
            version_id=None if last is None else last.new,
            moves_seen=self.moves_kept,
            moved=None if last is None else last.act,
            gate=self.gate,
        )


class Bans:
    """When the versions that a channel held are not usable, read as they are asked for."""

    def __init__(self, connection: Connection, moves: Sequence[ChannelMove]) -> None:
        """Know which versions will be asked about next: those held before."""
        held = dict.fromkeys(move.new for move in reversed(moves) if move.new is not None)
        self._connection = connection
        self._held = list(held)
        self._known: dict[VersionId, Sequence[Ban]] = {}

    def __call__(self, version_id: VersionId) -> Sequence[Ban]:
        """Give when a version that was held is not usable."""
        if version_id not in self._known:
            begin = self._held.index(version_id)
            batch = self._held[begin : begin + _AHEAD]
            said = read_said(self._connection, batch)
            self._known.update((each, said.bans(each)) for each in batch)
        return self._known[version_id]


def kept_channels(
    connection: Connection, condition: ColumnElement[bool] | None
) -> list[KeptChannel]:
    """Give the channels that a condition holds for, or all."""
    last = (
        select(func.max(_m.position))
        .where(_m.channel_id == _c.id)
        .correlate(tables.channels)
        .scalar_subquery()
    )
    query = (
        select(_c.id, _c.name, _c.gate, _i.name.label("image"), *_move_columns())
        .select_from(tables.channels)
        .join(tables.images, _i.id == _c.image_id)
        .outerjoin(tables.channel_moves, (_m.channel_id == _c.id) & (_m.position == last))
        .outerjoin(_old, _old.c.number == _m.old_number)
        .outerjoin(_new, _new.c.number == _m.new_number)
        .where(true() if condition is None else condition)
    )
    return [
        KeptChannel(
            number=row["id"],
            image=ImageName(row["image"]),
            name=ChannelName(row["name"]),
            gate=_gate(row["gate"]),
            moves_kept=0 if row["position"] is None else row["position"] + 1,
            last=None if row["position"] is None else _move(row),
        )
        for row in connection.execute(query).mappings()
    ]


def seen_channels(
    connection: Connection, kept: Sequence[KeptChannel], at: datetime
) -> Iterator[tuple[Channel, ChannelMove | None]]:
    """Give channels as they stand at a moment, each with its last move, be it a fall.

    All moves of a channel are read only if its version was ever not usable.
    """
    held = {each.last.new for each in kept if each.last is not None}
    said = read_said(connection, {version for version in held if version is not None})
    for each in kept:
        last = each.last
        is_past = last is not None and last.act.at > at
        if is_past or (last is not None and last.new is not None and said.bans(last.new)):
            moves = moves_of(connection, each.number)
            last = last_move(moves, Bans(connection, moves), at)
        yield each.seen(last), last


def moves_of(connection: Connection, channel_number: int) -> list[ChannelMove]:
    """Give the moves that are kept of a channel, oldest first."""
    query = (
        select(*_move_columns())
        .select_from(tables.channel_moves)
        .outerjoin(_old, _old.c.number == _m.old_number)
        .outerjoin(_new, _new.c.number == _m.new_number)
        .where(_m.channel_id == channel_number)
    )
    rows = connection.execute(query.order_by(_m.position)).mappings()
    return [_move(row) for row in rows]


def latest_versions(
    connection: Connection, images: Collection[ImageName] | None, at: datetime
) -> list[tuple[ImageName, VersionId | None]]:
    """Give the highest usable version of each of some images, or of all."""
    highest = (
        select(_v.id)
        .where(_v.image_id == _i.id, _v.created_at <= at)
        .order_by(*HIGHEST_FIRST)
        .limit(1)
        .correlate(tables.images)
        .scalar_subquery()
    )
    query = select(_i.id.label("number"), _i.name, highest.label("highest"))
    rows = connection.execute(
        query if images is None else query.where(among(_i.name, images))
    ).all()
    said = read_said(connection, [row.highest for row in rows if row.highest is not None])
    found: list[tuple[ImageName, VersionId | None]] = []
    for number, name, version_id in rows:
        is_usable = version_id is not None and said.standing(version_id, at).is_usable
        is_its = and_(_v.image_id == number, _v.created_at <= at)
        meant = version_id if is_usable else highest_usable(connection, is_its, at)
        found.append((ImageName(name), meant))
    return found


def images_of(connection: Connection, ids: Collection[VersionId]) -> list[ImageName]:
    """Give the images that versions are of."""
    query = select(_i.name).join(tables.versions, _v.image_id == _i.id).where(among(_v.id, ids))
    return [ImageName(name) for name in connection.scalars(query.distinct())]


def gate_text(gate: ChannelGate) -> str:
    """Give what is kept of a gate."""
    return canonical_json(gate.document()).decode()


def highest_usable(
    connection: Connection, is_meant: ColumnElement[bool], at: datetime
) -> VersionId | None:
    """Give the highest version that a condition holds for and that is usable at a moment."""
    begin, count = 0, _FIRST_LOOK
    query = select(_v.id).where(is_meant).order_by(*HIGHEST_FIRST)
    while True:
        some = query.offset(begin).limit(count)
        ids = [VersionId(each) for each in connection.scalars(some)]
        said = read_said(connection, ids)
        for version_id in ids:
            if said.standing(version_id, at).is_usable:
                return version_id
        if len(ids) < count:
            return None
        begin, count = begin + count, count * 2


def _move_columns() -> tuple[ColumnElement[object], ...]:
    return (
        _m.position,
        _m.kind,
        _m.at,
        _m.actor,
        _m.why,
        _m.source,
        _old.c.id.label("old_id"),
        _new.c.id.label("new_id"),
    )


def _move(row: RowMapping) -> ChannelMove:
    return ChannelMove(
        kind=MoveKind(row["kind"]),
        act=Act(actor=row["actor"], at=row["at"], why=row["why"]),
        old=None if row["old_id"] is None else VersionId(row["old_id"]),
        new=None if row["new_id"] is None else VersionId(row["new_id"]),
        source=None if row["source"] is None else ChannelName(row["source"]),
    )


def _gate(text: str | None) -> ChannelGate | None:
    return None if text is None else channel_gate_of(json.loads(text))
