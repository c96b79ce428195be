"""Labels and free text in SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, insert, select, union

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.labels import Noted, Notes


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two kinds of things that carry notes, and where its notes are."""

    things: Table
    key: str
    name: str
    labels: Table
    descriptions: Table
    link: str

    @property
    def name_of(self) -> ColumnElement[str]:
        """What a thing is named by."""
        return self.things.c[self.name]

    def of_some(self, table: Table, names: Collection[str]) -> ColumnElement[bool]:
        """Whether a row of notes is on one of some things."""
        is_its = table.c[self.link] == self.things.c[self.key]
        return and_(is_its, among(self.name_of, names))


_VERSIONS = _Side(
    tables.versions,
    "number",
    "id",
    tables.version_labels,
    tables.version_descriptions,
    "version_number",
)
_IMAGES = _Side(
    tables.images, "id", "name", tables.image_labels, tables.image_descriptions, "image_id"
)


class SqlLabelStore:
    """A LabelStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep notes in an open catalogue."""
        self._database = database

    def notes(self, noted: Noted) -> Notes:
        """Give the notes on a version, or on an image."""
        if noted.version_id is not None:
            return self.of_versions([noted.version_id]).get(noted.version_id, Notes())
        return self.of_images([noted.image]).get(noted.image, Notes())

    def of_versions(self, ids: Collection[VersionId]) -> Mapping[VersionId, Notes]:
        """Give the notes on versions themselves; one without any is left out."""
        return {VersionId(name): notes for name, notes in self._notes(_VERSIONS, ids).items()}

    def of_images(self, names: Collection[ImageName]) -> Mapping[ImageName, Notes]:
        """Give the notes on images themselves; one without any is left out."""
        return {ImageName(name): notes for name, notes in self._notes(_IMAGES, names).items()}

    def keep(self, noted: Noted, notes: Notes) -> None:
        """Replace the notes on a version, or on an image. Raises: VersionNotFound."""
        side, name = _side_of(noted)
        with self._database.writing() as connection:
            query = select(side.things.c[side.key]).where(side.things.c[side.name] == name)
            key: int | None = connection.scalar(query)
            if key is None:
                raise VersionNotFound(name, ())
            for table in (side.labels, side.descriptions):
                connection.execute(delete(table).where(table.c[side.link] == key))
            rows: list[mapping.Values] = [
                {side.link: key, "name": label, "value": value}
                for label, value in notes.labels.items()
            ]
            if rows:
                connection.execute(insert(side.labels), rows)
            if notes.description:
                row = {side.link: key, "text": notes.description}
                connection.execute(insert(side.descriptions).values(row))

    def names(self) -> Sequence[str]:
        """Give the name of every label that is in use, sorted."""
        query = union(select(tables.version_labels.c.name), select(tables.image_labels.c.name))
        with self._database.reading() as connection:
            # Sorted here, since databases differ in the order they give to names.
            return sorted(connection.scalars(query))

    def _notes(self, side: _Side, names: Collection[str]) -> dict[str, Notes]:
        labels: dict[str, dict[str, str]] = {}
        told: dict[str, str] = {}
        with self._database.reading() as connection:
            kept, texts = side.labels.c, side.descriptions.c
            on_some = side.of_some(side.labels, names)
            query = select(side.name_of, kept.name, kept.value).where(on_some)
            for owner, name, value in connection.execute(query):
                labels.setdefault(owner, {})[name] = value
            described = side.of_some(side.descriptions, names)
            rows = connection.execute(select(side.name_of, texts.text).where(described))
            told.update((owner, text) for owner, text in rows)
        return {
            owner: Notes(
                labels=dict(sorted(labels.get(owner, {}).items())),
                description=told.get(owner, ""),
            )
            for owner in labels.keys() | told.keys()
        }


def _side_of(noted: Noted) -> tuple[_Side, str]:
    if noted.version_id is None:
        return _IMAGES, noted.image
    return _VERSIONS, noted.version_id
