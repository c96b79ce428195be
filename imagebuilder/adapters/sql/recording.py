"""Writing a version: one row for itself, and the rows of all that belongs to it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple

from sqlalchemy import ColumnElement, Connection, Table, insert, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.domain.image import DocumentText, ImageVersion
from imagebuilder.domain.package import InstalledPackage

_NAMES_AT_ONCE = 500


def insert_version(connection: Connection, version: ImageVersion) -> None:
    """Write every row of a version. Raises: IntegrityError: another process was quicker."""
    image = image_id(connection, version.image)
    if image is None:
        image = _new_key(connection, tables.images, {"name": version.image})
    number = _new_key(connection, tables.versions, mapping.version_values(version, image))
    _insert_texts(connection, version.documents)
    _write(connection, tables.artifacts, mapping.artifact_values(number, version.artifacts))
    _write(connection, tables.version_layers, mapping.layer_values(number, version.layers))
    _write(connection, tables.test_reports, mapping.report_values(number, version.reports))
    _write(connection, tables.test_results, mapping.result_values(number, version.reports))
    _write(connection, tables.version_documents, mapping.document_values(number, version.documents))
    _write(connection, tables.indexes, mapping.index_values(number, version.indexes))
    package_ids = _package_ids(connection, version.packages)
    links: list[mapping.Values] = [
        {"version_number": number, "package_id": package_id} for package_id in package_ids
    ]
    _write(connection, tables.version_packages, links)


def _new_key(connection: Connection, table: Table, values: mapping.Values) -> int:
    """Write a row and give the number that the database gave to it."""
    keys = connection.execute(insert(table).values(values)).inserted_primary_key
    if keys is None:
        raise AssertionError(f"{table.name} numbers its rows")
    return int(keys[0])


def _write(connection: Connection, table: Table, rows: list[mapping.Values]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _insert_texts(connection: Connection, documents: Iterable[DocumentText]) -> None:
    texts = {mapping.text_digest(document): document.text for document in documents}
    column = tables.documents.c.text_digest
    known = set(connection.scalars(select(column).where(column.in_(texts))))
    rows: list[mapping.Values] = [
        {"text_digest": digest, "text": text}
        for digest, text in texts.items()
        if digest not in known
    ]
    _write(connection, tables.documents, rows)


def _package_ids(connection: Connection, packages: Iterable[InstalledPackage]) -> list[int]:
    """Give the number of every package, of new ones after writing them."""
    wanted = {astuple(package): package for package in packages}
    names = sorted({package.name for package in wanted.values()})
    known = _known_packages(connection, names)
    new = sorted(wanted.keys() - known.keys())
    if new:
        _write(connection, tables.packages, [asdict(wanted[key]) for key in new])
        known = _known_packages(connection, names)
    return sorted(known[key] for key in wanted)


def _known_packages(connection: Connection, names: Sequence[str]) -> dict[tuple[object, ...], int]:
    """Give the numbers of all packages with such names. Shape: all of a package -> number."""
    known: dict[tuple[object, ...], int] = {}
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = names[start : start + _NAMES_AT_ONCE]
        query = select(tables.packages.c.id, *package_columns())
        for row in connection.execute(query.where(tables.packages.c.name.in_(some))):
            known[tuple(row[1:])] = row[0]
    return known


def image_id(connection: Connection, name: str) -> int | None:
    """Give the number of an image, or None before its first version."""
    columns = tables.images.c
    found: int | None = connection.scalar(select(columns.id).where(columns.name == name))
    return found


def package_columns() -> tuple[ColumnElement[str], ...]:
    """Give the columns that make a package, in the order of its fields."""
    columns = tables.packages.c
    return (
        columns.name,
        columns.version,
        columns.architecture,
        columns.source,
        columns.source_version,
    )
