"""Channels in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.channel_rows import (
    Bans,
    gate_text,
    images_of,
    kept_channels,
    latest_versions,
    moves_of,
    seen_channels,
)
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.naming import read_references
from imagebuilder.adapters.sql.recording import image_id
from imagebuilder.domain.channel import LATEST, Channel, ChannelGate, ChannelMove, MoveKind
from imagebuilder.domain.channel_history import history
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.ports.channels import ChannelMoved

_v = tables.versions.c
_i = tables.images.c
_c = tables.channels.c
_m = tables.channel_moves.c


class SqlChannelStore:
    """A ChannelStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep moves in an open catalogue."""
        self._database = database

    def channels(self, image: ImageName | None, at: datetime) -> Sequence[Channel]:
        """Give the channels of an image, or of all, as they stand at a moment, by image and name.

        A channel that was unset is left out.
        """
        with self._database.reading() as connection:
            kept = kept_channels(connection, None if image is None else _i.name == image)
            names = None if image is None else [image]
            latest = latest_versions(connection, names, at)
            found = [
                *(Channel(image=i, name=LATEST, version_id=version) for i, version in latest),
                *(each for each, last in seen_channels(connection, kept, at) if _is_set(last)),
            ]
        # Sorted here, since databases differ in the order they give to names.
        return sorted(found, key=attrgetter("image", "name"))

    def channel(self, image: ImageName, name: ChannelName, at: datetime) -> Channel:
        """Give a channel as it stands at a moment; one that never was has no version."""
        with self._database.reading() as connection:
            return read_channel(connection, image, name, at)

    def moves(self, image: ImageName, name: ChannelName, at: datetime) -> Sequence[ChannelMove]:
        """Give a channel's moves up to a moment, falling back among them, oldest first."""
        with self._database.reading() as connection:
            this = (_i.name == image) & (_c.name == name)
            for kept in kept_channels(connection, this):
                moves = moves_of(connection, kept.number)
                return history(moves, Bans(connection, moves), at)
        return ()

    def add(self, channel: Channel, move: ChannelMove) -> None:
        """Keep a move of a channel that was seen as `channel`.

        Raises: ChannelMoved: somebody moved it since it was seen; VersionNotFound.
        """
        try:
            with self._database.writing() as connection:
                number = _channel_number(connection, channel.image, channel.name)
                kept = select(func.count()).where(_m.channel_id == number)
                if connection.scalar(kept) != channel.moves_seen:
                    raise self._moved(connection, channel, move)
                connection.execute(
                    insert(tables.channel_moves).values(
                        channel_id=number,
                        position=channel.moves_seen,
                        kind=move.kind.value,
                        at=move.act.at,
                        actor=move.act.actor,
                        why=move.act.why,
                        source=move.source,
                        old_number=_version_number(connection, move.old),
                        new_number=_version_number(connection, move.new),
                    )
                )
        except IntegrityError as error:
            with self._database.reading() as connection:
                raise self._moved(connection, channel, move) from error

    def set_gate(self, image: ImageName, name: ChannelName, gate: ChannelGate | None) -> None:
        """Keep what a version must bring to enter a channel. Raises: VersionNotFound."""
        with self._database.writing() as connection:
            number = _channel_number(connection, image, name)
            kept = None if gate is None else gate_text(gate)
            connection.execute(update(tables.channels).where(_c.id == number).values(gate=kept))

    def holding(
        self, ids: Collection[VersionId], at: datetime
    ) -> Mapping[VersionId, Sequence[ChannelName]]:
        """Give the channels that mean each of the versions at a moment, `latest` too, by name."""
        meant: dict[VersionId, list[ChannelName]] = {version_id: [] for version_id in ids}
        with self._database.reading() as connection:
            held = (
                select(_m.channel_id)
                .join(tables.versions, _v.number == _m.new_number)
                .where(among(_v.id, meant))
            )
            kept = kept_channels(connection, _c.id.in_(held))
            images = images_of(connection, meant)
            found = [(c.version_id, c.name) for c, _ in seen_channels(connection, kept, at)]
            found += [(v, LATEST) for _, v in latest_versions(connection, images, at)]
            for version_id, name in found:
                if version_id is not None and version_id in meant:
                    meant[version_id].append(name)
        return {version_id: sorted(names) for version_id, names in meant.items()}

    def _moved(self, connection: Connection, channel: Channel, move: ChannelMove) -> ChannelMoved:
        found = read_channel(connection, channel.image, channel.name, move.act.at)
        seen_and_found = (channel.version_id, found.version_id)
        names = read_references(connection, [each for each in seen_and_found if each is not None])
        old, new = (names.get(each, "") if each else "" for each in seen_and_found)
        return ChannelMoved(channel.reference, old, new)


def read_channel(
    connection: Connection, image: ImageName, name: ChannelName, at: datetime
) -> Channel:
    """Give a channel as it stands at a moment; one that never was has no version."""
    if name == LATEST:
        found = dict(latest_versions(connection, [image], at))
        return Channel(image=image, name=name, version_id=found.get(image))
    kept = kept_channels(connection, (_i.name == image) & (_c.name == name))
    for channel, _ in seen_channels(connection, kept, at):
        return channel
    return Channel(image=image, name=name, version_id=None)


def existing_channels(connection: Connection, image: ImageName, at: datetime) -> tuple[str, ...]:
    """Give how people name the channels of an image that are set at a moment, and `latest`."""
    kept = kept_channels(connection, _i.name == image)
    names = {each.name for each, last in seen_channels(connection, kept, at) if _is_set(last)}
    return tuple(f"{image}@{name}" for name in sorted({LATEST, *names}))


def _is_set(last: ChannelMove | None) -> bool:
    return last is not None and last.kind is not MoveKind.UNSET


def _channel_number(connection: Connection, image: ImageName, name: ChannelName) -> int:
    """Give the number of a channel, a new one before its first move. Raises: VersionNotFound."""
    image_number = image_id(connection, image)
    if image_number is None:
        raise VersionNotFound(image, ())
    this = (_c.image_id == image_number) & (_c.name == name)
    number: int | None = connection.scalar(select(_c.id).where(this))
    if number is None:
        values = {"image_id": image_number, "name": name}
        connection.execute(insert(tables.channels).values(values))
        number = connection.scalar(select(_c.id).where(this))
    if number is None:
        raise AssertionError("a channel that was inserted is there")
    return number


def _version_number(connection: Connection, version_id: VersionId | None) -> int | None:
    if version_id is None:
        return None
    number: int | None = connection.scalar(select(_v.number).where(_v.id == version_id))
    if number is None:
        raise VersionNotFound(version_id, ())
    return number
