"""What references mean, in SQL."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.channel_rows import HIGHEST_FIRST, highest_usable
from imagebuilder.adapters.sql.channels import existing_channels, read_channel
from imagebuilder.adapters.sql.recording import image_id
from imagebuilder.domain.channel import ChannelEmpty, ChannelNotFound
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import Reference, ReferenceAmbiguous, VersionNotFound
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.versions import BuildVersion, Wildcard

_SHOWN = 8

_v = tables.versions.c
_i = tables.images.c


def meant_by(connection: Connection, reference: Reference, at: datetime) -> VersionId:
    """Give the version that a reference means at a moment.

    Raises: VersionNotFound; ReferenceAmbiguous; ChannelNotFound; ChannelEmpty.
    """
    image = image_id(connection, reference.name)
    channel = reference.channel
    found: VersionId | None
    if image is None:
        found = None if reference.asked else whole_id(connection, reference.name)
    elif channel is not None:
        return _on_channel(connection, ImageName(reference.name), channel, at)
    elif reference.build is not None:
        is_meant = and_(_v.image_id == image, is_build(reference.build))
        found = connection.scalar(select(_v.id).where(is_meant))
    else:
        is_meant = and_(_v.image_id == image, fits(reference.wildcard))
        highest = select(_v.id).where(is_meant).order_by(*HIGHEST_FIRST).limit(1)
        found = highest_usable(connection, is_meant, at) or connection.scalar(highest)
    if found is None:
        raise not_found(connection, str(reference), reference.name)
    return found


def whole_id(connection: Connection, start: str) -> VersionId | None:
    """Give the one id that starts so, or None. Raises: ReferenceAmbiguous."""
    column = by_bytes(connection, _v.id)
    # What follows the start is never above this: no character is higher.
    is_so = and_(column >= start, column < start + chr(0x10FFFF))
    query = select(_v.id).where(is_so).order_by(column).limit(_SHOWN + 1)
    matching = tuple(connection.scalars(query)) if start else ()
    if start in matching:
        return VersionId(start)
    if len(matching) > 1:
        raise ReferenceAmbiguous(start, matching)
    return VersionId(matching[0]) if matching else None


def by_bytes(connection: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Give a column that is compared byte by byte, also where a database sorts as people do."""
    return column.collate("C") if connection.dialect.name == "postgresql" else column


def is_build(build: BuildVersion) -> ColumnElement[bool]:
    """Whether a version has that number."""
    version = build.version
    return and_(
        _v.major == version.major,
        _v.minor == version.minor,
        _v.patch == version.patch,
        _v.build == build.build,
    )


def fits(wildcard: Wildcard) -> ColumnElement[bool]:
    """Whether a version is one of those that a wildcard asks for."""
    numbers = zip((_v.major, _v.minor, _v.patch), wildcard.fixed, strict=False)
    return and_(True, *(column == number for column, number in numbers))  # noqa: FBT003 - SQL's


def not_found(connection: Connection, asked: str, image: str | None) -> VersionNotFound:
    """Give the error that says what is there instead of what was asked for."""
    query = (
        select(_i.name.label("image"), _v.major, _v.minor, _v.patch, _v.build)
        .join(tables.images, _i.id == _v.image_id)
        .order_by(_v.number.desc())
        .limit(_SHOWN)
    )
    rows = connection.execute(query.where(_i.name == image)).mappings().all()
    near = None
    if not rows:
        near = nearest(image, connection.scalars(select(_i.name))) if image else None
        rows = connection.execute(query.where(_i.name == near) if near else query).mappings().all()
    existing = tuple(f"{row['image']}@{mapping.build_version(row)}" for row in rows)
    return VersionNotFound(asked, existing, near=near)


def _on_channel(
    connection: Connection, image: ImageName, name: ChannelName, at: datetime
) -> VersionId:
    channel = read_channel(connection, image, name, at)
    if channel.version_id is not None:
        return channel.version_id
    if channel.moves_seen or channel.is_managed:
        raise ChannelEmpty(channel.reference)
    raise ChannelNotFound(channel.reference, existing_channels(connection, image, at))
