"""Versions, and what each has of its own.

Rows of a version hang on its `number`, which counts recordings: it is small, so that the many rows
that are of a version stay small, and it gives the order in which versions were made.

The row of a version itself is narrow: it is read by the million. Its packages, layers and plan are
shared (see contents). Every digest and id that `whatis` takes has an index here, and so has every
column that a foreign key or a search goes by; (image_id, number) finds what was recorded last.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from imagebuilder.adapters.sql.tables.columns import (
    UtcMoment,
    digest,
    metadata,
    position,
    version_number,
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(127), nullable=False),
    UniqueConstraint("name"),
)

versions = Table(
    "versions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("patch", Integer, nullable=False),
    Column("build", Integer, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    digest("plan_digest"),
    digest("definition_digest"),
    Column("plan_id", ForeignKey("plans.id"), nullable=False),
    digest("disk_digest"),
    Column("parent_asked", Text, nullable=False),
    Column("parent_identity", Text, nullable=False),
    Column("parent_id", ForeignKey("versions.id")),
    Column("copied_from", ForeignKey("versions.id")),
    Column("package_set_id", ForeignKey("package_sets.id"), nullable=False),
    Column("stack_id", ForeignKey("layer_stacks.id")),
    UniqueConstraint("id"),
    UniqueConstraint("image_id", "major", "minor", "patch", "build"),
    Index(None, "image_id", "number"),
    Index(None, "run_id"),
    Index(None, "created_at"),
    Index(None, "plan_digest"),
    Index(None, "definition_digest"),
    Index(None, "disk_digest"),
    Index(None, "parent_id"),
    Index(None, "copied_from"),
    Index(None, "package_set_id", "image_id", "number"),
    Index(None, "stack_id", "number"),
)

artifacts = Table(
    "artifacts",
    metadata,
    version_number(),
    position(),
    Column("format", String(32), nullable=False),
    digest("digest"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("virtual_size_bytes", BigInteger, nullable=False),
    Index(None, "digest"),
)

test_reports = Table(
    "test_reports",
    metadata,
    version_number(),
    position(),
    Column("stage", String(32), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("crash", Text, nullable=False),
    digest("evidence", is_nullable=True),
)

test_results = Table(
    "test_results",
    metadata,
    Column("version_number", Integer, primary_key=True, autoincrement=False),
    Column("report_position", Integer, primary_key=True, autoincrement=False),
    position(),
    Column("name", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("detail", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(
        ["version_number", "report_position"],
        ["test_reports.version_number", "test_reports.position"],
    ),
)

version_documents = Table(
    "version_documents",
    metadata,
    version_number(),
    position(),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    digest("digest"),
    Column("text_digest", ForeignKey("documents.text_digest"), nullable=False),
    Index(None, "digest"),
)

indexes = Table(
    "indexes",
    metadata,
    version_number(),
    Column("address", Text, primary_key=True),
    digest("digest"),
    Index(None, "digest"),
)

# Where a database sorts as people do, only these find the start of a name, and sort by its bytes.
for _table, _column in ((images, "name"), (versions, "id")):
    _index = f"ix_{_table.name}_{_column}_bytes"
    event.listen(
        _table,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it
            f'CREATE INDEX {_index} ON {_table.name} ({_column} COLLATE "C")'
        ).execute_if(dialect="postgresql"),
    )
