"""Reading how people name versions."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.domain.ids import VersionId

_v = tables.versions.c
_i = tables.images.c


def read_references(connection: Connection, ids: Collection[VersionId]) -> dict[VersionId, str]:
    """Give how people name versions; an id that is not recorded is left out."""
    columns = (_v.id, _i.name.label("image"), _v.major, _v.minor, _v.patch, _v.build)
    query = select(*columns).join(tables.images, _v.image_id == _i.id)
    return {
        VersionId(row["id"]): f"{row['image']}@{mapping.build_version(row)}"
        for row in connection.execute(query.where(among(_v.id, ids))).mappings()
    }
