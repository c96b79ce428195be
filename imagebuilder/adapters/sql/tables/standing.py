"""What is said of versions: channels, revocations, retention, labels, placements; and the audit."""

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
)

from imagebuilder.adapters.sql.tables.columns import (
    UtcMoment,
    metadata,
    position,
    version_number,
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
    position(),
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
    version_number(),
    Column("lifecycle", String(32), primary_key=True),
    Column("since_at", UtcMoment, nullable=False),
    Column("freed_at", UtcMoment),
    Index(None, "lifecycle"),
)

version_labels = Table(
    "version_labels",
    metadata,
    version_number(),
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
    version_number(),
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
    Column("traits", Text, nullable=False, server_default="{}"),
    Column("is_deleted", Boolean, nullable=False, server_default=false()),
    Column("is_half_done", Boolean, nullable=False, server_default=false()),
    Column("distribution_id", ForeignKey("distributions.id")),
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
