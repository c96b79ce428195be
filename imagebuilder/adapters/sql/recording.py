"""Writing a version: one row for itself, the rows of its own, and of what it shares if it is new.

A build mostly changes little: what is known already is told by one digest, and nothing of it is
written. What is new is written in few statements, however many rows there are.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    func,
    insert,
    literal,
    select,
    true,
)

from imagebuilder.adapters.sql import assessed, mapping, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.image import DocumentText, ImageVersion, RecordedLayer
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.updates import recorded_updates


def insert_version(connection: Connection, version: ImageVersion) -> None:
    """Write every row of a version. Raises: IntegrityError: another process was quicker."""
    image = image_id(connection, version.image)
    if image is None:
        image = _new_key(connection, tables.images, {"name": version.image})
    shared = mapping.Shared(
        image_id=image,
        plan_id=_plan_id(connection, version.plan),
        package_set_id=_package_set_id(connection, version.packages),
        stack_id=_stack_id(connection, version.layers),
    )
    number = _new_key(connection, tables.versions, mapping.version_values(version, shared))
    _insert_texts(connection, version.documents)
    _write(connection, tables.artifacts, mapping.artifact_values(number, version.artifacts))
    _write(connection, tables.test_reports, mapping.report_values(number, version.reports))
    _write(connection, tables.test_results, mapping.result_values(number, version.reports))
    _write(connection, tables.version_documents, mapping.document_values(number, version.documents))
    _write(connection, tables.indexes, mapping.index_values(number, version.indexes))
    _write(connection, tables.assessments, assessed.assessment_values(number, version.assessments))
    controls = assessed.control_values(number, version.assessments)
    _write(connection, tables.assessed_controls, controls)
    _write(connection, tables.bills, mapping.bill_values(number, version.bill))
    _insert_fixes(connection, version.plan)


def _new_key(connection: Connection, table: Table, values: mapping.Values) -> int:
    """Write a row and give the number that the database gave to it."""
    keys = connection.execute(insert(table).values(values)).inserted_primary_key
    if keys is None:
        raise AssertionError(f"{table.name} numbers its rows")
    return int(keys[0])


def _write(connection: Connection, table: Table, rows: list[mapping.Values]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _plan_id(connection: Connection, plan: Canonical) -> int:
    values = mapping.plan_values(plan)
    columns = tables.plans.c
    query = select(columns.id).where(columns.text_digest == values["text_digest"])
    known: int | None = connection.scalar(query)
    return _new_key(connection, tables.plans, values) if known is None else known


def _package_set_id(connection: Connection, packages: Iterable[InstalledPackage]) -> int:
    wanted = sorted(set(packages), key=mapping.package_fields)
    digest = mapping.package_set_digest(wanted)
    columns = tables.package_sets.c
    known: int | None = connection.scalar(select(columns.id).where(columns.digest == digest))
    if known is not None:
        return known
    package_ids = _package_ids(connection, wanted)
    row: mapping.Values = {"digest": digest, "package_count": len(wanted)}
    set_id = _new_key(connection, tables.package_sets, row)
    package = _numbers(connection, package_ids).c.value
    members = select(literal(set_id), package)
    names = ["set_id", "package_id"]
    connection.execute(insert(tables.package_set_members).from_select(names, members))
    return set_id


def _package_ids(connection: Connection, packages: Collection[InstalledPackage]) -> list[int]:
    """Give the number of every package, of new ones after writing them."""
    known = _known_packages(connection, packages)
    new = [package for package in packages if mapping.package_fields(package) not in known]
    if new:
        names = [column.name for column in package_columns()]
        rows = [dict(zip(names, mapping.package_fields(p), strict=True)) for p in new]
        written = insert(tables.packages).returning(tables.packages.c.id, *package_columns())
        known |= {tuple(row[1:]): row[0] for row in connection.execute(written, rows).all()}
    return sorted(known[mapping.package_fields(package)] for package in packages)


def _known_packages(
    connection: Connection, packages: Collection[InstalledPackage]
) -> dict[tuple[object, ...], int]:
    """Give the numbers of packages with such names and versions. Shape: all of it -> number."""
    known: dict[tuple[object, ...], int] = {}
    # By the name alone, every version that ever was would be read: a hundred rows for each one.
    pairs = sorted({(package.name, package.version) for package in packages})
    for row in connection.execute(_with_names_and_versions(connection, pairs)).all():
        known[tuple(row[1:])] = row[0]
    return known


def _with_names_and_versions(
    connection: Connection, pairs: Sequence[tuple[str, str]]
) -> Select[Any]:
    columns = tables.packages.c
    wanted = _pairs(connection, pairs)
    is_wanted = and_(columns.name == wanted.c.name, columns.version == wanted.c.version)
    query = select(columns.id, *package_columns())
    if connection.dialect.name != "postgresql":
        return query.join(wanted, is_wanted)
    # An offset keeps the two apart: else PostgreSQL reads all packages to find these.
    found = query.where(is_wanted).offset(0).lateral()
    return select(found).select_from(wanted).join(found, true())


def _pairs(connection: Connection, pairs: Sequence[tuple[str, str]]) -> FromClause:
    """Give pairs as rows with a name and a version.

    As a list of values, SQLite reads every package for them, and PostgreSQL plans for longer than
    it then looks them up.
    """
    if connection.dialect.name == "postgresql":
        names, versions = ([pair[side] for pair in pairs] for side in (0, 1))
        lists = (literal(names, ARRAY(Text)), literal(versions, ARRAY(Text)))
        return func.unnest(*lists).table_valued("name", "version").render_derived()
    each = func.json_each(json.dumps(pairs)).table_valued("value")
    name, version = (func.json_extract(each.c.value, f"$[{side}]") for side in (0, 1))
    return select(name.label("name"), version.label("version")).subquery()


def _numbers(connection: Connection, numbers: Sequence[int]) -> FromClause:
    """Give numbers as rows with a value."""
    if connection.dialect.name == "postgresql":
        return func.unnest(literal(numbers, ARRAY(Integer))).table_valued("value").render_derived()
    return func.json_each(json.dumps(numbers)).table_valued("value")


def _stack_id(connection: Connection, layers: Sequence[RecordedLayer]) -> int | None:
    """Give the number of the stack that layers make, after writing what of it is new."""
    rows = mapping.stack_values(layers)
    digests = [row["digest"] for row in rows]
    columns = tables.layer_stacks.c
    query = select(columns.digest, columns.id).where(among(columns.digest, digests))
    known = {row[0]: row[1] for row in connection.execute(query)}
    below: int | None = None
    for row in rows:
        digest = row["digest"]
        if digest in known:
            below = known[digest]
        else:
            below = _new_key(connection, tables.layer_stacks, row | {"below_id": below})
    return below


def _insert_texts(connection: Connection, documents: Iterable[DocumentText]) -> None:
    texts = {mapping.text_digest(document): document.text for document in documents}
    column = tables.documents.c.text_digest
    known = set(connection.scalars(select(column).where(among(column, texts))))
    rows: list[mapping.Values] = [
        {"text_digest": digest, "text": text}
        for digest, text in texts.items()
        if digest not in known
    ]
    _write(connection, tables.documents, rows)


def _insert_fixes(connection: Connection, plan: Canonical) -> None:
    """Keep what the updates of a version mend."""
    upgrades = recorded_updates(plan).upgrades
    wanted = {(cve, u.name, u.new_version) for u in upgrades for cve in u.cves or ()}
    columns = tables.cve_fixes.c
    query = select(columns.cve, columns.package, columns.fixed_version)
    same = query.where(among(columns.cve, {cve for cve, _, _ in wanted}))
    known = {(cve, package, version) for cve, package, version in connection.execute(same)}
    _write(
        connection,
        tables.cve_fixes,
        [
            {"cve": cve, "package": package, "fixed_version": version}
            for cve, package, version in sorted(wanted - known)
        ],
    )


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
