"""The tables of the catalogue. What changes here needs a revision in `alembic/versions`.

Rows of a version hang on its `number`, which counts recordings: it is small, so that the many rows
that link a version to its packages stay small, and it gives the order in which versions were made.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.types import TypeDecorator

SCHEMA_REVISION = "0002"
"""The revision that these tables are: the newest in `alembic/versions`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcMoment(TypeDecorator[datetime]):
    """Keeps aware moments as UTC, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment in UTC. Raises: ValueError: it is not aware."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment aware; SQLite gives back what it got, without its zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _digest(name: str, *, is_nullable: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=is_nullable)


def _version_number() -> Column[int]:
    return Column("version_number", ForeignKey("versions.number"), primary_key=True)


def _position() -> Column[int]:
    return Column("position", Integer, primary_key=True, autoincrement=False)


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
    _digest("plan_digest"),
    _digest("definition_digest"),
    Column("plan", Text, nullable=False),
    _digest("disk_digest"),
    Column("parent_asked", Text, nullable=False),
    Column("parent_identity", Text, nullable=False),
    Column("parent_id", ForeignKey("versions.id")),
    UniqueConstraint("id"),
    UniqueConstraint("image_id", "major", "minor", "patch", "build"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _version_number(),
    _position(),
    Column("format", String(32), nullable=False),
    _digest("digest"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("virtual_size_bytes", BigInteger, nullable=False),
)

version_layers = Table(
    "version_layers",
    metadata,
    _version_number(),
    _position(),
    Column("name", Text, nullable=False),
    _digest("key"),
    _digest("content"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("component_version", String(64), nullable=False),
    _digest("component_digest", is_nullable=True),
    Column("parameters", Text, nullable=False),
)

packages = Table(
    "packages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", Text, nullable=False),
    UniqueConstraint("name", "version", "architecture", "source", "source_version"),
)

version_packages = Table(
    "version_packages",
    metadata,
    _version_number(),
    Column("package_id", ForeignKey("packages.id"), primary_key=True),
    sqlite_with_rowid=False,
)

test_reports = Table(
    "test_reports",
    metadata,
    _version_number(),
    _position(),
    Column("stage", String(32), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("crash", Text, nullable=False),
    _digest("evidence", is_nullable=True),
)

test_results = Table(
    "test_results",
    metadata,
    Column("version_number", Integer, primary_key=True, autoincrement=False),
    Column("report_position", Integer, primary_key=True, autoincrement=False),
    _position(),
    Column("name", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("detail", Text, nullable=False),
    ForeignKeyConstraint(
        ["version_number", "report_position"],
        ["test_reports.version_number", "test_reports.position"],
    ),
)

documents = Table(
    "documents",
    metadata,
    Column("text_digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

version_documents = Table(
    "version_documents",
    metadata,
    _version_number(),
    _position(),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    _digest("digest"),
    Column("text_digest", ForeignKey("documents.text_digest"), nullable=False),
)

indexes = Table(
    "indexes",
    metadata,
    _version_number(),
    Column("address", Text, primary_key=True),
    _digest("digest"),
)

# A run's image need not have a version, and a version outlives its run: so no foreign keys here.
runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("image", String(127), nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("ended_at", UtcMoment),
    Column("version_id", String(64)),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "image", "started_at"),
    Index(None, "started_at"),
    Index(None, "state"),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("detail", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", UtcMoment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Index(None, "subject"),
    Index(None, "at"),
)

for _change in ("UPDATE", "DELETE"):
    event.listen(
        audit,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it
            f"CREATE TRIGGER audit_keeps_{_change.lower()} BEFORE {_change} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )

# A channel's moves are counted by position: two that add the same one cannot both be kept.
channels = Table(
    "channels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("gate", Text),
    UniqueConstraint("image_id", "name"),
    Index(None, "name"),
)

channel_moves = Table(
    "channel_moves",
    metadata,
    Column("channel_id", ForeignKey("channels.id"), primary_key=True),
    _position(),
    Column("kind", String(32), nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("source", String(63)),
    Column("old_number", ForeignKey("versions.number")),
    Column("new_number", ForeignKey("versions.number")),
    Index(None, "new_number"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version_number", ForeignKey("versions.number"), nullable=False),
    Column("in_force_at", UtcMoment, nullable=False),
    Column("revoked_at", UtcMoment, nullable=False),
    Column("revoked_by", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("reaches_descendants", Boolean, nullable=False),
    Column("rolls_channels_back", Boolean, nullable=False),
    Column("restored_at", UtcMoment),
    Column("restored_by", Text),
    Column("restored_why", Text),
    Index(None, "version_number"),
)

# A version without a row here is active; it has a row for each state that it came to.
lifecycles = Table(
    "lifecycles",
    metadata,
    _version_number(),
    Column("lifecycle", String(32), primary_key=True),
    Column("since_at", UtcMoment, nullable=False),
    Column("freed_at", UtcMoment),
    Index(None, "lifecycle"),
)

version_labels = Table(
    "version_labels",
    metadata,
    _version_number(),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index(None, "name", "value"),
)

image_labels = Table(
    "image_labels",
    metadata,
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index(None, "name", "value"),
)

version_descriptions = Table(
    "version_descriptions",
    metadata,
    _version_number(),
    Column("text", Text, nullable=False),
)

image_descriptions = Table(
    "image_descriptions",
    metadata,
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("text", Text, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version_number", ForeignKey("versions.number"), nullable=False),
    Column("target", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("placed_at", UtcMoment, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_why", Text, nullable=False),
    Column("launched_at", UtcMoment),
    Column("withdrawn_at", UtcMoment),
    Column("withdrawn_by", Text),
    Column("withdrawn_why", Text),
    UniqueConstraint("target", "external_id"),
    Index(None, "version_number"),
    Index(None, "external_id"),
)

retention_plans = Table(
    "retention_plans",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("made_at", UtcMoment, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("applied_at", UtcMoment),
)
